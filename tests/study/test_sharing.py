"""Runs of a study that start together: each step is done once, and every run has the board."""

from collections import Counter
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from geobench.nodes.engine import Engine
from geobench.registry import Registry
from geobench.study import run as running
from geobench.study.file import Study
from geobench.study.graph import StudyGraph
from geobench_catalog import Catalog

STUDY = {
    "experiments": {
        "tiny": {
            "use": "lorenz95",
            "spin_up": 2,
            "train": {"trajectories": 8, "steps": 8},
            "validation": {"trajectories": 2, "steps": 8},
            "test": {"trajectories": 8},
            "leads": 2,
            "events": [],
        }
    },
    "models": {
        "climatology": "climatology",
        "persistence": "persistence",
        "fgn": {"use": "fgn", "training": {"passes": 640, "rows": 32}},
    },
    "seeds": [0, 1],
    "members": 3,
    "scorers": ["crps", "rmse"],
    "reference": {"members": 4},
}


def _run(folder: str, barrier: Barrier, place: int) -> None:
    import torch

    torch.set_num_threads(1)
    barrier.wait()
    registry = Registry()
    graph = StudyGraph(Study.model_validate(STUDY), registry)
    outcome = running.run(graph, Engine(Catalog(folder, create=True), registry))
    (board,) = outcome.boards
    Path(f"{folder}-{place}.txt").write_text(
        "\n".join([*map(str, outcome.failures), *(row.label for row in board.rows)])
    )


@pytest.mark.slow
def test_runs_that_start_together_do_each_step_once(
    tmp_path: Path, forkserver: ForkServerContext
) -> None:
    folder, barrier = str(tmp_path / "catalog"), forkserver.Barrier(3)
    runs = [forkserver.Process(target=_run, args=(folder, barrier, place)) for place in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(600)
        assert run.exitcode == 0
    rows = [Path(f"{folder}-{place}.txt").read_text() for place in range(3)]
    assert len(set(rows)) == 1
    assert sorted(rows[0].split()) == sorted(2 * ["climatology", "fgn", "persistence"])
    catalog = Catalog(folder)
    versions = Counter(entry.reference.version for entry in catalog.entries())
    planned = list(StudyGraph(Study.model_validate(STUDY), Registry()).of("tiny").nodes())
    assert versions == {1: len(planned)}  # a step done twice would have a second version
    assert catalog.store.names("claims") == []
