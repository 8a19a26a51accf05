"""Many cases of a law with dependence in space and time, and ensembles with defects."""

from functools import cache
from typing import TYPE_CHECKING, Any

from geobench.contracts.noise import Noise
from geobench.contracts.scorer import Context
from geobench.testing.limits import AnyLimit
from geobench.testing.ring import ring

if TYPE_CHECKING:
    import xarray as xr

    from geobench.testing.cases import Case


@cache
def world(count: int) -> "Case":
    """Members, outcomes and 40 draws of a law with dependence in space and time: 400 cases.

    What is known of a case is its mean field, which is as large as the spread.
    """
    import numpy as np
    import xarray as xr

    inits, leads, sites, draws = 400, 2, 12, 40
    rows = Noise.rows(0, "conformance world", inits)

    def smooth(stream: str, members: int) -> Any:
        white = rows.use(stream).normal(leads, members, 1, sites).numpy().astype(float)
        white += np.roll(white, 1, -1) + np.roll(white, 2, -1)
        return white.cumsum(1) / np.sqrt(3 * np.arange(1, leads + 1))[:, None, None, None]

    mean = smooth("mean", 1)
    drawn = [mean + smooth(f"draws {members}", members) for members in (count, 1, draws)]
    dims = ("init_time", "lead_time", "member", "variable", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(leads)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    forecast, truth, law = (
        xr.DataArray(array, coords | {"member": np.arange(array.shape[2])}, dims) for array in drawn
    )
    sea = xr.DataArray(np.ones(sites, bool), dims="x")
    climate = xr.DataArray(np.full((1, sites), 2**0.5), {"variable": ["q"]}, ("variable", "x"))
    limits = xr.concat([0 * climate, 2 * climate], xr.DataArray([0.5, 0.977], dims="quantile"))
    limits = limits.assign_coords(quantile=[0.5, 0.977])
    context = Context(
        limits, sea, climate, law, periodic=("x",), measure=ring(sea), limits=AnyLimit(1)
    )
    return forecast, truth.isel(member=0, drop=True), context


@cache
def defective(count: int) -> "dict[str, xr.DataArray]":
    """Ensembles of so many members, one with each defect."""
    from geobench.diagnostics.defects import DEFECTS

    draws, _, _ = world(128)
    return {
        name: change(draws).isel(member=slice(count)).copy() for name, change in DEFECTS.items()
    }
