"""Tails and events: calibrated for the law, and numbers by hand."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from geobench import Context
from geobench.testing import small_case
from geobench_plugins.kernels.event_numbers import Number, numbers
from geobench_plugins.scorers.event_crps import EventCRPS
from geobench_plugins.scorers.tail_calibration import TailCalibration


@pytest.mark.parametrize("count", [3, 20])
def test_the_tail_of_the_law_is_calibrated_at_any_number_of_members(count: int) -> None:
    """24,000 cells a lead time, a tenth above the quantile: errors of Z's share are below .02.

    The largest of ten bins and two lead times is within .07 but for chance of 1 in 10,000.
    """
    forecast, truth, context = small_case(3000, count)
    found = TailCalibration().statistics(forecast, truth, context).mean("init_time")
    told = TailCalibration().metric(found)["tail miscalibration"]
    assert float(told.max()) < 0.07


@pytest.mark.parametrize(("scale", "shift"), [(0.7, 0.0), (1.4, 0.0), (1.0, 0.5)])
def test_wrong_tails_are_not(scale: float, shift: float) -> None:
    forecast, truth, context = small_case(3000, 20)
    found = TailCalibration().statistics(scale * forecast + shift, truth, context)
    told = TailCalibration().metric(found.mean("init_time"))["tail miscalibration"]
    assert float(told.sel(quantile=0.9).min()) > 0.15


def test_exceedances_are_put_in_their_place() -> None:
    """Three of four members above 0.5, one of them below the outcome: Z is in [1/4, 2/4]."""
    forecast, truth, context = small_case(2, 4)
    forecast = forecast * 0 + xr.DataArray([0.0, 0.6, 0.8, 0.9], dims="member")
    truth = truth * 0 + xr.DataArray([0.7, 0.1], dims="init_time")
    found = TailCalibration(bins=4).statistics(forecast, truth, context).sel(quantile=0.7)
    above, below = (found["exceeded"].isel(init_time=place, lead_time=0) for place in (0, 1))
    assert above.to_numpy().ravel().tolist() == [0, 1, 0, 0]
    assert below.to_numpy().ravel().tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(found["expected"], 0.75)


def test_values_that_are_equal_are_calibrated_too() -> None:
    """As above: rounded to halves, every tenth outcome equals a member, and more."""
    forecast, truth, context = small_case(3000, 8)
    rounded = ((each * 2).round() / 2 for each in (forecast, truth))
    found = TailCalibration().statistics(*rounded, context).mean("init_time")
    told = TailCalibration().metric(found)["tail miscalibration"]
    assert float(told.sel(quantile=0.7).max()) < 0.07


@pytest.mark.parametrize("of", ["duration", "first-passage"])
def test_a_path_that_failed_has_failed_from_then_on(of: str) -> None:
    forecast, truth, context = small_case()
    forecast[2, 0, 1, 0, 4] = np.nan
    found = EventCRPS(of=of).statistics(forecast, truth, context)["crps"]  # type: ignore[arg-type] # of a list
    assert bool(found.isel(init_time=2).isnull().all())
    assert bool(found.drop_isel(init_time=2).notnull().all())


def _numbers(of: Number, values: xr.DataArray, limit: float) -> np.ndarray:
    limits = xr.DataArray([limit], {"quantile": [0.5]}, ["quantile"])
    (found,) = numbers(of, values, replace(small_case()[2], thresholds=limits))
    return found.to_numpy()


def test_events_are_counted_as_said() -> None:
    paths = np.array([[0.0, 2.0, 2.0, 0.0], [2.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    values = xr.DataArray(np.tile(paths[..., None], 8), dims=("member", "lead_time", "x"))
    duration = _numbers("duration", values, 1)[..., 0]
    waiting = _numbers("first-passage", values, 1)[..., 0]
    assert duration.tolist() == [[0, 1, 2, 2], [1, 1, 2, 3], [0, 0, 0, 0]]
    assert waiting.tolist() == [[1, 1, 1, 1], [0, 0, 0, 0], [1, 2, 3, 4]]
    half = values.where(values.x < 4, 0.0) if "x" in values.coords else values.copy()
    half[..., 4:] = 0
    extent = _numbers("extent", half, 1)
    assert extent[0].tolist() == [[0, 0.5, 0.5, 0], [0.5, 0, 0.5, 0.5], [0, 0, 0, 0]]


def _crps(members: xr.DataArray, outcome: xr.DataArray) -> xr.DataArray:
    """Fair CRPS of four members."""
    pairs = abs(members - members.rename(member="other")).sum(("member", "other")) / (2 * 4 * 3)
    return abs(members - outcome).mean("member") - pairs


def test_the_crps_of_the_extent_is_that_of_its_numbers() -> None:
    forecast, truth, context = small_case(10, 4)
    found = EventCRPS(of="extent").statistics(forecast, truth, context).sel(quantile=0.7)
    shares, seen = ((each > 0.5).mean("x").isel(variable=0) for each in (forecast, truth))
    np.testing.assert_allclose(found["crps"].isel(variable=0), _crps(shares, seen), rtol=1e-6)


def test_the_extent_needs_dependence_and_single_sites_do_not_show_it() -> None:
    """Sites that go together or not, 800 cases; five standard errors."""
    forecast, truth, context = small_case(800, 20)
    together = [each.isel(x=0, drop=True).expand_dims(x=8) for each in (forecast, truth)]
    members, outcome = (
        e.transpose(*o.dims) for e, o in zip(together, (forecast, truth), strict=True)
    )
    found = [
        EventCRPS(of="extent").statistics(each, outcome, context).isel(quantile=0, lead_time=0)
        for each in (forecast, members)
    ]
    gap = found[0]["crps"] - found[1]["crps"]
    assert float(gap.mean()) > 5 * float(gap.std()) / np.sqrt(800)


def test_dry_cells_have_no_events() -> None:
    forecast, truth, context = small_case(5, 4)
    sea = context.sea.copy(data=[True] * 7 + [False])
    own: Context = replace(context, sea=sea)
    found = EventCRPS(of="extent").statistics(
        forecast.where(sea).transpose(*forecast.dims), truth.where(sea).transpose(*truth.dims), own
    )
    shares = (forecast.isel(x=slice(7)) > 0.5).mean("x")
    seen = (truth.isel(x=slice(7)) > 0.5).mean("x")
    np.testing.assert_allclose(found["crps"].sel(quantile=0.7), _crps(shares, seen), rtol=1e-5)
