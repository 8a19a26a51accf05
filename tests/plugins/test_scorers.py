"""Scorers against hand-computed toys, and the behaviour that all must have."""

from itertools import product

import numpy as np
import pytest
import xarray as xr

from geobench import Scorer
from geobench.testing import small_case
from geobench_plugins.scorers.brier import Brier
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.rmse import RMSE
from geobench_plugins.scorers.spread_skill import SpreadSkill


def _score(
    scorer: Scorer, inits: int = 6, count: int = 5
) -> tuple[xr.Dataset, xr.DataArray, xr.DataArray]:
    forecast, truth, context = small_case(inits, count)
    found = scorer.statistics(forecast, truth, context)
    return scorer.metric(found.mean("init_time")), forecast, truth


def test_fair_crps_is_the_mean_over_pairs() -> None:
    metric, forecast, truth = _score(CRPS())
    m = forecast.sizes["member"]
    x, y = forecast.transpose("member", ...).values, truth.values
    pairs = sum(abs(x[j] - x[k]) for j, k in product(range(m), range(m)))
    expected = np.abs(x - y).mean(0) - pairs / (2 * m * (m - 1))
    np.testing.assert_allclose(
        metric["CRPS"].transpose("lead_time", "variable").values,
        expected.mean((0, -1)),
        rtol=1e-6,
    )


def test_one_member_is_a_point_mass_and_has_no_spread() -> None:
    ratio, _, _ = _score(SpreadSkill(), count=1)
    assert all(bool(values.isnull().all()) for values in ratio.data_vars.values())
    brier, forecast, truth = _score(Brier(), count=1)
    for place, threshold in enumerate((0.5, 1.0)):
        unlike = (forecast.isel(member=0, drop=True) > threshold) != (truth > threshold)
        xr.testing.assert_allclose(
            brier["Brier"].isel(quantile=place, drop=True), unlike.mean(("init_time", "x"))
        )
    crps, forecast, truth = _score(CRPS(), count=1)
    away = forecast.isel(member=0, drop=True) - truth
    xr.testing.assert_allclose(crps["CRPS"], abs(away).mean(("init_time", "x")), rtol=1e-6)
    rmse, _, _ = _score(RMSE(), count=1)
    xr.testing.assert_allclose(rmse["RMSE"], (away**2).mean(("init_time", "x")) ** 0.5, rtol=1e-6)


def test_rmse_is_debiased() -> None:
    metric, forecast, truth = _score(RMSE(), inits=4)
    mean = forecast.mean("member")
    expected = ((mean - truth) ** 2 - forecast.var("member", ddof=1) / 5).mean(("init_time", "x"))
    xr.testing.assert_allclose(metric["RMSE"], np.sqrt(expected), rtol=1e-5)
    biased = ((mean - truth) ** 2).mean(("init_time", "x")) ** 0.5
    assert bool((metric["RMSE"] < biased).all())


def test_fair_brier_is_ferros() -> None:
    metric, forecast, truth = _score(Brier())
    for place, threshold in enumerate((0.5, 1.0)):
        k = (forecast > threshold).sum("member")
        event = truth > threshold
        fair = (k / 5 - event) ** 2 - k * (5 - k) / (5**2 * 4)
        xr.testing.assert_allclose(
            metric["Brier"].isel(quantile=place, drop=True),
            fair.mean(("init_time", "x")),
            rtol=1e-6,
        )


@pytest.mark.parametrize("count", [3, 20])
def test_a_perfect_ensemble_scores_the_same_with_any_number_of_members(count: int) -> None:
    # Members and truth are N(0, 1): CRPS 1/sqrt(pi), RMSE 1, spread/skill 1, Brier p (1 - p).
    # 3,000 cases x 8 sites x 2 leads; tolerances are 5 standard errors (false alarm < 1e-5 in all),
    # measured over 40 seeds: .0030 (CRPS, M=3), .0050 (RMSE), .0041 (ratio), .0015 (Brier).
    crps = float(_score(CRPS(), 3000, count)[0]["CRPS"].mean())
    rmse = float(_score(RMSE(), 3000, count)[0]["RMSE"].mean())
    ratio = float(_score(SpreadSkill(), 3000, count)[0]["spread/skill"].mean())
    brier = _score(Brier(), 3000, count)[0]["Brier"].mean(("lead_time", "variable")).values
    assert crps == pytest.approx(1 / np.sqrt(np.pi), abs=0.015)
    assert rmse == pytest.approx(1, abs=0.025)
    assert ratio == pytest.approx(1, abs=0.021)
    p = np.array([0.3085375, 0.1586553])
    np.testing.assert_allclose(brier, p * (1 - p), atol=0.008)
