"""The CRPS of pooled values: its definition, land, and dependence."""

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Noise
from geobench.testing import small_case
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.pooled_crps import PooledCRPS

Case = tuple[xr.DataArray, xr.DataArray, Context]


def _plane(inits: int = 4, count: int = 5) -> Case:
    """A plane of 5 x 6 cells, of which some are land that holds rubbish."""
    drawn = Noise.rows(0, "plane", inits).normal(1, count + 1, 1, 5, 6).numpy()
    dims = ("init_time", "lead_time", "member", "variable", "y", "x")
    values = xr.DataArray(drawn, {"variable": ["q"]}, dims)
    sea = xr.DataArray(np.ones((5, 6), bool), dims=("y", "x"))
    sea[0, :2], sea[1, 0], sea[2, 4] = False, False, False
    values = values.where(sea, np.nan)
    std = xr.ones_like(sea, dtype=float).expand_dims(variable=["q"])
    context = Context(std.expand_dims(quantile=[0.9]), sea, std)
    return values.isel(member=slice(1, None)), values.isel(member=0), context


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_it_is_the_crps_of_pooled_values(pool: Any) -> None:
    forecast, truth, context = _plane()
    found = PooledCRPS(window=2, pool=pool).statistics(forecast, truth, context)
    take = np.nanmean if pool == "mean" else np.nanmax
    parts = []
    # The fifth row is left over, and the first window has one sea cell of four.
    for y, x in [(0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]:
        window = {"y": slice(y, y + 2), "x": slice(x, x + 2)}
        parts.append(
            [take(each.isel(window).to_numpy(), axis=(-2, -1)) for each in (forecast, truth)]
        )
    members, outcome = (np.stack(each, -1) for each in zip(*parts, strict=True))
    sea = xr.DataArray(np.ones(5, bool), dims="x")
    pooled = [
        xr.DataArray(values, {"variable": ["q"]}, (*own.dims[:-2], "x"))
        for values, own in ((members, forecast), (outcome, truth))
    ]
    flat = xr.DataArray(np.ones((1, 5)), {"variable": ["q"]}, ("variable", "x"))
    expected = CRPS().statistics(*pooled, Context(flat.expand_dims(quantile=[0.9]), sea, flat))
    np.testing.assert_allclose(found["crps"], expected["crps"], rtol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_members_that_are_shuffled_at_every_site_are_seen(pool: Any) -> None:
    """Paired over 300 cases by more than five standard errors; the CRPS of sites sees nothing."""
    place = np.arange(40)
    apart = abs(place[:, None] - place)
    root = np.linalg.cholesky(np.exp(-np.minimum(apart, 40 - apart) / 4))
    drawn = Noise.rows(0, "ring", 300).normal(1, 11, 1, 40).numpy() @ root.T
    dims = ("init_time", "lead_time", "member", "variable", "x")
    values = xr.DataArray(drawn, {"variable": ["q"]}, dims)
    sea = xr.DataArray(np.ones(40, bool), dims="x")
    std = xr.DataArray(np.ones((1, 40)), {"variable": ["q"]}, ("variable", "x"))
    context = Context(std.expand_dims(quantile=[0.9]), sea, std)
    forecast, truth = values.isel(member=slice(1, None)), values.isel(member=0)
    shift = xr.DataArray(np.arange(40) % 10, dims="x")
    shuffled = forecast.isel(member=(xr.DataArray(np.arange(10), dims="member") + shift) % 10)
    scorer = PooledCRPS(window=5, pool=pool)
    right, wrong = (
        scorer.statistics(each, truth, context) for each in (forecast, shuffled.transpose(*dims))
    )
    gap = (wrong["crps"] - right["crps"]).to_numpy().ravel()
    assert gap.mean() > 5 * gap.std() / math.sqrt(300)


def test_a_dim_of_fewer_cells_is_one_window() -> None:
    forecast, truth, context = _plane()
    row = {"y": [4]}
    parts = (context.thresholds, context.sea, context.std)
    case = forecast.isel(row), truth.isel(row), Context(*(each.isel(row) for each in parts))
    found = PooledCRPS(window=6).statistics(*case)
    mean = CRPS().statistics(
        *(each.mean("x").expand_dims(x=[0], axis=-1) for each in case[:2]),
        Context(*(each.isel(row).isel(x=[5]) for each in parts)),
    )
    np.testing.assert_allclose(found["crps"], mean["crps"], rtol=1e-5)


def test_where_there_is_more_land_in_every_window_nothing_is_known() -> None:
    forecast, truth, context = _plane()
    sea = context.sea.copy(data=np.zeros((5, 6), bool))
    sea[0, 0] = sea[2, 2] = True
    alone = Context(context.thresholds, sea, context.std)
    case = forecast.fillna(0.0), truth.fillna(0.0), alone
    assert bool(PooledCRPS(window=2).statistics(*case)["crps"].isnull().all())


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("place", [(4, 3), (3, 3)])  # in the rest, and in a window
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_failed_value_counts_wherever_it_stands(
    value: float, place: tuple[int, int], pool: Any
) -> None:
    forecast, truth, context = _plane()
    forecast[1, 0, 2, 0, *place] = value
    found = PooledCRPS(window=2, pool=pool).statistics(forecast, truth, context)["crps"]
    assert found.isnull().to_numpy().ravel().tolist() == [False, True, False, False]


def test_an_offset_costs_no_digits() -> None:
    forecast, truth, context = small_case(20, 5)
    near = [(each * 2**10).round() / 2**10 for each in (forecast, truth)]  # exact below
    far = [each + np.float32(2**12) for each in near]
    for scorer in (PooledCRPS(window=4), PooledCRPS(window=2, pool="max")):
        one, other = (scorer.statistics(*case, context) for case in (near, far))
        xr.testing.assert_allclose(one, other, rtol=1e-6)
