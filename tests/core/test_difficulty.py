"""The difficulty card against laws whose losses are known: normal ones, and one that is not."""

import math
from datetime import timedelta

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from geobench import Dimension, GeobenchError, Law, Noise, Simulator, StateSpec, Variable
from geobench.describe.difficulty import Difficulty, card, gaussian, shuffled, standardised
from geobench.describe.draws import draw
from geobench.statistics.distances import pooled
from geobench.statistics.intervals import Interval
from geobench.testing import Decay

ONE = torch.ones(1, 1, dtype=torch.float64)


class Kicked(Simulator):
    """Every site is kicked alike, or by itself; kicks are normal, or exponential with mean one."""

    name = "kicked"

    sites: int = 20
    together: float = 0.0
    skewed: bool = False

    @property
    def spec(self) -> StateSpec:
        dim = Dimension(name="x", size=self.sites, periodic=True)
        return StateSpec(variables=(Variable(name="q"),), dims=(dim,))

    @property
    def output_step(self) -> timedelta:
        return timedelta(days=1)

    def initial(self, noise: Noise) -> torch.Tensor:
        return noise.normal(1, self.sites)

    def advance(self, state: torch.Tensor, steps: int, noise: Noise) -> torch.Tensor:
        for step in range(steps):
            now = noise.at(noise.lead + step)
            own, shared = now.normal(1, self.sites), now.use("all").normal(1, 1)
            kick = math.sqrt(1 - self.together) * own + math.sqrt(self.together) * shared
            if self.skewed:
                kick = -now.use("size").uniform(1, self.sites).log() - 1
            state = 0.5 * state + kick
        return state


def _card(simulator: Simulator, *, inits: int = 48, members: int = 64, seed: int = 0) -> Difficulty:
    given = simulator.initial(Noise.rows(seed, "start", inits))
    blocks = draw(Law(simulator), given, members=members, leads=[1], seed=seed)
    return card((block[:, :, 0] for block in blocks), simulator.spec, ONE, lead=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulator", "members"),
    [(Decay(), 64), (Kicked(together=0.5), 64), (Kicked(sites=200, together=0.5), 16)],
    ids=["independent", "correlated", "more-sites-than-members"],
)
def test_a_normal_law_leaves_the_gaussian_nothing_to_lose(
    simulator: Simulator, members: int
) -> None:
    # Exactly zero in expectation, for any number of members. Seven numbers, each within twice its
    # 95 % interval (some four standard errors): false alarm 5e-4 a card.
    found = _card(simulator, members=members)
    shape = found.shape
    for each in (
        *found.excess["gaussian"].values(),
        shape.skewness2,
        shape.excess_kurtosis,
        shape.negentropy,
    ):
        low, high = each.value - each.low, each.high - each.value
        assert -2 * high < each.value < 2 * low
    # And it would see a loss of two per cent.
    assert all(_width(found.excess["gaussian"][score]) < 0.02 for score in ("crps", "energy"))


def _width(found: Interval) -> float:
    return found.high - found.low


def test_a_normal_law_with_independent_sites_cannot_tell_models_apart() -> None:
    found = _card(Decay())
    assert found.passes("gaussian") is True
    assert found.passes("shuffled") is True
    assert found.verdict.startswith("cannot tell generative models apart")


@pytest.mark.slow
def test_shuffling_loses_what_the_dependence_is_worth() -> None:
    # Correlation r between sites: a patch mean of 5 has the variance r + (1 - r)/5, shuffled 1/5.
    # For normal laws of standard deviations a and b the fair CRPS of the one for the other is
    # sqrt((a² + b²)/2) - b/2, in units of 2/sqrt(pi); the truth's own is a/2.
    r = 0.5
    found = _card(Kicked(together=r), inits=64, members=128)
    a, b = math.sqrt(r + (1 - r) / 5), math.sqrt(1 / 5)
    loss = (math.sqrt((a * a + b * b) / 2) - b / 2) / (a / 2) - 1
    pool = found.excess["shuffled"]["pooled"]
    assert pool.value == pytest.approx(loss, rel=0.05)
    assert found.excess["shuffled"]["crps"] == (0, 0, 0)
    assert found.excess["shuffled"]["energy"].low > 0
    assert found.oracle["crps"] == pytest.approx(1 / math.sqrt(math.pi), rel=0.02)
    assert found.passes("shuffled") is False
    assert found.seen("shuffled") == ["energy", "pooled", "leading"]
    assert found.verdict.endswith(
        "(shuffled members lose in: energy score, patch means, leading direction), but a Gaussian "
        "scores like the truth"
    )


@pytest.mark.slow
def test_a_skewed_law_costs_the_gaussian_what_the_integral_says() -> None:
    # CRPS is the integral of (F - G)²: for Exp(1) - 1 against N(0, 1); the truth's own is 1/2.
    found = _card(Kicked(skewed=True), inits=64, members=128)

    def gap(x: float) -> float:
        return float((stats.expon.cdf(x + 1) - stats.norm.cdf(x)) ** 2)

    loss = integrate.quad(gap, -8, 12, points=[-1])[0] / 0.5
    crps = found.excess["gaussian"]["crps"]
    assert crps.value == pytest.approx(loss, rel=0.08)
    assert crps.high - crps.low < 0.1 * loss
    # Skewness 2, excess kurtosis 6. The ratio of k-statistics is biased low at finite n.
    assert 2 < found.shape.skewness2.value < 4.2
    assert found.verdict.startswith("needs the right shape of each law (a Gaussian loses in: CRPS")


def test_few_draws_leave_the_verdict_open() -> None:
    found = _card(Kicked(together=0.02), inits=3, members=16)
    assert found.verdict.startswith("undecided at 1 %")


@pytest.mark.parametrize("members", [8, 17])
def test_a_card_needs_members_enough(members: int) -> None:
    with pytest.raises(
        GeobenchError, match=f"an even number of members, at least 16; got {members}"
    ):
        _card(Decay(), inits=2, members=members)


def test_rotated_draws_have_the_same_mean_and_covariance() -> None:
    draws = Noise.rows(0, "x", 12).uniform(1, 5, dtype=torch.float64) ** 3
    turned = gaussian(draws, Noise.rows(0, "turn", 1))
    assert turned.shape == draws.shape
    assert torch.allclose(turned.mean(0), draws.mean(0))
    assert torch.allclose(torch.cov(turned[:, 0].T), torch.cov(draws[:, 0].T))
    assert not torch.allclose(turned, draws)


def test_rotated_normal_draws_are_normal_draws() -> None:
    # Members are as independent as before: correlations between all pairs of two members' sites
    # over 4,000 cases are at most 5 / sqrt(1000), 45 of them. False alarm 3e-5.
    cases = [
        gaussian(
            Noise.rows(case, "x", 10).normal(1, dtype=torch.float64), Noise.rows(case, "turn", 1)
        )[:, 0]
        for case in range(1000)
    ]
    correlation = torch.corrcoef(torch.stack(cases, 1)) - torch.eye(10, dtype=torch.float64)
    assert float(correlation.abs().max()) < 5 / math.sqrt(1000)


def test_shuffled_draws_keep_each_site_and_nothing_else() -> None:
    draws = Noise.rows(0, "x", 200).normal(1, 1, dtype=torch.float64).expand(-1, 2, 30)
    mixed = shuffled(draws, Noise.rows(0, "mix", 1))
    assert torch.equal(mixed.sort(0).values, draws.sort(0).values)
    off = torch.corrcoef(mixed.flatten(1).T) - torch.eye(60, dtype=torch.float64)
    assert float(off.abs().max()) < 5 / math.sqrt(200)  # 1,770 pairs: false alarm 1e-3


def test_shape_statistics_are_free_of_the_size_of_the_sample() -> None:
    # 20,000 normal samples of 16: all three are zero in expectation, exactly. Five sigma.
    draws = Noise.rows(0, "x", 16).normal(20_000, dtype=torch.float64)
    for each in standardised(draws):
        error = float(each.std()) / math.sqrt(20_000)
        assert abs(float(each.mean())) < 5 * error
    scipy_skew = stats.skew(draws.numpy(), bias=False)
    n = 16
    known = 6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3))
    assert standardised(draws)[0].numpy() == pytest.approx(scipy_skew**2 - known)
    assert standardised(draws)[1].numpy() == pytest.approx(stats.kurtosis(draws, bias=False))


def test_patches_are_averages_over_sea_cells() -> None:
    x = torch.arange(7.0).view(1, 1, 7).double()
    sea = torch.ones(7, dtype=torch.bool)
    assert pooled(x, sea).tolist() == [[2.0, 5.5]]
    sea[:5] = False
    assert pooled(x * sea, sea).tolist() == [[5.5]]
    square = torch.arange(64.0).view(1, 1, 8, 8).double()
    corner = np.arange(64).reshape(8, 8)[:4, :4].mean()
    found = pooled(square, torch.ones(8, 8, dtype=torch.bool))
    assert found.tolist() == [[corner, corner + 4, corner + 32, corner + 36]]
