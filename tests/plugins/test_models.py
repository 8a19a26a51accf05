"""The built-in models: what all must do, and what is each one's own."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geobench import (
    EnsembleModel,
    GeobenchError,
    Law,
    Noise,
    Optimisation,
    Run,
    Task,
    Training,
)
from geobench.forecasts.rollout import members
from geobench.testing import Decay, ModelConformance
from geobench.twin.simulating import trajectories
from geobench_plugins.models.climatology import Climatology
from geobench_plugins.models.fgn import FGN
from geobench_plugins.models.oracle import Oracle
from geobench_plugins.models.persistence import Persistence
from geobench_plugins.networks.backbones import ResNet

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


def test_a_climatology_member_never_runs_past_the_end_of_its_trajectory() -> None:
    """Of states that say where they are from: steps of one, and every start as often as another.

    Chi-squared of 4,000 starts, 5 trajectories times 3 places: below 43 but one time in 10,000.
    """
    training = _training(Decay())
    length, leads = 8, 6
    number = torch.arange(5.0)[:, None] * 100 + torch.arange(float(length))
    states = number[:, :, None, None].expand(5, length, 1, 8)
    forecaster = Climatology().restore({"states": states}, training.task)
    rows = [(init, member) for init in range(8) for member in range(500)]
    drawn = members(
        forecaster, training.train[:8, :1], rows, leads=leads, seed=0, spec=training.task.spec
    )[..., 0, 0]
    assert torch.equal(drawn[:, 1:] - drawn[:, :-1], torch.ones(4000, leads - 1))
    starts, counts = np.unique(drawn[:, 0].numpy(), return_counts=True)
    assert starts.tolist() == [100 * which + place for which in range(5) for place in range(3)]
    expected = 4000 / 15
    assert float(((counts - expected) ** 2 / expected).sum()) < 43
    with pytest.raises(GeobenchError, match=r"9 steps is asked for, and .* hold 8 states"):
        members(
            forecaster, training.train[:1, :1], [(0, 0)], leads=9, seed=0, spec=training.task.spec
        )


def test_persistence_is_the_last_frame() -> None:
    mean, std, state = _moments(Persistence(), leads=4)
    assert torch.allclose(mean, state.expand_as(mean), atol=1e-5)
    assert float(std.max()) < 1e-5


def test_a_diverging_training_is_told() -> None:
    wild = Optimisation(passes=6400, learning_rate=1e30, clip=1e30)
    with pytest.raises(GeobenchError, match=r"training diverged: .* Lower learning_rate"):
        FGN(backbone=ResNet(width=8, blocks=1), training=wild).fit(_training(Decay()), Run(seed=0))
