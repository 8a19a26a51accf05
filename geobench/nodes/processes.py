"""Tasks that are independent, done side by side by processes of this machine.

Each process has one thread for linear algebra unless its task says otherwise, opens the catalog and
loads the plugins by itself, and ends with the one that started it, however that ends.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, TypeVar

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Task = TypeVar("Task")
Result = TypeVar("Result")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def spread(
    apply: Callable[[Task], Result],
    tasks: Sequence[Task],
    processes: int,
    work: Callable[[Task], float] | None = None,
) -> Iterator[Result]:
    """Yield what `apply` returns of every task, in their order: here if one process is enough.

    `apply`, tasks and results are pickled on their way. `work`: how much there is to do for a task,
    about; those of most work are begun first, so that none of them is left at the end.
    """
    count = min(processes, len(tasks))
    if count <= 1:
        yield from map(apply, tasks)
        return
    from concurrent.futures.process import BrokenProcessPool

    order = [*range(len(tasks))]
    if work:
        order.sort(key=lambda index: -work(tasks[index]))
    try:
        with _pool(count, apply) as pool:
            begun = {index: pool.submit(_applied, tasks[index]) for index in order}
            for index in range(len(tasks)):
                yield begun.pop(index).result()
    except BrokenProcessPool as error:
        raise GeobenchError(
            f"one of {count} processes was ended from outside, perhaps for want of memory. Give "
            f"fewer (--processes, before the command), or less --memory to each."
        ) from error


_apply: list[Callable[[Any], Any]] = []
"""What a process has been started for; nothing in the first one."""


def _applied(task: Any) -> Any:
    return _apply[0](task)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _pool(count: int, apply: Callable[[Any], Any]) -> "Iterator[ProcessPoolExecutor]":
    """So many processes, which are gone afterwards."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")  # a fork would share locks of threads
    ours, theirs = context.Pipe()
    sent = bytes(ForkingPickler.dumps(apply))
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(theirs, sent))
    try:
        yield pool
    except BaseException:
        ours.close()  # whatever they are at
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        ours.close()
        theirs.close()


def _begin(lifeline: Connection, apply: bytes) -> None:
    """Begin a process: one thread each, no Ctrl-C of its own, and an end with the first one."""
    import signal
    import threading

    os.environ |= dict.fromkeys(_THREADS, "1")  # read when numpy is imported, which is later
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _apply.append(ForkingPickler.loads(apply))  # only now: it imports numpy


def _end_with(lifeline: Connection) -> None:
    """End this process once nobody holds the other end; what it holds of the system is let go."""
    from multiprocessing import util

    lifeline.poll(None)
    # Else semaphores of the system stay, and that is told. It is no part of the public face:
    # tests/core/test_private_doors.py says when it is gone.
    util._run_finalizers(0)  # type: ignore[attr-defined]
    os._exit(1)
