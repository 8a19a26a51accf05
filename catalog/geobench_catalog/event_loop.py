"""A thread in which coroutines run, for callers that wait for their results.

A loop of one's own for each call (`asyncio.run`) would take longer than reading small arrays does,
and cannot be had where the caller runs in a loop already, as in a notebook.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, and return or raise what it does."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop(os.getpid())).result()


@cache
def _loop(_process: int) -> asyncio.AbstractEventLoop:
    """The loop of this process: a forked one has no threads, and makes another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="geobench-catalog", daemon=True)
    thread.start()
    atexit.register(_end, loop, thread, os.getpid())
    return loop


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, process: int) -> None:
    if process == os.getpid():
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
