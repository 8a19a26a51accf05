"""The built-in models: what all must do, and what is each one's own."""

import itertools
import math

import pytest
import torch
from basin import Basin
from torch import Tensor

from geobench import (
    EnsembleModel,
    GeobenchError,
    Law,
    Noise,
    Optimisation,
    Run,
    Simulator,
    Stage,
    Task,
    Training,
)
from geobench.forecasting import members
from geobench.simulating import trajectories
from geobench.testing import Decay, ModelConformance
from geobench_plugins.models.climatology import Climatology
from geobench_plugins.models.fgn import FGN
from geobench_plugins.models.flow_matching import FlowMatching, _FlowMatching
from geobench_plugins.models.oracle import Oracle
from geobench_plugins.models.persistence import Persistence
from geobench_plugins.networks.backbones import ResNet, UNet
from geobench_plugins.networks.residual import Scaling

BRIEF = Optimisation(passes=320, rows=32, warm_up=2)


class TestOracle(ModelConformance):
    def model(self) -> EnsembleModel:
        return Oracle()


class TestClimatology(ModelConformance):
    def model(self) -> EnsembleModel:
        return Climatology(trajectories=5)


class TestPersistence(ModelConformance):
    def model(self) -> EnsembleModel:
        return Persistence()


class TestFlowMatching(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMatching(backbone=ResNet(width=16, blocks=2), steps=2, training=BRIEF)


class TestFlowMatchingOnAPlane(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMatching(backbone=UNet(widths=(8, 8)), steps=2, training=BRIEF)

    def simulator(self) -> Simulator:
        return Basin()


def _training(simulator: Decay, rows: int = 64, *, law: bool = False) -> Training:
    task = Task(simulator.spec, simulator.output_step, law=Law(simulator) if law else None)
    states = trajectories(simulator, Noise.rows(0, "data", rows), spin_up=0, steps=50)
    return Training(task, states, states[:4])


def _moments(model: EnsembleModel, leads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of 4,000 members from one state, and the state."""
    training = _training(Decay(), law=model.knows_law)
    forecaster = model.fit(training, Run(seed=1))
    history = training.validation[:1, :2]
    rows = [(0, member) for member in range(4000)]
    drawn = members(forecaster, history, rows, leads=leads, seed=2, spec=training.task.spec)
    return drawn.mean(0), drawn.std(0), history[0, -1]


def test_the_oracle_draws_the_exact_law() -> None:
    # N(.8^k x, 1 - .8^2k). 48 numbers at 5 standard errors: false alarm 3e-5.
    mean, std, state = _moments(Oracle(), leads=3)
    for lead in range(3):
        memory = 0.8 ** (lead + 1)
        sigma = math.sqrt(1 - memory**2)
        assert float((mean[lead] - memory * state).abs().max()) < 5 * sigma / math.sqrt(4000)
        assert float((std[lead] - sigma).abs().max()) < 5 * sigma / math.sqrt(2 * 4000)


def test_the_oracle_needs_the_law() -> None:
    with pytest.raises(GeobenchError, match="hides its law"):
        Oracle().fit(_training(Decay()), Run(seed=0))


def test_climatology_knows_nothing_and_is_right_on_average() -> None:
    mean, std, _ = _moments(Climatology(), leads=2)
    # 64 x 50 states with a decorrelation time of some 9 steps hold about 360 independent ones.
    assert float(mean.abs().max()) < 5 / math.sqrt(360)
    assert float((std - 1).abs().max()) < 5 / math.sqrt(2 * 360)


def test_a_climatology_member_stays_on_its_trajectory() -> None:
    training = _training(Decay())
    states = torch.arange(5.0)[:, None, None, None].expand(5, 30, 1, 8)
    forecaster = Climatology().restore({"states": states}, training.task)
    drawn = members(
        forecaster,
        training.train[:3, :1],
        [(0, 0), (1, 0), (2, 5)],
        leads=6,
        seed=0,
        spec=training.task.spec,
    )
    assert torch.equal(drawn, drawn[:, :1].expand_as(drawn))


def test_persistence_is_the_last_frame() -> None:
    mean, std, state = _moments(Persistence(), leads=4)
    assert torch.allclose(mean, state.expand_as(mean), atol=1e-5)
    assert float(std.max()) < 1e-5


# On a law that is known: tolerances are bias a small network may have, some four times what it
# showed, and far from what no learning gives.
def test_flow_matching_learns_a_known_law() -> None:
    how = Optimisation(passes=40_000, learning_rate=5e-3)
    model = FlowMatching(backbone=ResNet(width=32, blocks=1), training=how)
    mean, std, state = _moments(model, leads=2)
    assert float(state.abs().max()) > 0.5
    for lead in range(2):
        memory = 0.8 ** (lead + 1)
        assert float((mean[lead] - memory * state).abs().mean()) < 0.1
        assert float(std[lead].mean()) == pytest.approx(math.sqrt(1 - memory**2), rel=0.1)


def test_flow_matching_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="learns one step"):
        FlowMatching(training=Optimisation(stages=(Stage(leads=2),)))
    with pytest.raises(ValueError, match="is where its flow starts"):
        FlowMatching(conditioning=FGN().conditioning)


def test_a_diverging_training_is_told() -> None:
    wild = Optimisation(passes=6400, learning_rate=1e30, clip=1e30)
    with pytest.raises(GeobenchError, match=r"training diverged: .* Lower learning_rate"):
        FGN(backbone=ResNet(width=8, blocks=1), training=wild).fit(_training(Decay()), Run(seed=0))


class _Gaussian(torch.nn.Module):
    """The exact velocity when the residual is N(0, c²)."""

    scaling = Scaling(Decay().spec)

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, past: Tensor, noisy: Tensor, s: Tensor) -> Tensor:
        s = s[:, None, None]
        return noisy * (s - (1 - s) * self.c**2) / ((1 - s) ** 2 * self.c**2 + s**2)


def _drawn_std(c: float, steps: int) -> float:
    """What N(0, 1) becomes: the map is linear, so it is measured without sampling error."""
    forecaster = _FlowMatching(_Gaussian(c), 2, steps)  # type: ignore[arg-type] # stands in for it
    noise = Noise.rows(0, "flow", 3)
    drawn = forecaster.step(torch.zeros(3, 2, 1, 8), noise).double()
    start = noise.use("start of flow").normal(8, 1).transpose(1, 2).double()
    return float((drawn / start).mean())


def test_the_sampler_converges_at_second_order_or_better_on_a_gaussian() -> None:
    # On this velocity the second-order terms cancel over the whole path: it shows order three.
    errors = [abs(_drawn_std(0.25, steps) - 0.25) for steps in (8, 16, 32)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(1.9 < order < 3.3 for order in orders), (errors, orders)


@pytest.mark.parametrize("c", [1.0, 0.5, 0.25, 0.14, 0.1])
def test_the_default_sampler_keeps_the_spread_of_narrow_and_wide_laws(c: float) -> None:
    # The noise of one-day Lorenz95 is 0.14 of a day's change.
    assert _drawn_std(c, FlowMatching().steps) == pytest.approx(c, rel=0.01)
