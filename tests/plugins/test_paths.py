"""The CRPS along time: what is taken of a path, and that it sees what single times do not."""

from typing import Literal

import numpy as np
import pytest
import xarray as xr

from geobench.diagnostics.defects import DEFECTS
from geobench.testing import small_case
from geobench_plugins.kernels.paths import taken
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.paths import PathCRPS


def test_what_is_taken() -> None:
    path = xr.DataArray([3.0, 1.0, 5.0, 5.0], dims="lead_time")
    assert taken(path, "change").to_numpy().tolist() == [3, -2, 4, 0]
    assert taken(path, "mean").to_numpy().tolist() == [3, 2, 3, 3.5]
    assert taken(path, "maximum").to_numpy().tolist() == [3, 3, 5, 5]


@pytest.mark.parametrize("of", ["change", "mean", "maximum"])
def test_at_the_first_lead_time_it_is_the_crps(of: Literal["change", "mean", "maximum"]) -> None:
    case = small_case()
    found, plain = PathCRPS(of=of).statistics(*case), CRPS().statistics(*case)
    first = {"lead_time": 0}
    xr.testing.assert_allclose(found.isel(first), plain.isel(first), rtol=1e-6)


def test_members_that_jump_between_paths_are_found_out_by_their_changes() -> None:
    """Random walks of three steps, 600 cases: five standard errors, a false alarm in 3 million."""
    steps = np.random.default_rng(0).normal(size=(600, 3, 41, 1, 8))
    dims = ("init_time", "lead_time", "member", "variable", "x")
    walks = xr.DataArray(steps.cumsum(1), {"variable": ["q"]}, dims)
    forecast, truth = walks.isel(member=slice(40)), walks.isel(member=40)
    times = {"init_time": np.arange(600), "lead_time": np.arange(3)}
    forecast, truth = forecast.assign_coords(times), truth.assign_coords(times)
    context = small_case()[2]
    changed = DEFECTS["reshuffled"](forecast)
    for scorer, sees in ((PathCRPS(of="change"), True), (CRPS(), False)):
        found = [scorer.statistics(each, truth, context) for each in (forecast, changed)]
        scores = [each["crps"] for each in found]
        gap = (scores[1] - scores[0]).isel(lead_time=2, variable=0).to_numpy()
        assert (gap.mean() > 5 * gap.std() / np.sqrt(600)) == sees
        if not sees:
            np.testing.assert_allclose(gap, 0, atol=1e-9)


def test_a_path_that_failed_has_failed_from_then_on() -> None:
    forecast, truth, context = small_case()
    forecast[2, 0, 1, 0, 4] = np.nan
    for of in ("mean", "maximum", "change"):
        found = PathCRPS(of=of).statistics(forecast, truth, context)["crps"]  # type: ignore[arg-type] # of a tuple
        assert bool(found.isel(init_time=2).isnull().all())
        assert bool(found.drop_isel(init_time=2).notnull().all())
