"""Pieces of work, done on the workers of a dask scheduler."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from geobench.errors import GeobenchError, one_line

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")
ANSWERS = 10.0
"""Seconds within which a scheduler answers, or counts as gone."""
PATIENCE = 60.0
"""Seconds for which a scheduler may be without workers."""
_ASKS = 1.0  # seconds between two looks at who is there
_UNANSWERED = 3  # looks in a row, after which a scheduler that says nothing counts as gone


def spread(
    apply: "Callable[[Task], Result]", tasks: "Sequence[Task]", scheduler: str
) -> "Iterator[Result]":
    """Yield what `apply` returns of every task, in order, computed on the workers of a scheduler.

    `apply`, tasks and results are pickled on their way. `distributed` must be installed.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise GeobenchError(
            "--scheduler needs dask's distributed, which is not installed. Install "
            "'geobench-twin[dask]'."
        ) from error
    with _silent(), _connected(Client, scheduler) as client:
        futures = [client.submit(apply, task, pure=False) for task in tasks]
        for future in futures:
            yield _result(client, future, scheduler)
            future.release()  # type: ignore[no-untyped-call] # theirs


@contextmanager
def _connected(make: "type[Client]", address: str) -> "Iterator[Client]":
    """Open a client, and close it without waiting for a scheduler that may be gone."""
    try:
        _ask(address)
        client = make(address, timeout=ANSWERS)
    except Exception as error:  # what listens there may say anything, at any length
        reason = one_line(error).removesuffix(":")
        raise GeobenchError(
            f"no dask scheduler answers at {address} within {ANSWERS:g} s ({reason}). Start one "
            f"(dask scheduler), or score without --scheduler."
        ) from error
    try:
        yield client
    finally:
        with suppress(OSError, CancelledError, RuntimeError):
            client.close(timeout=ANSWERS)  # type: ignore[no-untyped-call] # theirs


def _ask(address: str) -> None:
    """Ask a scheduler who it is: a client would wait for ever for one that listens and is none."""
    from distributed.core import rpc

    async def ask() -> None:
        async with rpc(address) as scheduler:  # type: ignore[no-untyped-call] # theirs
            await asyncio.wait_for(scheduler.identity(), ANSWERS)

    with ThreadPoolExecutor(1) as pool:  # there may be a running loop in this thread
        pool.submit(lambda: asyncio.run(ask())).result()


def _result(client: "Client", future: Any, address: str) -> Any:
    """Wait for a piece as long as somebody works; otherwise say who is gone."""
    from distributed import KilledWorker

    alone_since: float | None = None
    unanswered = 0
    while True:
        try:
            if _is_done(future):
                return future.result()
        except KilledWorker as error:
            raise _gone(
                f"a piece of the scores ended {error.last_worker and error.last_worker.address} "
                f"and other workers of the dask scheduler at {address}: they may lack memory"
            ) from error
        except CancelledError as error:
            raise _gone(f"the dask scheduler at {address} is gone") from error
        now, workers = time.monotonic(), _workers(client, address)
        unanswered = unanswered + 1 if workers is None else 0
        if unanswered == _UNANSWERED:
            raise _gone(
                f"the dask scheduler at {address} is gone: it did not answer {unanswered} "
                f"times within {ANSWERS:g} s"
            )
        if workers is None or workers:
            alone_since = None
        elif now - (alone_since := alone_since or now) > PATIENCE:
            raise _gone(f"the dask scheduler at {address} has had no worker for {PATIENCE:g} s")


def _is_done(future: Any) -> bool:
    """Wait for a moment; a TimeoutError of the piece itself is none of waiting."""
    from distributed import wait

    with suppress(TimeoutError):
        wait([future], timeout=_ASKS)  # type: ignore[no-untyped-call] # theirs
    return bool(future.done())


def _workers(client: "Client", address: str) -> int | None:
    """How many workers there are; None: the scheduler does not answer in time."""
    try:
        cores = client.sync(client.scheduler.ncores, callback_timeout=ANSWERS)  # type: ignore[no-untyped-call, union-attr] # theirs
    except TimeoutError:
        return None
    except (OSError, CancelledError, RuntimeError, AttributeError) as error:
        raise _gone(f"the dask scheduler at {address} is gone") from error
    return len(cores)


def _gone(what: str) -> GeobenchError:
    return GeobenchError(
        f"{what}. Start it again and repeat the command: what is in the catalog is not done twice."
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep distributed from printing tracebacks of connections that are lost."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
