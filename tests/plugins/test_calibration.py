"""Bias, ranks, coverage and reliability: definitions, and what the law itself scores."""

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Scorer
from geobench.testing import small_case
from geobench_plugins.scorers.bias import Bias
from geobench_plugins.scorers.calibration import Coverage, RankHistogram, Reliability

Case = tuple[xr.DataArray, xr.DataArray, Context]


def _case(
    inits: int, count: int, spread: float = 1.0
) -> tuple[xr.DataArray, xr.DataArray, Context]:
    forecast, truth, context = small_case(inits, count)
    return spread * forecast, truth, context


def _score(scorer: Scorer, case: Case) -> xr.DataArray:
    metric = scorer.metric(scorer.statistics(*case).mean("init_time"))
    (name,) = metric.data_vars
    return metric[name].isel(variable=0)


def test_bias_is_the_mean_error() -> None:
    forecast, truth, context = _case(6, 5)
    found = _score(Bias(), (forecast + 0.25, truth, context))
    expected = (forecast.mean("member") + 0.25 - truth).mean(("init_time", "x")).isel(variable=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("count", [2, 5, 30])
def test_the_law_covers_what_it_should(count: int) -> None:
    """48,000 outcomes; five standard errors of a share are at most 0.0115: 1 false alarm in 2e6."""
    assert float(_score(Coverage(), _case(3000, count)).mean()) == pytest.approx(
        1, abs=0.0115 * (count + 1) / (count - 1)
    )
    assert float(_score(Coverage(), _case(3000, count, spread=0.7)).mean()) < 0.95
    # Each share is off by sqrt(1 / (M + 1) / 24,000) or less, in the mean by 0.8 of that.
    flat = float(_score(RankHistogram(), _case(3000, count)).mean())
    assert flat < 1.6 * np.sqrt((count + 1) / 24_000)
    assert float(_score(RankHistogram(), _case(3000, count, spread=0.7)).mean()) > 4 * flat


def test_a_single_member_covers_nothing() -> None:
    assert bool(_score(Coverage(), _case(6, 1)).isnull().all())


def test_reliability_is_murphys() -> None:
    forecast, truth, _ = case = _case(50, 4)
    found = _score(Reliability(), case)
    for place, threshold in enumerate((0.5, 1.0)):
        for lead in range(2):
            at = {"lead_time": lead, "variable": 0}
            k = (forecast.isel(at) > threshold).sum("member").to_numpy().ravel()
            o = (truth.isel(at) > threshold).to_numpy().ravel()
            term = sum(
                (k == j).mean() * (j / 4 - o[k == j].mean()) ** 2
                for j in range(5)
                if (k == j).any()
            )
            assert float(found.isel(lead_time=lead, quantile=place)) == pytest.approx(term)


def test_what_the_law_loses_in_reliability_is_the_sampling_of_its_members() -> None:
    forecast, truth, context = _case(3000, 20)
    right = float(_score(Reliability(), (forecast, truth, context)).mean())
    wrong = float(_score(Reliability(), (forecast + 0.5, truth, context)).mean())
    # Of independent members k says nothing: what is left is their own sampling, p (1 - p) / M.
    p = np.array([0.3085375, 0.1586553])
    assert right == pytest.approx((p * (1 - p) / 20).mean(), rel=0.1)
    assert wrong > 2 * right
