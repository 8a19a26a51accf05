"""The pages of boards, one board for each experiment, made in as many processes as there are cores.

Each process has one thread for linear algebra, opens the catalog and loads the plugins by itself,
and ends with the one that started it, however that ends.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from geobench.cli.settings import Settings
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from geobench.site.board_pages import BoardPages
    from geobench.study.file import Study

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Plan:
    """An experiment of a study, of which pages shall be made."""

    settings: Settings
    name: str
    study: "Study"
    experiment: str
    guests: tuple[str, ...]
    exchanges: int | None
    by_model: bool
    work: int
    """Scores of a board, about: entries, lead times and variables."""


@dataclass(frozen=True)
class Made:
    """The pages of a board, and what failed."""

    board: "BoardPages"
    failures: "list[GeobenchError]"


def plans(
    settings: Settings,
    study: Path,
    nfe: tuple[int, ...],
    guests: tuple[str, ...],
    *,
    imported: bool,
    exchanges: int | None,
    by_model: bool,
) -> list[Plan]:
    """Read a study, with its guests and what was imported for it."""
    from geobench.study.file import read_study
    from geobench.study.graph import StudyGraph

    read = read_study(study, nfe)
    graph, engine = StudyGraph(read, settings.plugins), settings.engine()
    every = (*guests, *(graph.imported(engine) if imported else ()))
    graph.invite(engine, every)  # a wrong guest is an error before anything is computed

    def work(name: str) -> int:
        dataset = engine.find(graph.of(name).dataset)
        variables = len(engine.dataset(dataset).spec.variables) if dataset else 0
        return len(graph.cells) * graph.experiments[name].leads * variables

    return [
        Plan(settings, study.stem, read, name, every, exchanges, by_model, work(name))
        for name in graph.experiments
    ]


def make(plan: Plan) -> Made:
    """Make the pages of an experiment."""
    from geobench.site import board_pages
    from geobench.study import compare
    from geobench.study.graph import StudyGraph

    registry = plan.settings.registry
    graph, engine = StudyGraph(plan.study, registry), plan.settings.engine(registry=registry)
    graph.invite(engine, plan.guests)
    outcome = compare.boards(graph, engine, only=plan.experiment, by_model=plan.by_model)
    (comparison,) = outcome.comparisons
    exact = compare.exact(graph, engine, comparison, plan.exchanges) if plan.exchanges else {}
    page = board_pages.page_of(plan.name, plan.experiment)
    title = plan.study.title or plan.name
    shown = board_pages.Shown(page, title, comparison.board, comparison, exact)
    return Made(board_pages.board_pages(shown), outcome.failures)


def made(planned: Sequence[Plan]) -> Iterator[Made]:
    """Make the pages of all plans, in their order; with --debug, one after another.

    Those of most work are begun first, so that no process has a long one left at the end.
    """
    settings = planned[0].settings
    count = min(len(planned), cores())
    if count == 1 or settings.debug:
        yield from map(make, planned)
        return
    from concurrent.futures.process import BrokenProcessPool

    alone = replace(settings, quiet=True)  # afresh: nothing of it is loaded
    order = sorted(range(len(planned)), key=lambda index: -planned[index].work)
    try:
        with _processes(count) as pool, settings.watch("boards") as progress:
            begun = {at: pool.submit(make, replace(planned[at], settings=alone)) for at in order}
            for index, plan in enumerate(planned):
                one = begun[index].result()
                progress(index + 1, len(planned), plan.experiment)
                yield one
    except BrokenProcessPool as error:
        raise GeobenchError(
            "a process that made the pages of an experiment was ended from outside, perhaps for "
            "want of memory. Build again with --debug (before the command): it takes one "
            "experiment after another."
        ) from error


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _processes(count: int) -> "Iterator[ProcessPoolExecutor]":
    """So many processes, which are gone afterwards."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")  # a fork would share locks of threads
    ours, theirs = context.Pipe()
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(theirs,))
    try:
        yield pool
    except BaseException:
        ours.close()  # whatever they are at
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        ours.close()
        theirs.close()


def _begin(lifeline: Connection) -> None:
    """Begin a process: one thread each, no Ctrl-C of its own, and an end with the first one."""
    import signal
    import threading

    os.environ |= dict.fromkeys(_THREADS, "1")  # read when numpy is imported, which is later
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process once nobody holds the other end; what it holds of the system is let go."""
    from multiprocessing import util

    lifeline.poll(None)
    # Else semaphores of the system stay, and that is told. It is no part of the public face:
    # tests/core/test_private_doors.py says when it is gone.
    util._run_finalizers(0)  # type: ignore[attr-defined]
    os._exit(1)
