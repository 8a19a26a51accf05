"""The energy score: against its definition, closed forms, and what it is meant to see."""

import math
from itertools import product

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Noise
from geobench.testing import small_case
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.energy import Energy

Case = tuple[xr.DataArray, xr.DataArray, Context]


def _case(inits: int, count: int, *, correlation: float = 0.0) -> Case:
    """Members and outcomes of one normal law: two variables on 3 x 4 cells, two of them land.

    `correlation` is that of any two numbers of a field. `v` is 100 times as large as `u`, and land
    holds rubbish.
    """
    rows = Noise.rows(0, "energy", inits)
    fields = {
        name: math.sqrt(1 - correlation) * rows.use(name).normal(1, size, 2, 3, 4)
        + math.sqrt(correlation) * rows.use(f"common {name}").normal(1, size, 1, 1, 1)
        for name, size in (("members", count), ("truth", 1))
    }
    dims = ("init_time", "lead_time", "member", "variable", "y", "x")
    coords = {"variable": ["u", "v"]}
    size = xr.DataArray([1.0, 100.0], coords, "variable")
    sea = xr.DataArray(np.ones((3, 4), bool), dims=("y", "x"))
    sea[1, 1:3] = False
    forecast, truth = (
        (xr.DataArray(field.numpy(), coords, dims) * size).where(sea, 1e6 * place)
        for place, field in enumerate(fields.values())
    )
    thresholds = xr.zeros_like(forecast.isel(init_time=[0], lead_time=0, member=0))
    std = size * xr.ones_like(sea, dtype=float)
    context = Context(thresholds.rename(init_time="quantile"), sea, std.where(sea, 0.0))
    return forecast, truth.isel(member=0), context


def _naive(forecast: xr.DataArray, truth: xr.DataArray, context: Context) -> float:
    """The definition, by a loop over all pairs."""
    sea = context.sea.values
    total = 0.0
    for init in range(forecast.sizes["init_time"]):
        x = forecast.values[init, 0][:, :, sea].astype(float) / [[[1], [100]]]
        y = truth.values[init, 0][:, sea].astype(float) / [[1], [100]]
        m, root = len(x), math.sqrt(y.size)
        far = sum(float(np.linalg.norm(x[j] - y)) for j in range(m)) / m
        near = sum(float(np.linalg.norm(x[j] - x[k])) for j, k in product(range(m), range(m)))
        total += (far - near / (2 * m * (m - 1))) / root
    return total / forecast.sizes["init_time"]


def _distance(forecast: xr.DataArray, truth: xr.DataArray, context: Context) -> float:
    """Mean distance of the first member."""
    away = (forecast.isel(member=0) - truth) / context.std.where(context.sea)
    return float((away.astype(float) ** 2).mean(("variable", "y", "x")).pipe(np.sqrt).mean())


def _scores(case: Case) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The score of each case."""
    found = Energy().metric(Energy().statistics(*case))["energy score"]
    return found.transpose("lead_time", "init_time").values[0]


@pytest.mark.parametrize("count", [2, 7])
def test_it_is_the_mean_over_pairs_of_sea_cells_in_units_of_the_climate(count: int) -> None:
    case = _case(5, count)
    assert _scores(case).mean() == pytest.approx(_naive(*case), rel=1e-6)


def test_on_one_cell_it_is_the_crps() -> None:
    forecast, truth, context = small_case()
    one = {"x": [3]}
    alone = Context(context.thresholds.isel(one), context.sea.isel(one), 2 * context.std.isel(one))
    found = Energy().statistics(forecast.isel(one), truth.isel(one), alone)
    crps = CRPS().statistics(forecast.isel(one), truth.isel(one), alone).isel(variable=0, drop=True)
    xr.testing.assert_allclose(2 * found.rename(energy="crps"), crps, rtol=1e-6)


def test_every_cell_counts_by_the_variance_of_its_variable() -> None:
    """Not by its own: quiet cells (a wall's are still) must not decide."""
    forecast, truth, context = _case(4, 3)
    uneven = context.std * xr.DataArray([[0.0, 2.0, 2.0, 0.0]] * 3, dims=("y", "x"))
    # Of ten sea cells four vary, by twice as much: a mean variance of 1.6 (u) and 16,000 (v).
    found = _scores((forecast, truth, Context(context.thresholds, context.sea, uneven)))
    assert found == pytest.approx(_scores((forecast, truth, context)) / math.sqrt(1.6))


@pytest.mark.parametrize("count", [2, 20])
def test_a_perfect_ensemble_scores_the_same_with_any_number_of_members(count: int) -> None:
    """For x, y ~ N(0, I_20): half of E|x - x'| = Γ(10.5) / Γ(10), over √20.

    Within 5 standard errors of 2,000 cases: false alarm 6e-7.
    """
    scores = _scores(_case(2000, count))
    exact = math.gamma(10.5) / math.gamma(10) / math.sqrt(20)
    assert abs(scores.mean() - exact) < 5 * scores.std() / math.sqrt(2000)
    assert scores.std() / math.sqrt(2000) < 0.005  # and that is close


def test_it_sees_members_that_are_shuffled_at_every_cell() -> None:
    """Paired over 1,000 cases, the law beats its own marginals by over 5 standard errors.

    The CRPS of the two is the same.
    """
    forecast, truth, context = _case(1000, 8, correlation=0.8)
    shift = xr.DataArray(np.arange(24).reshape(2, 3, 4) % 8, dims=("variable", "y", "x"))
    shuffled = forecast.isel(member=(xr.DataArray(np.arange(8), dims="member") + shift) % 8)
    shuffled = shuffled.transpose(*forecast.dims)
    gap = _scores((shuffled, truth, context)) - _scores((forecast, truth, context))
    assert gap.mean() > 5 * gap.std() / math.sqrt(1000)
    marginals = [CRPS().statistics(each, truth, context) for each in (shuffled, forecast)]
    xr.testing.assert_allclose(*marginals, rtol=1e-6)


def test_one_member_is_a_point_mass() -> None:
    case = _case(3, 1)
    assert _scores(case).mean() == pytest.approx(_distance(*case), rel=1e-6)


def test_it_keeps_its_digits_far_from_zero() -> None:
    forecast, truth, context = (each.astype("float32") if isinstance(each, xr.DataArray) else each
                                for each in small_case())  # fmt: skip
    near = (forecast * 2**10).round() / 2**10, (truth * 2**10).round() / 2**10
    far = near[0] + np.float32(2**12), near[1] + np.float32(2**12)  # exact in float32
    xr.testing.assert_equal(Energy().statistics(*near, context), Energy().statistics(*far, context))
