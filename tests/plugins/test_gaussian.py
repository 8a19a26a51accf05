"""The normal law of the next state: against the dense covariance, and on laws that are known."""

import itertools
import math

import pytest
import torch
from basin import Basin
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import MultivariateNormal

from geobench import (
    Dimension,
    EnsembleModel,
    Noise,
    Optimisation,
    Run,
    Simulator,
    StateSpec,
    Task,
    Training,
    Variable,
)
from geobench.forecasts.rollout import members
from geobench.testing import Decay, ModelConformance
from geobench.training.evaluations import Evaluations
from geobench.twin.simulating import trajectories
from geobench_plugins.models.gaussian import Gaussian
from geobench_plugins.networks.backbones import ResNet, UNet
from geobench_plugins.networks.gaussian_law import Bumps, LowRankNormal

BRIEF = Optimisation(passes=320, rows=32, warm_up=2)


class TestGaussian(ModelConformance):
    def model(self) -> EnsembleModel:
        return Gaussian(backbone=ResNet(width=16, blocks=1), training=BRIEF)


class TestDiagonal(ModelConformance):
    def model(self) -> EnsembleModel:
        return Gaussian(backbone=ResNet(width=8, blocks=1), rank=0, local=0, training=BRIEF)


class TestGaussianInABasin(ModelConformance):
    def model(self) -> EnsembleModel:
        return Gaussian(backbone=UNet(widths=(8, 8)), training=BRIEF)

    def simulator(self) -> Simulator:
        return Basin()


def _law(rows: int, numbers: int, factors: int, dtype: torch.dtype) -> LowRankNormal:
    noise = Noise.rows(0, "law", rows)
    std = (0.5 * noise.use("std").normal(numbers, dtype=dtype)).exp()
    values = noise.use("factors").normal(numbers, factors, dtype=dtype)
    return LowRankNormal(noise.use("mean").normal(numbers, dtype=dtype), std, values)


def _dense(law: LowRankNormal) -> Tensor:
    return law.std.square().diag_embed() + law.factors @ law.factors.mT


@pytest.mark.parametrize(("numbers", "factors"), [(9, 3), (5, 8), (6, 0)])
def test_the_likelihood_is_that_of_the_dense_covariance(numbers: int, factors: int) -> None:
    law = _law(4, numbers, factors, torch.float64)
    leaves = LowRankNormal(*(part.clone().requires_grad_() for part in law))
    x = Noise.rows(0, "x", 4).normal(numbers, dtype=torch.float64)
    exact = -MultivariateNormal(leaves.mean, _dense(leaves)).log_prob(x)
    found = leaves.negative_log_likelihood(x)
    assert torch.allclose(found, exact, rtol=1e-10)
    parts = leaves if factors else leaves[:2]
    slopes = [torch.autograd.grad(value.sum(), parts) for value in (found, exact)]
    for here, there in zip(*slopes, strict=True):
        assert torch.allclose(here, there, rtol=1e-8, atol=1e-10)


def test_the_likelihood_is_sound_in_single_precision_and_under_autocast() -> None:
    """Factors that are a thousand times the diagonal: cancellation would leave nothing."""
    law = _law(4, 30, 5, torch.float64)
    law = law._replace(std=0.01 * law.std, factors=10 * law.factors)
    x = law.draw(Noise.rows(0, "draw", 4))
    exact = law.negative_log_likelihood(x)
    assert torch.allclose(exact, -MultivariateNormal(law.mean, _dense(law)).log_prob(x), rtol=1e-6)
    single = LowRankNormal(*(part.float() for part in law))
    with torch.autocast("cpu", torch.bfloat16):
        found = single.negative_log_likelihood(x.float())
    assert torch.allclose(found.double(), exact, atol=0.1)  # of about 100


def test_draws_have_the_covariance() -> None:
    """Of 40,000 draws: 36 means and 36 covariances within 5 standard errors, false alarm 4e-5."""
    law = _law(1, 8, 3, torch.float32)
    wide = LowRankNormal(*(part.expand(40_000, *part.shape[1:]) for part in law))
    drawn = (wide.draw(Noise.rows(0, "draws", 40_000)) - law.mean).double()
    dense = _dense(law)[0].double()
    variance = dense.diagonal()
    assert bool((drawn.mean(0).abs() < 5 * (variance / 40_000).sqrt()).all())
    error = ((variance[:, None] * variance + dense**2) / 40_000).sqrt()
    assert bool(((drawn.mT @ drawn / 40_000 - dense).abs() < 5 * error).all())


def _spec(*dims: tuple[int, bool]) -> StateSpec:
    return StateSpec(
        variables=(Variable(name="q"),),
        dims=tuple(
            Dimension(name=name, size=size, periodic=periodic)
            for name, (size, periodic) in zip("yx", dims, strict=False)
        ),
    )


@pytest.mark.parametrize(
    ("dims", "spacing", "reach", "centres", "slots"),
    [
        ([(40, True)], 1, 4, 40, 7),
        ([(10, True)], 4, 4, 3, 2),
        ([(9, False)], 4, 4, 3, 2),
        ([(9, False), (12, True)], 4, 4, 9, 4),
        ([(64, False), (64, False)], 8, 8, 81, 4),
        ([(1, False)], 4, 4, 1, 1),
        ([(2, True)], 1, 4, 2, 7),
    ],
)
def test_bumps_are_a_partition(
    dims: list[tuple[int, bool]], spacing: int, reach: int, centres: int, slots: int
) -> None:
    bumps = Bumps(_spec(*dims), spacing, reach)
    assert (bumps.centres, bumps.slots) == (centres, slots)
    grid = tuple(size for size, _ in dims)
    found = bumps(torch.ones(2, *grid, 1, slots, 3)).unflatten(-1, (centres, 3))
    assert found.shape == (2, *grid, 1, centres, 3)
    if grid != (2,):  # where a centre is met twice its weights add
        assert torch.allclose(found.square().sum(-2), torch.ones(2, *grid, 1, 3), atol=1e-6)
    assert bool((found >= 0).all())
    # Every centre is somewhere, and near it: a bump is a connected piece of at most 2 reach cells.
    support = (found[0, ..., 0, :, 0] > 0).flatten(0, -2).sum(0)
    assert bool((support > 0).all())
    assert int(support.max()) <= math.prod(min(size, 2 * reach) for size in grid)


def test_a_centre_in_every_cell_is_a_moving_average() -> None:
    """Of equal coefficients: sites k apart share the noise of 7 - k sites."""
    bumps = Bumps(_spec((40, True)), 1, 4)
    values = 1 / bumps.weights[0]
    factors = bumps(values[:, None].expand(1, 40, 1, 7, 1))[0, :, 0]
    covariance = factors @ factors.mT
    for apart in range(21):
        wanted = max(0, 7 - apart)
        found = covariance.roll(-apart, 1).diagonal()
        assert torch.allclose(found, torch.full((40,), float(wanted)), atol=1e-4), apart


def test_bumps_do_not_reach_across_a_wall() -> None:
    bumps = Bumps(_spec((33, False)), 8, 8)
    factors = bumps(torch.ones(1, 33, 1, bumps.slots, 1))[0, :, 0]
    covariance = factors @ factors.mT
    assert float(covariance[0, 20:].abs().max()) == 0
    # Between the same two centres cells correlate by cos(π d / 16).
    exact = torch.tensor([math.cos(math.pi * d / 16) for d in range(9)])
    assert torch.allclose(covariance[0, :9], exact, atol=1e-5)
    ring = Bumps(_spec((32, True)), 8, 8)
    factors = ring(torch.ones(1, 32, 1, ring.slots, 1))[0, :, 0]
    assert float((factors @ factors.mT)[0, 31]) == pytest.approx(math.cos(math.pi / 16), abs=1e-5)


class Kicked(Decay):
    """Decay whose kicks correlate: those of a site are moving averages over it and the next.

    Correlation of neighbours 0.5, of others 0; the climate has the same.
    """

    name = "kicked"

    def _smooth(self, white: Tensor) -> Tensor:
        return (white + white.roll(1, -1)) / math.sqrt(2)

    def initial(self, noise: Noise) -> Tensor:
        return self._smooth(noise.use("initial").normal(1, self.sites))

    def advance(self, state: Tensor, steps: int, noise: Noise) -> Tensor:
        size = math.sqrt(1 - self.memory**2)
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*state.shape[1:], dtype=state.dtype)
            state = self.memory * state + size * self._smooth(kick)
        return state


def _data(simulator: Simulator) -> Training:
    states = trajectories(simulator, Noise.rows(0, "data", 200), spin_up=0, steps=50)
    return Training(Task(simulator.spec, simulator.output_step), states, states[:4])


def _fitted_members(
    model: EnsembleModel, simulator: Simulator, count: int = 2048
) -> tuple[Tensor, Tensor]:
    """Members two steps ahead of one state, `(member, lead, channel, *grid)`, and the state."""
    training = _data(simulator)
    forecaster = model.fit(training, Run(seed=1))
    history = training.validation[:1, :2]
    # One state in every place of a tile, so that no member is wasted.
    alike = history.expand(16, *history.shape[1:])
    rows = [*itertools.product(range(16), range(count // 16))]
    drawn = members(forecaster, alike, rows, leads=2, seed=2, spec=simulator.spec)
    return drawn, history[0, -1]


def _model(**fields: int) -> Gaussian:
    return Gaussian(
        backbone=ResNet(width=32, blocks=1),
        training=Optimisation(passes=40_000, learning_rate=5e-3),
        **fields,
    )


@pytest.mark.slow
# Tolerances are bias a small network may have, some four times what it showed, and far from what
# no learning gives.
def test_it_learns_a_known_law() -> None:
    drawn, state = _fitted_members(_model(rank=2), Decay())
    assert float(state.abs().max()) > 0.5
    for lead in range(2):
        memory = 0.8 ** (lead + 1)
        assert float((drawn[:, lead].mean(0) - memory * state).abs().mean()) < 0.1
        std = drawn[:, lead].std(0)
        assert float(std.mean()) == pytest.approx(math.sqrt(1 - memory**2), rel=0.1)
    correlation = torch.corrcoef(drawn[:, 0, 0].T) - torch.eye(8)
    assert float(correlation.abs().mean()) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields", [{"rank": 0}, {"rank": 8, "local": 0}], ids=["local factors", "global factors"]
)
def test_it_learns_how_neighbours_correlate(fields: dict[str, int]) -> None:
    drawn, _ = _fitted_members(_model(**fields), Kicked())
    correlation = torch.corrcoef(drawn[:, 0, 0].T)
    for apart, exact in ((1, 0.5), (2, 0.0), (4, 0.0)):
        found = correlation.roll(-apart, 1).diagonal()
        assert float(found.mean()) == pytest.approx(exact, abs=0.1), apart
    assert float(drawn[:, 0].std(0).mean()) == pytest.approx(0.6, rel=0.1)


@pytest.mark.parametrize("place", ["", "part 2/"])
def test_the_factors_leave_the_mean_as_it_was(place: str) -> None:
    """Mean and diagonal are, bit for bit, those of the model without factors at that budget."""
    training = _data(Kicked())
    how = Optimisation(passes=1280, rows=32, learning_rate=5e-3)
    half = Optimisation(passes=640, rows=32, learning_rate=5e-3)
    small = ResNet(width=8, blocks=1)
    whole = Gaussian(backbone=small, training=how, diagonal=0.5).fit(
        training, Run(seed=3, place=place)
    )
    alone = Gaussian(backbone=small, training=half, rank=0, local=0).fit(
        training, Run(seed=3, place=f"{place}part 0/")
    )
    weights, wanted = whole.weights(), alone.weights()
    found = {key: value for key, value in weights.items() if key.startswith("diagonal.")}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in found)
    # And the factors have learned.
    fresh = Gaussian(backbone=small)._network(training.task.spec).factors
    assert fresh is not None
    assert not torch.equal(weights["factors.inner.body.head.bias"], fresh.inner.body.head.bias)


@pytest.mark.slow
def test_the_budget_pays_for_the_fixed_network() -> None:
    how = Optimisation(passes=6400, rows=32)
    for fields in ({}, {"rank": 0, "local": 0}, {"diagonal": 0.5}, {"diagonal": 0.0}):
        run = Run(seed=0)
        model = Gaussian(backbone=ResNet(width=8, blocks=1), training=how, **fields)
        model.fit(_data(Decay()), run)
        assert run.spent["sample_passes"] == pytest.approx(6400, abs=64), fields


def test_a_member_costs_an_evaluation_of_each_network() -> None:
    training = _data(Decay())
    for fields, wanted in (({}, 2), ({"rank": 0, "local": 0}, 1)):
        model = Gaussian(backbone=ResNet(width=8, blocks=1), training=BRIEF, **fields)
        fitted, counted = model.fit(training, Run(seed=0)), Evaluations()
        with counted.of(fitted.network):
            fitted.step(training.validation[:3, :2], Noise.rows(0, "any", 3).at(1))
        assert counted.rows == 3 * wanted


def test_land_and_walls_stay_as_they_are() -> None:
    model = Gaussian(backbone=UNet(widths=(8, 8)), training=BRIEF)
    drawn, _ = _fitted_members(model, Basin(), 64)
    assert bool((drawn[..., ~Basin().wet] == 0).all())
    assert float(drawn[..., Basin().wet].std(0).min()) > 0.1


def test_the_loss_is_that_of_a_number_that_changes() -> None:
    """Before it learns, of a normalised change under N(0, 1): (1 + log 2π) / 2, land or not."""
    simulator = Basin()
    task = Task(simulator.spec, simulator.output_step)
    states = trajectories(simulator, Noise.rows(0, "data", 64), spin_up=0, steps=30)
    run = Run(seed=0)
    still = Optimisation(passes=640, rows=64, learning_rate=1e-9)
    Gaussian(backbone=UNet(widths=(8, 8)), training=still).fit(Training(task, states, states), run)
    assert run.log["loss"][-1] == pytest.approx(0.5 * (1 + math.log(2 * math.pi)), abs=0.03)


def test_a_rollout_is_refused() -> None:
    stages = [{"leads": 1, "share": 0.5}, {"leads": 2, "share": 0.5}]
    with pytest.raises(ValidationError, match="the likelihood is of one step"):
        Gaussian.model_validate({"training": {"stages": stages}})
