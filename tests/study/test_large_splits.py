"""Splits larger than memory: made, measured and learned from in pieces, with the same numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geobench import Noise
from geobench.contracts.model import Training
from geobench.contracts.room import Room
from geobench.nodes.engine import Engine
from geobench.nodes.forecaster import training_of
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.twin import realising as twins
from geobench.twin import simulating
from geobench_catalog import Catalog, Entry
from geobench_plugins.networks.residual import Scaling

FIELDS: dict[str, Any] = {
    "simulator": {"use": "lorenz95", "sites": 8},
    "spin_up": 10,
    "train": {"trajectories": 6, "runs": 2, "steps": 20, "gap": 3},
    "validation": {"trajectories": 2, "steps": 10},
    "test": {"trajectories": 4, "inits": 2, "every": 2},
    "leads": 3,
}
HIDDEN = {
    "simulator": {"use": "lorenz95-two-scale", "sites": 5, "fast": 4},
    "shown": ["q"],
    "test": {"trajectories": 4, "runs": 2, "gap": 2, "inits": 2, "every": 2},
}
ANALYSED = {
    "observation": {"error": 1.0},
    "assimilation": {"use": "etkf", "members": 12},
    "given": "analysis",
    "filter_spin_up": 5,
}


def _made(folder: Path, memory: int = 2**30, **changes: Any) -> tuple[Session, Entry]:
    session = Session(Engine(Catalog(folder, create=True), Registry(), memory=memory))
    return session, session.simulate(
        "large", session.registry.experiment(FIELDS | changes, "large")
    )


@pytest.mark.parametrize("block", [1, 2000])  # bytes: parts of a run; some runs
@pytest.mark.parametrize("changes", [{}, HIDDEN, ANALYSED], ids=["shown", "hidden", "analysed"])
def test_a_split_made_in_blocks_is_the_split(
    changes: dict[str, Any], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = _made(tmp_path / "whole", **changes)
    monkeypatch.setattr(twins, "BLOCK_BYTES", block)
    _, blocks = _made(tmp_path / "blocks", **changes)
    groups = ["train", "validation", "test", "climatology", "inits"]
    for group in groups + (["law"] if changes else []):
        assert blocks.load(group).identical(whole.load(group)), group


def test_statistics_of_groups_of_cells_are_those_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, dataset = _made(tmp_path / "catalog")
    experiment, train = session.registry.experiment(FIELDS, "large"), dataset.load("train")
    whole = simulating.climatology(experiment, train)
    monkeypatch.setattr(simulating, "GROUP_BYTES", train.nbytes // 3)
    groups = list(simulating.by_cells(train["q"], 0))
    assert [each.sizes["x"] for each in groups] == [2, 3, 3]
    assert simulating.climatology(experiment, train, 0).identical(whole)


def _training(folder: Path, memory: int) -> tuple[Session, Entry, Training]:
    session, dataset = _made(folder, memory)
    training = training_of(
        session.engine, session.engine.dataset(dataset), session.registry.model("fgn")
    )
    assert isinstance(training, Training)
    return session, dataset, training


def test_a_split_in_a_file_is_the_split(tmp_path: Path) -> None:
    *_, kept = _training(tmp_path / "catalog", 2**30)
    *_, filed = _training(tmp_path / "catalog", 1)
    assert torch.equal(filed.train, kept.train)
    assert torch.equal(filed.validation, kept.validation)
    noise = Noise.rows(0, "windows", 50)
    assert torch.equal(filed.windows(noise, 2, 3), kept.windows(noise, 2, 3))
    filed.room.forget()
    assert torch.equal(filed.windows(noise, 2, 3), kept.windows(noise, 2, 3))


@pytest.mark.parametrize(
    "model",
    [
        "fgn",
        "climatology",
        pytest.param("archesweather-gen", marks=pytest.mark.slow),
        pytest.param("aifs-crps", marks=pytest.mark.slow),
    ],
)
def test_a_model_learns_the_same_from_a_file(model: str, tmp_path: Path) -> None:
    entries = []
    for memory in (2**30, 1):
        session, dataset = _made(tmp_path / str(memory), memory)
        fields = {} if model == "climatology" else {"training": {"passes": 400, "rows": 16}}
        entries.append(session.train(dataset, session.registry.model({"use": model, **fields})))
    first, second = (entry.content("weights.safetensors") for entry in entries)
    assert first == second


@pytest.mark.parametrize(("block", "overlap"), [(2**24, 0), (2**24, 1), (100, 0), (100, 1), (9, 2)])
def test_blocks_hold_every_state_and_every_change_once(
    block: int, overlap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geobench.contracts.model._BLOCK", 4 * block)
    states = torch.arange(5 * 30 * 2).view(5, 30, 1, 2).float()
    training = Training(None, states, states)  # type: ignore[arg-type] # blocks need no task
    found = [run for piece in training.blocks(overlap) for run in piece]
    starts = [place for run in found for place in run[: len(run) - overlap, 0, 0].tolist()]
    assert starts == states[:, : 30 - overlap, 0, 0].flatten().tolist()
    assert all((run.diff(dim=0) == 2).all() for run in found)
    if block < 2**24:
        assert max(run.numel() for run in found) <= max(block, 2 * 2 * overlap) + 2 * overlap


def test_moments_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geobench.contracts.model._BLOCK", 400)
    states = 100 + torch.from_numpy(np.random.default_rng(0).normal(size=(5, 30, 2, 3))).float()
    mean, variance = Training(None, states, states).moments()  # type: ignore[arg-type]
    expected = states.double().numpy()
    assert np.allclose(mean, expected.mean((0, 1)), rtol=1e-12)
    assert np.allclose(variance, expected.var((0, 1), ddof=1), rtol=1e-12)


def test_scaling_does_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, training = _training(tmp_path / "catalog", 2**30)
    found = []
    for block in (2**24, 100):
        monkeypatch.setattr("geobench.contracts.model._BLOCK", block)
        scaling = Scaling(training.task.spec)
        scaling.learn(training)
        found.append(scaling.state_dict())
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        assert torch.allclose(value.double(), found[1][key].double(), rtol=1e-6), key


def test_only_large_arrays_are_in_files(tmp_path: Path) -> None:
    room = Room(1000, tmp_path)
    small, large = room.empty(5, 50), room.empty(5, 51)
    large[:] = torch.arange(51.0)
    room.forget()
    assert (large == torch.arange(51.0)).all()
    assert small.shape == (5, 50)
    assert len(room._files) == 1
    # The file has no name: nothing is left, however the process ends.
    assert list(tmp_path.iterdir()) == []
