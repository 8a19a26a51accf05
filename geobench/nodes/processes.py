"""Tasks that are independent, done side by side by processes of this machine.

Each process has one thread for linear algebra unless its task says otherwise, opens the catalog and
loads the plugins by itself, and ends with the one that started it, however that ends.
"""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from geobench.errors import GeobenchError

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
    about; those of most work are begun first, so that none of them is left at the end. The
    processes wait for the next tasks until this one ends, or a task fails.
    """
    if min(processes, len(tasks)) <= 1:
        yield from map(apply, tasks)
        return
    from concurrent.futures.process import BrokenProcessPool

    sent = bytes(ForkingPickler.dumps(apply))
    order = [*range(len(tasks))]
    if work:
        order.sort(key=lambda index: -work(tasks[index]))
    try:
        pool = _workers(processes).pool
        begun = {index: pool.submit(_applied, sent, tasks[index]) for index in order}
        for index in range(len(tasks)):
            yield begun.pop(index).result()
    except BrokenProcessPool as error:
        close()
        raise GeobenchError(
            f"one of {processes} processes was ended from outside, perhaps for want of memory. "
            f"Give fewer (--processes), or less --memory to each."
        ) from error
    except BaseException:
        close()  # whatever they are at
        raise


def _applied(function: bytes, task: Any) -> Any:
    return _loaded(function)(task)


@lru_cache(1)
def _loaded(function: bytes) -> Callable[[Any], Any]:
    """Open what a function needs, once for all its tasks."""
    loaded: Callable[[Any], Any] = ForkingPickler.loads(function)
    return loaded


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Workers:
    """Processes that wait for tasks, and end when this one closes or ends."""

    def __init__(self, count: int) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self.count = count
        context = multiprocessing.get_context("spawn")  # a fork would share locks of threads
        self._ours, self._theirs = context.Pipe()
        self.pool = ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(self._theirs,)
        )

    def close(self) -> None:
        """End them, whatever they are at."""
        self._ours.close()
        self.pool.shutdown(cancel_futures=True)
        self._theirs.close()


_open: list[_Workers] = []


def _workers(count: int) -> _Workers:
    """Return so many processes; those that wait already, if they are as many."""
    if not (_open and _open[0].count == count):
        close()
        _open.append(_Workers(count))
    return _open[0]


@atexit.register
def close() -> None:
    """End the processes that wait for tasks."""
    while _open:
        _open.pop().close()


def _begin(lifeline: Connection) -> None:
    """Begin a process: one thread each, no Ctrl-C of its own, and an end with the first one."""
    import signal
    import threading

    os.environ |= dict.fromkeys(_THREADS, "1")  # read when numpy is imported, which is later
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed, and free its semaphores first."""
    from multiprocessing import util

    lifeline.poll(None)
    # Otherwise semaphores stay in the system, and Python warns of them. This function is private:
    # tests/core/test_private_doors.py fails when it is gone.
    util._run_finalizers(0)  # type: ignore[attr-defined]
    os._exit(1)
