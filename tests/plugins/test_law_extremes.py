"""Extremes against the law: exact for normal laws, and 0 for the law itself."""

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from geobench import Context, Noise, Scorer
from geobench.testing import small_case
from geobench_plugins.scorers.law_extremes import (
    LawBrier,
    LawExceedance,
    LawReliability,
    LawReturnLevel,
    LawValue,
)


def _case(
    count: int, scale: float = 1, shift: float = 0, inits: int = 1000, draws: int = 40
) -> tuple[xr.DataArray, xr.DataArray, Context]:
    """Members N(shift, scale²), draws of the law N(0, 1), thresholds 0.5 and 1."""
    forecast, truth, context = small_case(inits, count)
    drawn = Noise.rows(5, "law", inits).normal(2, draws, 1, 8).numpy()
    law = xr.DataArray(drawn, truth.coords, forecast.dims)
    return scale * forecast + shift, truth, replace(context, law=law)


def _told(scorer: Scorer, case: tuple[xr.DataArray, xr.DataArray, Context]) -> xr.Dataset:
    return scorer.metric(scorer.statistics(*case).mean("init_time")).isel(variable=0)


@pytest.mark.parametrize("count", [2, 20])
def test_the_error_of_p_is_exact_and_unbiased(count: int) -> None:
    """16,000 cells: standard errors are below .002 (2 members), and tolerances above five."""
    found = _told(LawBrier(), _case(count, 0.8, 0.3))["squared error of p"].mean("lead_time")
    p = stats.norm.sf([0.5, 1.0], 0.3, 0.8) - stats.norm.sf([0.5, 1.0])
    np.testing.assert_allclose(found, p**2, atol=0.012 if count == 2 else 0.003)
    own = _told(LawBrier(), _case(count))["squared error of p"].mean("lead_time")
    np.testing.assert_allclose(own, 0, atol=0.012 if count == 2 else 0.003)


def _knowing(count: int, shift: float = 0) -> tuple[xr.DataArray, xr.DataArray, Context]:
    """Cases N(±1, 1), so that p differs from case to case, and members that know it."""
    forecast, truth, context = _case(count, shift=shift, inits=600, draws=60 + count)
    assert context.law is not None
    sign = xr.DataArray(np.where(np.arange(600) % 2, 1.0, -1.0), dims="init_time")
    return forecast + sign, truth, replace(context, law=context.law + sign)


@pytest.mark.parametrize("count", [3, 20])
def test_the_law_is_reliable_at_any_number_of_members(count: int) -> None:
    """4,800 cells a lead time: the difference is within .003 by five standard errors and more."""
    found = _told(LawReliability(), _knowing(count))["reliability against p"]
    assert bool((abs(found) < 0.005).all())
    wrong = _told(LawReliability(), _knowing(count, shift=0.8))["reliability against p"]
    assert bool((wrong > 0.02).all())


def test_the_reliability_of_certain_members_is_by_hand() -> None:
    """Members that are always above, of a law that is half the time: (1 - p)², less its own."""
    forecast, truth, context = _case(4, inits=50, draws=400)
    found = LawReliability().statistics(0 * forecast + 9, truth, context).mean("init_time")
    own = found.isel(variable=0, lead_time=0).sel(quantile=0.7, of="members")
    assert own["share"].to_numpy().tolist() == [0, 0, 0, 0, 1]
    assert float(own["sum"][-1]) == pytest.approx(stats.norm.sf(0.5), abs=0.01)


def test_exceedances_are_those_of_the_normal_law() -> None:
    """2.5 million values: shares are known within 1 % (five standard errors)."""
    found = _told(LawExceedance(), _case(20, 0.8, 0.3))["exceedance over the law's"]
    expected = stats.norm.sf([0.5, 1.0], 0.3, 0.8) / stats.norm.sf([0.5, 1.0]) - 1
    np.testing.assert_allclose(found.mean("lead_time"), expected, atol=0.02)


def test_value_is_lost_by_what_a_user_pays_more() -> None:
    """p is .31 and .16 in all cases: with C/L = .2 who knows acts at the first quantile only."""
    p = stats.norm.sf(0.5)
    for shift, expense in ((-5.0, p), (5.0, 0.2), (0.0, None)):
        case = _case(20, shift=shift, draws=2000, inits=40)
        found = LawValue(cost_loss=(0.2,)).statistics(*case).mean("init_time").isel(variable=0)
        own = found.sel(quantile=0.7, cost_loss=0.2)
        if expense is None:  # acts where 4 of 20 members are above
            act = stats.binom.sf(3, 20, p)
            expense = act * 0.2 + (1 - act) * p
        np.testing.assert_allclose(own["members"], expense, atol=0.01)
        np.testing.assert_allclose(own["rate"], p, atol=0.01)


def test_what_is_known_of_a_case_is_worth_something() -> None:
    """Cases N(±1, 1): half of the value is lost by members that know the climate alone."""
    forecast, truth, context = _case(20, inits=400, draws=60)
    assert context.law is not None
    sign = xr.DataArray(np.where(np.arange(400) % 2, 1.5, -1.5), dims="init_time")
    knowing = replace(context, law=context.law + sign)
    scorer = LawValue(cost_loss=(0.2,))
    lost = [
        float(_told(scorer, (each, truth, knowing))["value lost"].sel(quantile=0.9).mean())
        for each in (forecast + sign, forecast * 2)
    ]
    assert abs(lost[0]) < 0.05
    assert lost[1] > 0.5


def test_return_levels_of_an_exponential_tail() -> None:
    """Above any level the exponential law has index 0, and its level of p is scale ln(share / p).

    1.3 million members, a tenth of them above: scale and level are within 2 %, ξ within .02.
    """
    rng = np.random.Generator(np.random.Philox(key=3))
    forecast, truth, context = small_case(2000, 40)
    for_law = rng.exponential(1.0, forecast.shape)
    members = forecast.copy(data=2 * rng.exponential(1.0, forecast.shape))
    limit = context.thresholds * 0 + math.log(10)
    own = replace(context, law=forecast.copy(data=for_law), thresholds=limit)
    found = _told(LawReturnLevel(above=0.9, probability=1e-3), (members, truth, own))
    share = math.exp(-math.log(10) / 2)
    expected = 2 * math.log(share / 1e-3) - math.log(0.1 / 1e-3)
    np.testing.assert_allclose(found["return level over the law's"], expected, atol=0.15)
    np.testing.assert_allclose(found["tail index over the law's"], 0, atol=0.04)


def test_light_tails_have_a_negative_index() -> None:
    rng = np.random.Generator(np.random.Philox(key=4))
    forecast, truth, context = small_case(1000, 40)
    limit = context.thresholds * 0 + 0.5
    members = forecast.copy(data=rng.uniform(0, 1, forecast.shape))  # ξ = -1
    law = forecast.copy(data=rng.exponential(1, forecast.shape))  # ξ = 0
    own = replace(context, law=law, thresholds=limit)
    found = _told(LawReturnLevel(above=0.9, probability=1e-2), (members, truth, own))
    np.testing.assert_allclose(found["tail index over the law's"], -1, atol=0.05)


@pytest.mark.parametrize(
    "scorer", [LawBrier(), LawExceedance(), LawValue(), LawReturnLevel()], ids=lambda s: s.name
)
def test_nothing_is_between_the_law_and_itself(scorer: Scorer) -> None:
    found = scorer.statistics(*_case(8, inits=5)).mean("init_time") * 0
    for values in scorer.metric(found).data_vars.values():
        assert bool((values == 0).all())


def test_return_levels_do_not_mind_cells_that_never_change() -> None:
    """Where a wall is, all is 0: the climate has no spread, and no member is above it."""
    forecast, truth, context = _case(10)
    assert context.law is not None
    wall = xr.DataArray(np.arange(8) == 3, dims="x")
    members, law = (each.where(~wall, 0.0) for each in (forecast, context.law))
    own = replace(
        context,
        law=law,
        std=context.std.where(~wall, 0.0),
        thresholds=context.thresholds.where(~wall, 0.0),
    )
    found = _told(LawReturnLevel(), (members, truth, own))["return level over the law's"]
    assert float(abs(found).max()) < 0.5
    np.testing.assert_array_equal(np.isfinite(found), True)
