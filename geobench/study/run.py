"""Running a study: every node that is missing is made, and failures leave the others alone."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from geobench.board.competitor import Competitor
from geobench.board.model import Board
from geobench.errors import BusyError, GeobenchError
from geobench.nodes.engine import PATIENCE, Engine, Known
from geobench.nodes.node import Node
from geobench.study.compare import Outcome, board_of, competitor, of_experiment, readable
from geobench.study.graph import REFERENCE, Graph, StudyGraph
from geobench_catalog import Entry


def plan(study: StudyGraph, engine: Engine | None) -> Iterator[tuple[Node, Entry | None]]:
    """Go through every node, with its entry if it is there. `engine` None: no catalog yet."""
    for name in study.experiments:
        nodes = [*study.of(name).nodes()]
        entries = engine.find_all(nodes) if engine else [None] * len(nodes)
        yield from zip(nodes, entries, strict=True)


def run(study: StudyGraph, engine: Engine) -> Outcome:
    """Make every node that is missing, and compare. Failures are reported; other nodes go on.

    Several runs share a study out: work that another process is at is left for later, and is
    waited for when there is nothing else to do.
    """
    outcome = Outcome()
    boards: dict[str, Board] = {}
    left = {name: _Left(study.of(name)) for name in study.experiments}
    sharing, waits = replace(engine, wait=False), False
    with ExitStack() as waiting:
        while left:
            before = [unfinished.done() for unfinished in left.values()]
            for name, unfinished in list(left.items()):
                try:
                    if _go_on(study, sharing, name, unfinished, outcome):
                        boards[name] = _board(study, name, unfinished, outcome)
                        del left[name]
                except GeobenchError as error:
                    outcome.failures.append(of_experiment(name, error))
                    del left[name]
            if left and before == [unfinished.done() for unfinished in left.values()]:
                if not waits:
                    waits = True
                    waiting.enter_context(engine.watch("wait for another run of this study"))
                time.sleep(PATIENCE)
    outcome.boards += [boards[name] for name in study.experiments if name in boards]
    return outcome


@dataclass
class _Left:
    """What is left of an experiment in a run: indices of rows, and what is made of others."""

    graph: Graph
    known: Known = field(default_factory=dict)
    made: dict[int, Competitor] = field(default_factory=dict)
    rows: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [*range(len(self.graph.rows))]

    def done(self) -> tuple[int, int]:
        """Count what is done, to see whether anything was."""
        return sum(entry is not None for entry in self.known.values()), len(self.rows)


def _go_on(
    study: StudyGraph, engine: Engine, name: str, unfinished: _Left, outcome: Outcome
) -> bool:
    """Do all of an experiment that no other process is at; return whether all is done."""
    graph, known = unfinished.graph, unfinished.known
    try:
        engine.ensure_all([graph.dataset], known)
    except BusyError:
        return False
    for index in list(unfinished.rows):
        row = graph.rows[index]
        try:
            engine.ensure_all([row.forecast], known)
            engine.ensure_all(row.scores, known)
            unfinished.made[index] = competitor(study, engine, row, known)
        except BusyError:
            continue
        except GeobenchError as error:
            if row.cell.label in (REFERENCE, study.study.baseline):
                raise
            outcome.failures.append(of_experiment(name, error))
        unfinished.rows.remove(index)
    return not unfinished.rows


def _board(study: StudyGraph, name: str, unfinished: _Left, outcome: Outcome) -> Board:
    made = [made for _, made in sorted(unfinished.made.items())]
    dataset = unfinished.known[unfinished.graph.dataset]
    if dataset is None:
        raise TypeError("a study is compared before it was run.")
    return board_of(study, name, dataset, readable(study, name, made, outcome))
