"""Measured properties against systems whose properties are known, and Lorenz95's published ones."""

import math
from datetime import timedelta

import numpy as np
import pytest
import torch

from geobench import Dimension, GeobenchError, Law, Noise, Simulator, StateSpec, Variable
from geobench.describe import climate, lyapunov, predictability
from geobench.describe.draws import at_sea, draw
from geobench.statistics.intervals import Interval, bootstrap, jackknife, ratio, wilson
from geobench.testing import Decay
from geobench.twin.simulating import trajectories
from geobench_plugins.simulators.lorenz95 import Lorenz95


class Linear(Simulator):
    """x' = A x, with A triangular, so that its eigenvalues stand on the diagonal."""

    name = "linear"

    diagonal: tuple[float, ...] = (1.2, 0.9, 0.5)
    keeps_dtype: bool = True

    @property
    def spec(self) -> StateSpec:
        dim = Dimension(name="x", size=len(self.diagonal))
        return StateSpec(variables=(Variable(name="q"),), dims=(dim,))

    @property
    def output_step(self) -> timedelta:
        return timedelta(days=2)

    def initial(self, noise: Noise) -> torch.Tensor:
        return noise.normal(1, len(self.diagonal))

    def advance(self, state: torch.Tensor, steps: int, noise: Noise) -> torch.Tensor:
        size = len(self.diagonal)
        matrix = torch.diag(torch.tensor(self.diagonal)) + 0.7 * torch.ones(size, size).triu(1)
        for _ in range(steps):
            state = state @ matrix.to(state.dtype).T
        return state if self.keeps_dtype else state.float()


def _spectrum(simulator: Simulator, *, steps: int, rows: int = 2, **more: int) -> lyapunov.Spectrum:
    states = torch.zeros(rows, *simulator.spec.shape)  # a growing state would leave no digits
    settings = {"count": 99, "settle": 60, **more}
    return lyapunov.spectrum(simulator, states, torch.ones(1, 1), steps=steps, **settings)


# -- exponents


def test_exponents_of_a_linear_map_are_the_logarithms_of_its_eigenvalues() -> None:
    found = _spectrum(Linear(), steps=40)
    days = 2
    expected = [math.log(value) / days for value in (1.2, 0.9, 0.5)]
    # The matrix is not normal: after 60 steps the vectors are within (0.5/0.9)^60 of their places.
    assert found.exponents.tolist() == pytest.approx(expected, abs=1e-7)
    assert found.complete
    assert found.positive == 1
    assert found.total is not None
    assert found.total.value == pytest.approx(sum(expected), abs=1e-7)
    assert found.entropy is not None
    assert found.entropy.value == pytest.approx(expected[0], abs=1e-7)
    dimension = 2 + (expected[0] + expected[1]) / -expected[2]
    assert found.dimension is not None
    assert found.dimension.value == pytest.approx(dimension, abs=1e-6)


def test_what_cannot_be_known_from_a_few_exponents_is_not_told() -> None:
    found = _spectrum(Linear(diagonal=(1.5, 1.2, 0.1)), steps=20, count=2)
    assert not found.complete
    assert (found.total, found.dimension, found.entropy) == (None, None, None)


def test_a_damped_system_with_noise_has_its_damping_as_every_exponent() -> None:
    found = _spectrum(Decay(sites=4), steps=20)
    assert found.exponents.tolist() == pytest.approx([math.log(0.8)] * 4, abs=1e-6)
    assert found.dimension == Interval(0, 0, 0)
    assert (found.positive, found.neutral) == (0, 0)


def test_exponents_need_float64() -> None:
    with pytest.raises(GeobenchError, match=r"turned a float64 state into torch\.float32"):
        _spectrum(Linear(keeps_dtype=False), steps=4)


def test_a_direction_that_vanishes_is_told() -> None:
    with pytest.raises(GeobenchError, match="2 of 3 exponents are finite"):
        _spectrum(Linear(diagonal=(1.2, 0.9, 0.0)), steps=4)


@pytest.mark.parametrize(
    ("exponents", "dimension"),
    [([0.5, 0.0, -1.0], 2.5), ([-0.1, -1.0], 0.0), ([1.0, -0.5], 2.0), ([0.2, -0.4, -1.0], 1.5)],
)
def test_kaplan_yorke_by_hand(exponents: list[float], dimension: float) -> None:
    assert lyapunov.kaplan_yorke(np.array(exponents)) == pytest.approx(dimension)


def test_lorenz95_has_its_published_exponents_and_moments() -> None:
    # 40 sites, F = 8, no noise. Literature: largest exponent 1.67 to 1.69 per unit of 5 days, 13
    # positive, dimension 27.1, mean 2.34, standard deviation 3.64; the sum is minus the number of
    # sites (of the equations; the scheme's own differs by less than .02). Each may be off by four
    # of its own standard errors: false alarm 6e-5 each.
    simulator = Lorenz95(amplitude=0)
    run = trajectories(simulator, Noise.rows(0, "climate", 32), spin_up=60, steps=300)
    sea = at_sea(run, simulator.spec)
    unit = climate.scale(sea)
    found = lyapunov.spectrum(simulator, run[:8, -1], unit, count=40, steps=800, settle=50)
    largest = found.leading.times(5)
    error = (largest.high - largest.value) / 2
    assert error < 0.03
    assert largest.value == pytest.approx(1.68, abs=0.01 + 4 * error)
    assert found.positive in (12, 13)
    assert found.positive + found.neutral in (13, 14, 15)
    assert found.dimension is not None
    spread = 2 * (found.dimension.high - found.dimension.value)
    assert spread < 0.5
    assert found.dimension.value == pytest.approx(27.1, abs=0.05 + spread)
    assert found.total is not None
    assert found.total.times(5).value == pytest.approx(-40, abs=0.02)
    (moments,) = climate.moments(sea)
    for value, published in ((moments.mean, 2.34), (moments.std, 3.64)):
        width = 2 * (value.high - value.value)
        assert width < 0.03
        assert value.value == pytest.approx(published, abs=0.005 + width)

    # Lorenz and Emanuel (1998): errors double in 2.1 days.
    sizes = predictability.error_growth(simulator, run[:, -1], unit, steps=40)
    growth = predictability.growth_rate(sizes)
    assert growth is not None
    assert math.log(2) / growth.rate.high < 2.1 < 1.05 * math.log(2) / growth.rate.low


# -- predictability


def test_errors_of_a_linear_map_grow_by_its_eigenvalue() -> None:
    simulator = Linear(diagonal=(1.2, 0.9, 0.5))
    states = simulator.initial(Noise.rows(0, "start", 6))
    sizes = predictability.error_growth(simulator, states, torch.ones(1, 1), steps=60)
    assert sizes.shape == (6, 61)
    found = predictability.growth_rate(sizes)
    assert found is not None
    assert found.rate.value == pytest.approx(math.log(1.2), abs=0.02)


def test_errors_that_do_not_grow_have_no_rate() -> None:
    simulator = Decay()
    states = simulator.initial(Noise.rows(0, "start", 6))
    sizes = predictability.error_growth(simulator, states, torch.ones(1, 1), steps=10)
    # The noise is the same, so the difference decays exactly.
    assert np.allclose(sizes / sizes[:, :1], 0.8 ** np.arange(11), rtol=1e-9)
    assert predictability.growth_rate(sizes) is None


def test_spread_and_horizon_of_a_known_law() -> None:
    # A site is N(., 1 - .64^k) k steps ahead: the horizons follow by hand, linear between steps.
    # 64 x 64 x 8 numbers: the spread's relative error is 1 / sqrt(2 x 32256) = .004; the horizons
    # may be off by 5 of what follows from it (false alarm 6e-7).
    simulator = Decay()
    given = simulator.initial(Noise.rows(0, "start", 64))
    (block,) = draw(Law(simulator), given, members=64, leads=range(1, 11), seed=0)
    sea = at_sea(block, simulator.spec)
    variances = predictability.spread(sea, torch.ones(1, 1)).numpy()
    exact = 1 - 0.64 ** np.arange(1, 11)
    assert variances.mean(0) == pytest.approx(exact, rel=5 * 2 * 0.004)
    half = predictability.horizon(variances, 0.5)
    assert half is not None
    assert half.value == pytest.approx(0.5 / 0.6, rel=5 * 0.004)
    most = predictability.horizon(variances, 0.95)
    below, above = np.sqrt(exact[[4, 5]])
    assert most is not None
    assert most.value == pytest.approx(5 + (0.95 - below) / (above - below), abs=0.02 / 0.0203)
    assert most.low < most.value < most.high
    assert predictability.horizon(variances, 1.2) is None


def test_noise_over_increment_of_a_known_law() -> None:
    # Law variance 1 - .64; changes have the mean square 2 (1 - .8).
    simulator = Decay()
    given = simulator.initial(Noise.rows(0, "start", 256))
    (block,) = draw(Law(simulator), given, members=16, leads=[1], seed=0)
    one = at_sea(block[:, :, 0], simulator.spec).double()
    change = (one - at_sea(given, simulator.spec)[:, None]).square().mean((1, 3))
    (found,) = climate.noise_to_increment(one.var(1).mean(2), change)
    # Half the width of the interval is two standard errors; five are allowed (6e-7).
    assert found.value == pytest.approx(math.sqrt(0.36 / 0.4), abs=2.5 * (found.high - found.value))
    assert found.high - found.low < 0.05


# -- climate


def test_moments_and_memory_of_red_noise() -> None:
    simulator = Decay()
    run = trajectories(simulator, Noise.rows(0, "climate", 128), spin_up=0, steps=200)
    sea = at_sea(run, simulator.spec)
    (moments,) = climate.moments(sea)
    for found, exact in (
        (moments.mean, 0),
        (moments.std, 1),
        (moments.skewness, 0),
        (moments.excess_kurtosis, 0),
    ):
        error = (found.high - found.value) / 2
        assert error < 0.03
        assert found.value == pytest.approx(exact, abs=5 * error)  # false alarm 6e-7
    curve = climate.autocorrelation(sea, 12)[0]
    assert curve == pytest.approx(0.8 ** np.arange(13), abs=0.03)
    memory = climate.decorrelation(curve)
    assert memory == pytest.approx(4 + (0.4096 - math.exp(-1)) / 0.08192, abs=0.2)
    assert climate.decorrelation(curve[:3]) is None


def test_anomalies_leave_a_map_that_stands_still_out() -> None:
    run = torch.zeros(4, 5, 1, 8) + torch.arange(8.0)
    run[:, ::2] += 1.0
    (moments,) = climate.moments(run)
    assert moments.std.value == pytest.approx(math.sqrt(0.6 * 0.4))
    assert moments.mean.value == pytest.approx(3.5 + 0.6)


def test_density_is_a_density() -> None:
    run = Noise.rows(0, "x", 8).normal(100, 2, 5)
    edges = np.linspace(-6, 6, 25)
    density = climate.density(run, edges)
    assert density.shape == (2, 24)
    assert (density * 0.5).sum(1) == pytest.approx([1, 1])


def test_land_does_not_count() -> None:
    dim = Dimension(name="x", size=3)
    spec = StateSpec(variables=(Variable(name="q"),), dims=(dim,), land=(1,))
    assert at_sea(torch.arange(6.0).view(2, 1, 3), spec).tolist() == [[[0, 2]], [[3, 5]]]


# -- draws and intervals


def test_draws_do_not_depend_on_blocks_or_the_number_of_members(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    law = Law(Decay())
    given = Decay().initial(Noise.rows(0, "start", 5))
    (whole,) = draw(law, given, members=6, leads=[1, 3], seed=7)
    monkeypatch.setattr("geobench.describe.draws.BLOCK_BYTES", 1)
    single = list(draw(law, given, members=4, leads=[1, 3], seed=7))
    assert len(single) == 5
    assert torch.equal(torch.cat(single), whole[:, :4])
    (longer,) = draw(law, given[:1], members=1, leads=[1, 2, 3], seed=7)
    assert torch.equal(longer[:, :, [0, 2]], whole[:1, :1])


@pytest.mark.parametrize("count", [6, 64])
def test_bootstrap_interval_covers_as_often_as_it_says(count: int) -> None:
    # 200 samples of normal numbers: 10 misses are expected; five standard deviations more are 25.
    samples = np.random.default_rng(0).standard_normal((200, count, 1))
    misses = sum(not found.low < 0 < found.high for found in map(bootstrap, samples))
    assert 1 <= misses <= 25


def test_jackknife_of_a_mean_is_the_standard_error() -> None:
    values = np.array([[1.0], [2.0], [4.0], [9.0]])
    found = jackknife(values, lambda means: means[..., 0])
    assert found.value == 4
    assert found.high - 4 == pytest.approx(2 * values.std(ddof=1) / 2)


def test_bootstrap_of_a_ratio() -> None:
    cases = np.stack([np.arange(1.0, 11), np.full(10, 2.0)], 1)
    found = bootstrap(cases, ratio)
    assert found.value == pytest.approx(2.75)
    assert found.low < 2.75 < found.high


def test_wilson_interval_by_hand() -> None:
    low, high = wilson([0, 5, 10], 10)
    assert low.tolist() == pytest.approx([0, 0.2366, 0.7225], abs=1e-4)
    assert high.tolist() == pytest.approx([0.2775, 0.7634, 1], abs=1e-4)
    low, high = wilson([[0], [400]], 400)
    assert (low[0, 0], high[1, 0]) == (0, 1)  # exactly: an event cannot be likelier than certain


def _blocks(exponents: list[float], seed: int, blocks: int = 32) -> lyapunov.Spectrum:
    """What a run finds: normal block means, deviation 0.01, in the order of their means."""
    drawn = np.random.default_rng(seed).normal(exponents, 0.01, (blocks, len(exponents)))
    order = drawn.mean(0).argsort()[::-1]
    return lyapunov.Spectrum(drawn[:, order], complete=True)


def test_neutral_exponents_are_counted_by_their_intervals() -> None:
    """None, one, two or three that are zero, 300 times each, at 99.9 %: at most 3 of 300 wrong.

    Of three zeros, 0.3 % are missed by chance: more than 5 of 300 one time in 1,000. Intervals of
    two standard errors miss 5 % of each, and so count wrongly every seventh time.
    """
    for zeros in range(4):
        exponents = [0.2, 0.1, *[0.0] * zeros, -0.1, -0.4]
        found = [_blocks(exponents, seed) for seed in range(300)]
        counts = [(each.positive, each.neutral) for each in found]
        assert sum(count != (2, zeros) for count in counts) <= 5


def test_a_cycle_has_dimension_one_and_a_torus_two() -> None:
    """Their largest exponents are zero, and a run finds them a little above or below."""
    for zeros, dimension in ((0, 0.0), (1, 1.0), (2, 2.0)):
        for seed in range(20):
            found = _blocks([*[0.0] * zeros, -0.1, -0.4], seed)
            if found.neutral == zeros:
                assert found.dimension is not None
                assert found.entropy is not None
                assert found.dimension.value == dimension
                assert found.entropy.value == 0


def test_weak_chaos_has_seven_positive_exponents() -> None:
    """36 sites, F = 5, no noise: against a run of 60,000 units of an independent programme.

    That was of the tangent equations, by Runge-Kutta steps of 0.05 units in double precision. Its
    eighth and ninth exponents are 0.0015 ± 0.0007 and -0.0027 ± 0.0011 per unit, 0.0004 and -0.0064
    in another run of a third the length: two neutral ones. The tenth is -0.062 ± 0.001. Each may be
    off by four standard errors.
    """
    published = [0.5393, 0.3868, 0.3001, 0.2292, 0.1691, 0.1086, 0.0546]
    simulator = Lorenz95(sites=36, forcing=5, amplitude=0)
    run = trajectories(simulator, Noise.rows(0, "weak", 8), spin_up=300, steps=2)
    unit = torch.full((1, 1), 3.0, dtype=torch.float64)
    found = lyapunov.spectrum(simulator, run[:, -1], unit, count=10, steps=1200, settle=300)
    assert found.positive == 7
    assert found.neutral == 2
    for value, error, expected in zip(found.exponents, found.errors, published, strict=False):
        assert 5 * value == pytest.approx(expected, abs=4 * (5 * error + 0.004))
    assert abs(5 * found.exponents[7]) < 4 * 5 * found.errors[7]
