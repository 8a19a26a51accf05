"""What runs on a GPU, against the same on the CPU; left out where there is none."""

from typing import Any

import numpy as np
import pytest
import torch
from basin import Basin
from test_torch_kernels import assert_same_fields, assert_same_marginals

from geobench import Noise, Simulator
from geobench.contracts.model import silent
from geobench.nodes.engine import Engine
from geobench.nodes.forecaster import forecaster_of, run_of, training_of
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog, Entry
from geobench_plugins.simulators.lorenz95 import Lorenz95
from geobench_plugins.simulators.ou import OrnsteinUhlenbeck
from geobench_plugins.simulators.shallow_water import ShallowWater
from geobench_plugins.simulators.two_scale import TwoScale

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
DEVICE = "cuda"

RING = {
    "use": "lorenz95",
    "spin_up": 5,
    "train": {"trajectories": 20, "steps": 20},
    "validation": {"trajectories": 4, "steps": 10},
    "test": {"trajectories": 20},
    "leads": 2,
}
OCEAN = {
    "use": "shallow-water",
    "simulator": {"n": 16},
    "spin_up": 4,
    "train": {"trajectories": 2, "steps": 40},
    "validation": {"trajectories": 1, "steps": 20},
    "test": {"trajectories": 6, "runs": 2, "gap": 4},
    "leads": 2,
}
SHORT = {"passes": 3200, "rows": 32}
NETWORKS = (
    *("fgn", "aifs", "aifs-crps", "crps-lam", "energy-net", "mc-dropout", "gaussian"),
    *("flow-matching", "flow-map", "gencast", "archesweather", "archesweather-gen"),
)
MODELS: list[dict[str, Any]] = [
    *({"use": name, "training": SHORT} for name in NETWORKS),
    {"use": "fgn", "conditioning": {"noise": "both"}, "training": SHORT},
    {"use": "analog"},
]


@pytest.fixture(scope="module", params=[RING, OCEAN], ids=["ring", "ocean"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    session = Session(Engine(Catalog(tmp_path_factory.mktemp("catalog"), create=True), Registry()))
    return session.simulate("tiny", session.registry.experiment(request.param, "tiny"))


def _on(device: str, dataset: Entry) -> Session:
    return Session(Engine(Catalog(dataset.path.parent.parent), Registry(), device=device))


def test_noise_has_the_same_bits() -> None:
    noise = Noise.rows(7, "any", 300).members(5).at(3)
    there = noise.to(DEVICE)
    for kind in (torch.float32, torch.float64):
        assert torch.equal(there.normal(7, 11, dtype=kind).cpu(), noise.normal(7, 11, dtype=kind))
        assert torch.equal(there.uniform(33, dtype=kind).cpu(), noise.uniform(33, dtype=kind))
    assert torch.equal(there.words(6).cpu(), noise.words(6))
    assert torch.equal(there.integers(1000, 6).cpu(), noise.integers(1000, 6))


@pytest.mark.parametrize(
    "simulator",
    [Basin(), OrnsteinUhlenbeck(), Lorenz95(), TwoScale(), ShallowWater(n=16)],
    ids=lambda each: each.name,
)
def test_simulators_take_the_same_step(simulator: Simulator) -> None:
    noise = Noise.rows(0, "runs", 6)
    start = simulator.initial(noise)
    here = simulator.advance(start, 1, noise.at(1))
    there = simulator.advance(start.to(DEVICE), 1, noise.to(DEVICE).at(1)).cpu()
    typical = here.double().square().mean((0, *range(2, here.ndim)), keepdim=True).sqrt()
    assert float(((there - here).abs() / (typical + 1e-12)).max()) < 1e-3


@pytest.mark.parametrize("fields", MODELS, ids=lambda each: " ".join(map(str, each.values()))[:40])
def test_models_train_there_and_draw_the_same_members(
    fields: dict[str, Any], dataset: Entry
) -> None:
    there, here = _on(DEVICE, dataset), _on("cpu", dataset)
    model = there.registry.model(fields)
    forecaster = there.train(dataset, model, seed=1)
    numbers = []
    for session in (there, here):
        histories = session.engine.dataset(dataset).histories(1)[:4].repeat_interleave(2, 1)
        restored, _ = forecaster_of(session.engine, forecaster)
        noise = Noise.rows(0, "test", 4).at(1)
        with torch.inference_mode():
            drawn = restored.step(
                histories.to(session.engine.device), noise.to(session.engine.device)
            )
        numbers.append(drawn.cpu())
    spread = numbers[1].std((0, *range(2, numbers[1].ndim)), keepdim=True)
    assert float(((numbers[0] - numbers[1]).abs() / spread).max()) < 0.02


def test_float32_is_not_rounded_further(dataset: Entry) -> None:
    torch.backends.cudnn.allow_tf32 = True
    _on(DEVICE, dataset)
    assert not torch.backends.cudnn.allow_tf32


def test_training_begins_alike(dataset: Entry) -> None:
    losses = []
    for device in (DEVICE, "cpu"):
        session = _on(device, dataset)
        model = session.registry.model({"use": "fgn", "training": {"passes": 640, "rows": 32}})
        realised = session.engine.dataset(dataset)
        training = training_of(session.engine, realised, model)
        run = run_of(session.engine, realised, model, 0, training)
        model.fit(training, run)
        losses.append(run.log["loss"])
    # What rounding differs by grows from step to step.
    np.testing.assert_allclose(losses[0][:5], losses[1][:5], rtol=1e-2)


def test_scores_are_the_same(dataset: Entry) -> None:
    here = _on("cpu", dataset)
    oracle = here.train(dataset, here.registry.model({"use": "oracle"}))
    law = here.forecast(oracle, members=24, seed=1)
    climatology = here.train(dataset, here.registry.model({"use": "climatology"}))
    forecast = here.forecast(climatology, members=4)
    names = sorted(name for kind, name in here.registry.offers if kind == "scorer")
    scorers = [here.registry.scorer({"use": name}) for name in names]
    both = [
        list(_on(device, dataset)._statistics(forecast, scorers, law, silent))
        for device in (DEVICE, "cpu")
    ]
    for name, there, mine in zip(names, *both, strict=True):
        for key, values in mine.data_vars.items():
            np.testing.assert_allclose(
                there[key].to_numpy(), values.to_numpy(), 1e-4, 1e-6, err_msg=f"{name}: {key}"
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("kind", ["normal", "tied", "constant", "offset", "broken"])
def test_kernels_are_the_same(kind: str, count: int, dtype: type[np.floating]) -> None:
    assert_same_marginals(kind, count, dtype, DEVICE)
    if kind != "offset":
        assert_same_fields(kind, count, dtype, DEVICE)
