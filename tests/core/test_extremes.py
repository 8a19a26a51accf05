"""Events and return levels against laws whose tails are known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from geobench import Event, GeobenchError, Law, Noise, Simulator
from geobench.describe.draws import draw
from geobench.statistics.extremes import (
    Fit,
    block_maxima,
    fit_gev,
    fit_gpd,
    peaks,
    return_levels,
)
from geobench.testing import Decay
from geobench.twin.events import measure, probabilities, region, thresholds

ABOVE = Event(name="high", of="q", quantiles=(0.9, 0.99))


# -- events


def test_an_event_is_measured_in_its_region_and_reduced() -> None:
    states = torch.arange(16.0).view(2, 1, 8)

    def found(**fields: object) -> list[list[float]]:
        return measure(Event(name="e", of="q", **fields), Decay(), states).tolist()

    assert found() == states[:, 0].tolist()
    assert found(region=((0.25, 0.5),)) == [[2, 3], [10, 11]]
    assert found(reduce="max") == [[7], [15]]
    assert found(reduce="min", region=((0.5, 1),)) == [[4], [12]]
    assert found(reduce="mean", region=((0, 0.5),)) == [[1.5], [9.5]]


class _Summed(Decay):
    name = "summed"

    def diagnostics(self, state: torch.Tensor) -> dict[str, torch.Tensor]:
        return {**super().diagnostics(state), "total": state.sum((1, 2))}


def test_a_diagnostic_that_is_one_number_needs_no_reduction() -> None:
    states = torch.arange(16.0).view(2, 1, 8)
    assert measure(Event(name="e", of="total"), _Summed(), states).tolist() == [[28], [92]]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Event(name="e", of="speed"), "is of 'speed', which decay does not have. There are: q"),
        (Event(name="e", of="q", region=((0, 1), (0, 1))), "bounds 2 dims of 1"),
        (Event(name="e", of="q", region=((0.51, 0.52),)), "holds no cell"),
    ],
)
def test_events_that_cannot_be_are_told_on_one_line(event: Event, told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        measure(event, Decay(), torch.zeros(1, 1, 8))
    assert "\n" not in str(error.value)


def test_land_is_in_no_region() -> None:
    class Island(Decay):
        name = "island"

        @property
        def spec(self):
            return super().spec.model_copy(update={"land": (0, 3)})

    assert region(ABOVE, Island()).tolist() == [False, True, True, False, *[True] * 4]


def test_thresholds_are_quantiles_of_each_place_and_of_the_lower_tail() -> None:
    values = torch.arange(101.0).view(1, 101, 1) + torch.tensor([0.0, 100.0])
    assert thresholds(ABOVE, values).tolist() == [[90, 190], [99, 199]]
    below = Event(name="low", of="q", side="below", quantiles=(0.9,))
    assert thresholds(below, values)[0].tolist() == pytest.approx([10, 110])


def _exact(start: torch.Tensor, lead: int, limit: float) -> np.ndarray:
    spread = math.sqrt(1 - 0.8 ** (2 * lead))
    return stats.norm.sf((limit - 0.8**lead * start.double().numpy()) / spread)


@pytest.mark.parametrize("side", ["above", "below"])
def test_probabilities_of_a_known_law(side: str) -> None:
    # 32 x 8 probabilities at each of 2 leads and 2 thresholds. Each interval misses in about 5 % of
    # the cases (Wilson's is a little off where hits are few): of 1,024, 51 are expected; more than
    # 90 would be five standard deviations.
    simulator = Decay()
    start = simulator.initial(Noise.rows(0, "start", 32))
    limits = torch.tensor([[1.0] * 8, [2.0] * 8], dtype=torch.float64)
    event = Event(name="e", of="q", side=side, quantiles=(0.9, 0.99))
    sign = 1 if side == "above" else -1
    draws = draw(Law(simulator), start, members=400, leads=[1, 2], seed=0)
    found = probabilities(event, simulator, draws, sign * limits)
    assert found.at.shape == found.within.shape == (32, 2, 2, 8)
    low, high = found.interval(found.at)
    exact = np.stack(
        [
            np.stack([_exact(sign * start[:, 0], lead, limit) for limit in (1.0, 2.0)], 1)
            for lead in (1, 2)
        ],
        1,
    )
    misses = int(((exact < low) | (exact > high)).sum())
    assert 15 < misses < 90
    # The mean over 102,400 draws of a lead: five standard errors (false alarm 2e-6 in all).
    rate = exact.mean((0, 3))
    assert found.rate() == pytest.approx(rate, abs=5 * float(np.sqrt(rate.max() / 102_400)))
    skill = 1 - (exact * (1 - exact)).mean((0, 3)) / (rate * (1 - rate))
    assert found.predictable() == pytest.approx(skill, abs=0.03)


def test_within_two_leads_is_at_either() -> None:
    simulator = Decay()
    start = simulator.initial(Noise.rows(0, "start", 3))
    limits = torch.full((1, 8), 0.5, dtype=torch.float64)
    (block,) = draw(Law(simulator), start, members=50, leads=[1, 2], seed=0)
    found = probabilities(Event(name="e", of="q", quantiles=(0.7,)), simulator, [block], limits)
    hit = block[:, :, :, 0] > 0.5
    assert np.array_equal(found.within[:, 0], found.at[:, 0])
    either = (hit[:, :, 0] | hit[:, :, 1]).double().mean(1).numpy()
    assert found.within[:, 1, 0] == pytest.approx(either)


def test_what_never_happens_has_no_skill() -> None:
    simulator = Decay()
    start = simulator.initial(Noise.rows(0, "start", 2))
    draws = draw(Law(simulator), start, members=4, leads=[1], seed=0)
    limits = torch.full((1, 8), 99.0, dtype=torch.float64)
    found = probabilities(Event(name="e", of="q", quantiles=(0.9,)), simulator, draws, limits)
    assert np.isnan(found.predictable()).all()
    assert found.rate().tolist() == [[0]]


# -- fits


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.2])
def test_block_maxima_fit_agrees_with_scipy_and_with_the_law(shape: float) -> None:
    law = stats.genextreme(c=-shape, loc=3, scale=2)
    sample = law.rvs(4000, random_state=np.random.default_rng(0))
    found = fit_gev(sample, block=100)
    c, loc, scale = stats.genextreme.fit(sample)
    assert (found.location, found.scale, found.shape) == pytest.approx((loc, scale, -c), abs=2e-3)
    # Asymptotic standard errors at this size: below .04, .03, .015; five of them (6e-7 each).
    assert found.location == pytest.approx(3, abs=0.2)
    assert found.scale == pytest.approx(2, abs=0.15)
    assert found.shape == pytest.approx(shape, abs=0.075)
    # The level of 20 blocks: its block maximum stays below it with probability exp(-1/20).
    exact = law.ppf(math.exp(-1 / 20))
    assert found.level(2000) == pytest.approx(exact, abs=0.05 * exact)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.2])
def test_peaks_fit_agrees_with_scipy_and_with_the_law(shape: float) -> None:
    sample = stats.genpareto(c=shape, scale=2).rvs(4000, random_state=np.random.default_rng(0))
    found = fit_gpd(sample, threshold=5.0, rate=0.01)
    c, _, scale = stats.genpareto.fit(sample, floc=0)
    assert (found.scale, found.shape) == pytest.approx((scale, c), abs=2e-3)
    # Standard errors: 2 sqrt(2 (1 + shape) / n), (1 + shape) / sqrt(n); five of them (6e-7 each).
    assert found.scale == pytest.approx(2, abs=5 * 2 * math.sqrt(2 * (1 + shape) / 4000))
    assert found.shape == pytest.approx(shape, abs=5 * (1 + shape) / math.sqrt(4000))


def test_where_the_likelihood_is_largest_at_its_edge_the_fit_is_there() -> None:
    # Evenly spaced heights: it grows up to shape -1, where the law is uniform up to the largest.
    found = fit_gpd(np.linspace(0.05, 1, 20), threshold=0.0, rate=0.1)
    assert found.shape == pytest.approx(-1, abs=1e-3)
    assert found.scale == pytest.approx(1, abs=1e-3)


def test_the_fit_does_not_depend_on_where_the_search_begins() -> None:
    sample = stats.genextreme(c=0.1, scale=2).rvs(300, random_state=np.random.default_rng(1))
    heights = sample - sample.min()
    far = Fit("", 0.1, location=float(sample.mean()) + 1, scale=6.0, shape=0.4, count=0)
    for one, other in (
        (fit_gev(sample, 10), fit_gev(sample, 10, far)),
        (fit_gpd(heights, 0, 0.1), fit_gpd(heights, 0, 0.1, far)),
    ):
        assert (one.location, one.shape) == pytest.approx((other.location, other.shape), abs=5e-5)
        assert math.log(one.scale / other.scale) == pytest.approx(0, abs=5e-5)


@pytest.mark.parametrize("shape", [-0.5, -0.2, 0.2])
def test_no_fit_of_a_small_sample_is_more_likely(shape: float) -> None:
    """scipy's own search finds no place of a larger likelihood, but where shapes are below -1."""
    generator = np.random.default_rng(2)
    for _ in range(10):
        sample = stats.genpareto(shape).rvs(20, random_state=generator)
        found = fit_gpd(sample, 0, 0.1)
        assert found.shape > -1
        c, _, scale = stats.genpareto.fit(sample, floc=0)
        if c > -1:
            own, other = (
                stats.genpareto(*place).logpdf(sample).sum()
                for place in ((found.shape, 0, found.scale), (c, 0, scale))
            )
            assert own >= other - 1e-3


def test_levels_by_hand() -> None:
    # One cluster in 100 steps, exponential excesses of mean 2: 1,000 steps hold ten clusters.
    exponential = Fit("gpd", rate=0.01, location=5, scale=2, shape=0.0, count=1)
    assert exponential.level(1000) == pytest.approx(5 + 2 * math.log(10))
    bounded = Fit("gpd", rate=0.01, location=5, scale=2, shape=-0.5, count=1)
    assert bounded.level(1e12) == pytest.approx(5 + 2 / 0.5, rel=1e-4)
    assert math.isnan(exponential.level(50))


def test_declustering_of_a_series_made_by_hand() -> None:
    series = np.array(
        [
            [0, 5, 0, 7, 0, 0, 0, 6, 0, 0],
            [9, 0, 0, 0, 0, 0, 0, 0, 0, 8],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ],
        dtype=float,
    )
    assert [each.tolist() for each in peaks(series, 4, gap=1)] == [[5, 7, 6], [9, 8], []]
    assert [each.tolist() for each in peaks(series, 4, gap=2)] == [[7, 6], [9, 8], []]
    assert [each.tolist() for each in peaks(series, 4, gap=4)] == [[7], [9, 8], []]
    assert peaks(series, 4, gap=9)[1].tolist() == [9]
    assert block_maxima(series, 4).tolist() == [[7, 6], [9, 0], [0, 0]]


# -- return levels


def _white(rows: int, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, steps))


def test_return_levels_of_white_noise_are_normal_quantiles() -> None:
    # N(0, 1), independent in time: passed once in T steps is the 1 - 1/T quantile, exactly. Both
    # laws are limits, so a bias of .03 is allowed beside twice the 95 % half-width.
    found = return_levels(
        _white(64, 5000), periods=[1000, 5000, 320_000], gap=1, block=250, resamples=100
    )
    for level in found.levels[:2]:
        exact = stats.norm.isf(1 / level.period)
        for each in (level.gev, level.gpd):
            assert each.value == pytest.approx(exact, abs=0.03 + (each.high - each.low))
            assert each.low < each.value < each.high
            assert each.high - each.low < 0.25
    assert [level.seen_enough for level in found.levels] == [True, True, False]
    assert found.levels[0].expected == 320
    assert found.levels[0].exceedances == pytest.approx(320, abs=5 * math.sqrt(320))
    assert found.stationary > 1e-3


def test_a_drift_is_noticed() -> None:
    drifting = _white(64, 1000) + np.linspace(0, 1, 1000)
    assert return_levels(drifting, periods=[], gap=1, block=100, resamples=2).stationary < 1e-6


def test_stationary_series_seldom_raise_the_alarm() -> None:
    # 100 stationary series at 5 %: 5 alarms expected; 17 would be five standard deviations.
    alarms = sum(
        return_levels(_white(8, 400, seed), periods=[], gap=1, block=20, resamples=0).stationary
        < 0.05
        for seed in range(100)
    )
    assert alarms < 17


def test_one_block_in_a_row_leaves_stationarity_unchecked() -> None:
    found = return_levels(_white(30, 100), periods=[200], gap=1, block=100, resamples=5)
    assert math.isnan(found.stationary)


def test_a_short_series_lowers_its_threshold_to_have_clusters() -> None:
    assert (
        return_levels(_white(8, 5000), periods=[], gap=1, block=100, resamples=1).quantile == 0.99
    )
    short = return_levels(_white(8, 300), periods=[], gap=1, block=50, resamples=1)
    assert short.quantile < 0.99
    assert short.gpd.count >= 100


def test_what_cannot_be_fitted_is_not_a_number() -> None:
    for series in (np.zeros((4, 100)), np.eye(2, 100)):
        found = return_levels(series, periods=[50], gap=1, block=20, resamples=3)
        (level,) = found.levels
        assert math.isnan(level.gpd.value)
        assert not level.seen_enough
    assert math.isnan(fit_gev([1.0, 2.0, 3.0], block=10).level(100))
    assert math.isnan(fit_gpd([1.0] * 50, threshold=1, rate=0.1).level(100))


def test_simulators_offer_their_variables_as_diagnostics() -> None:
    simulator: Simulator = Decay()
    assert list(simulator.diagnostics(torch.zeros(1, 1, 8))) == ["q"]
