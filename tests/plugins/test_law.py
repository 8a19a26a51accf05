"""Distances from the law: definitions, closed forms, and 0 at the law itself."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Scorer
from geobench.testing import small_case
from geobench_plugins.scorers.law import LawCRPS, LawEnergy, LawMean, LawSpread

Case = tuple[xr.DataArray, xr.DataArray, Context]


def _case(inits: int = 6, count: int = 5, scale: float = 1, shift: float = 0) -> Case:
    """Members N(shift, scale²), 16 draws of the law N(0, 1); two leads, eight sites."""
    forecast, truth, context = small_case(inits, count)
    return scale * forecast + shift, truth, context


def _of_cases(scorer: Scorer, case: Case) -> np.ndarray:
    """The first statistic, averaged over leads: `(init,)`."""
    found = scorer.statistics(*case)
    (name, *_) = found.data_vars
    values = found[name].mean("lead_time")
    return values.isel(variable=0).to_numpy() if "variable" in values.dims else values.to_numpy()


def test_excess_is_what_its_definition_says() -> None:
    forecast, _, context = case = _case(scale=1.3, shift=0.4)
    assert context.law is not None
    x, y = (
        each.isel(variable=0).transpose("member", ...).astype(float)
        for each in (forecast, context.law)
    )

    def among(values: xr.DataArray) -> xr.DataArray:
        pairs = [abs(values[j] - values[k]) for j, k in combinations(range(len(values)), 2)]
        return sum(pairs) / len(pairs)  # type: ignore[return-value] # at least one

    across = sum(abs(one - other) for one in x for other in y) / (len(x) * len(y))
    expected = (across - among(x) / 2 - among(y) / 2).mean("x")
    found = LawCRPS().statistics(*case)["excess"].isel(variable=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_excess_energy_of_one_site_is_the_excess_crps() -> None:
    forecast, truth, context = _case(scale=1.3, shift=0.4)
    assert context.law is not None
    one = {"x": [3]}
    parts = (context.thresholds, context.sea, context.std, context.law)
    case = forecast.isel(one), truth.isel(one), Context(*(part.isel(one) for part in parts))
    np.testing.assert_allclose(
        LawEnergy().statistics(*case)["excess"],
        LawCRPS().statistics(*case)["excess"].isel(variable=0),
        rtol=1e-5,
        atol=1e-7,
    )


def test_an_offset_costs_no_digits() -> None:
    forecast, truth, context = _case(20)
    assert context.law is not None
    near = [(each * 2**10).round() / 2**10 for each in (forecast, context.law)]  # exact below
    for scorer in (LawCRPS(), LawEnergy(), LawMean(), LawSpread()):
        found = [
            scorer.statistics(members, truth, replace(context, law=law))
            for members, law in (near, [each + np.float32(2**12) for each in near])
        ]
        xr.testing.assert_allclose(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scorer", [LawCRPS(), LawEnergy(), LawMean()])
@pytest.mark.parametrize("count", [2, 20])
def test_the_law_is_at_no_distance_from_itself(scorer: Scorer, count: int) -> None:
    """Five standard errors of 2,000 cases: a false alarm in 2 million."""
    found = _of_cases(scorer, _case(2000, count))
    assert abs(found.mean()) < 5 * found.std() / math.sqrt(2000)
    wrong = _of_cases(scorer, _case(2000, count, shift=0.5))
    assert wrong.mean() > 5 * wrong.std() / math.sqrt(2000)


@pytest.mark.parametrize("count", [2, 20])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.5), (0.5, 0.0), (1.4, -0.3)])
def test_excess_of_a_normal_law_is_known(count: int, scale: float, shift: float) -> None:
    """E|N(m, s²)| = s sqrt(2/π) exp(-m²/2s²) + m erf(m / s√2); five standard errors."""

    def mean_size(m: float, s: float) -> float:
        bell = s * math.sqrt(2 / math.pi) * math.exp(-(m**2) / (2 * s**2))
        return bell + m * math.erf(m / (s * math.sqrt(2)))

    exact = (
        mean_size(shift, math.hypot(1, scale))
        - mean_size(0, math.sqrt(2) * scale) / 2
        - mean_size(0, math.sqrt(2)) / 2
    )
    found = _of_cases(LawCRPS(), _case(2000, count, scale, shift))
    assert abs(found.mean() - exact) < 5 * found.std() / math.sqrt(2000)


def test_mean_and_spread_tell_shift_and_scale() -> None:
    """Of 16,000 sites and leads each: errors of 0.02 are over five standard errors."""
    case = _case(2000, 20, scale=0.7, shift=0.5)
    mean, spread = (
        scorer.metric(scorer.statistics(*case).mean("init_time"))
        for scorer in (LawMean(), LawSpread())
    )
    np.testing.assert_allclose(mean["squared error of the mean"], 0.25, atol=0.02)
    np.testing.assert_allclose(spread["spread over the law's"], -0.3, atol=0.02)


def test_dependence_is_seen_by_the_energy_alone() -> None:
    """Members that are the same at all sites have the right marginals, and another law."""
    forecast, truth, context = _case(500, 10)
    same = forecast.isel(x=0) + xr.zeros_like(forecast)
    case = same.transpose(*forecast.dims), truth, context
    marginal, joint = _of_cases(LawCRPS(), case), _of_cases(LawEnergy(), case)
    assert abs(marginal.mean()) < 5 * marginal.std() / math.sqrt(500)
    assert joint.mean() > 5 * joint.std() / math.sqrt(500)
