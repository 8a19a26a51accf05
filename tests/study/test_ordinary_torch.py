"""Networks as torch's manual writes them: they draw from the global generator when built."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geobench import EnsembleModel, Forecaster, GeobenchError, Noise, Run, Task, Training, hookimpl
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.testing import ModelConformance
from geobench_catalog import Catalog, Entry


class Ordinary(EnsembleModel):
    """A layer of torch, a few steps of its optimiser, and dropout while it learns."""

    name = "ordinary"
    careless: bool = False

    def fit(self, training: Training, run: Run) -> Forecaster:
        network = nn.Sequential(nn.Linear(training.task.spec.grid[0], 4), nn.Dropout(0.5))
        network.append(nn.Linear(4, training.task.spec.grid[0]))
        optimiser = torch.optim.SGD(network.parameters(), 0.01)
        for _ in range(5):
            rows = torch.randperm(len(training.train))[:8]
            given, wanted = training.train[rows, 0], training.train[rows, 1]
            optimiser.zero_grad()
            ((network(given) - wanted) ** 2).mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return OrdinaryForecaster(network.eval(), careless=self.careless)

    def restore(self, weights: dict[str, Tensor], task: Task) -> Forecaster:
        network = nn.Sequential(nn.Linear(task.spec.grid[0], 4), nn.Dropout(0.5))
        network.append(nn.Linear(4, task.spec.grid[0]))
        network.load_state_dict(weights)
        return OrdinaryForecaster(network.eval(), careless=self.careless)


class OrdinaryForecaster(Forecaster):
    """The present state, changed by the network and by noise."""

    def __init__(self, network: nn.Module, *, careless: bool) -> None:
        self._network, self._careless = network, careless

    def weights(self) -> dict[str, Tensor]:
        return dict(self._network.state_dict())

    def step(self, history: Tensor, noise: Noise) -> Tensor:
        state = history[:, -1]
        white = noise.normal(*state.shape[1:])
        if self._careless:
            white = white + torch.from_numpy(np.random.rand(*state.shape[1:]).astype("f4"))  # noqa: NPY002
        with torch.no_grad():
            return state + 0.01 * self._network(state) + 0.1 * white


class TestOrdinary(ModelConformance):
    def model(self) -> EnsembleModel:
        return Ordinary()


@hookimpl
def geobench_models() -> list[type[EnsembleModel]]:
    return [Ordinary]


def _trained(catalog: Path, seed: int = 0, *, careless: bool = False) -> tuple[Session, Entry]:
    session = Session(Engine(Catalog(catalog, create=True), Registry((Path(__file__),))))
    fields = {
        "use": "lorenz95",
        "spin_up": 2,
        "train": {"trajectories": 16, "steps": 8},
        "validation": {"trajectories": 2, "steps": 8},
        "test": {"trajectories": 4},
        "leads": 2,
    }
    dataset = session.simulate("tiny", session.registry.experiment(fields, "tiny"))
    model = session.registry.model({"use": "ordinary", "careless": careless})
    return session, session.train(dataset, model, seed=seed)


def _weights(catalog: Path, seed: int = 0) -> bytes:
    return _trained(catalog, seed)[1].content("weights.safetensors")


def _globals() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def test_they_train_to_the_same_weights_and_leave_the_generators_alone(tmp_path: Path) -> None:
    before = _globals()
    first = _weights(tmp_path / "first")
    assert _globals() == before
    with torch.random.fork_rng():
        torch.rand(3)  # whatever else was drawn before
        assert _weights(tmp_path / "again") == first
    assert _weights(tmp_path / "other", seed=1) != first


def test_a_step_that_draws_by_itself_is_refused_and_the_training_is_kept(tmp_path: Path) -> None:
    session, trained = _trained(tmp_path / "catalog", careless=True)
    before = _globals()
    with pytest.raises(GeobenchError, match="its step draws from a global generator of torch"):
        session.forecast(trained, members=2)
    assert _globals() == before
    assert session.catalog.get(str(trained.reference)).id == trained.id
