"""Small forecasts with outcomes and draws of the law, and the same changed."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from geobench.contracts.noise import Noise
from geobench.contracts.scorer import Context
from geobench.testing.limits import AnyLimit
from geobench.testing.ring import ring

if TYPE_CHECKING:
    import xarray as xr

    Case = tuple[xr.DataArray, xr.DataArray, Context]


def small_case(inits: int = 6, count: int = 5, key: str = "conformance") -> "Case":
    """Normal members `(init_time, lead_time, member, variable, x)`, outcomes, draws of the law."""
    forecast, truth, context = _small_case(inits, count, key)
    assert context.law is not None
    return forecast.copy(), truth.copy(), replace(context, law=context.law.copy())


@cache
def _small_case(inits: int, count: int, key: str) -> "Case":
    import numpy as np
    import xarray as xr

    leads, sites = 2, 8
    rows = Noise.rows(0, key, inits)
    dims = ("init_time", "lead_time", "member", "variable", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(leads)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    drawn = rows.use("members").normal(leads, count, 1, sites).numpy()
    forecast = xr.DataArray(drawn, coords, dims)
    outcome = rows.use("truth").normal(leads, 1, sites).numpy()
    truth = xr.DataArray(outcome, coords, tuple(dim for dim in dims if dim != "member"))
    thresholds = xr.DataArray(
        np.full((2, 1, sites), [[[0.5]], [[1.0]]]),
        {"quantile": [0.7, 0.9], "variable": ["q"]},
        ("quantile", "variable", "x"),
    )
    sea = xr.DataArray(np.ones(sites, bool), dims="x")
    std = xr.DataArray(np.ones((1, sites)), {"variable": ["q"]}, ("variable", "x"))
    law = xr.DataArray(rows.use("law").normal(leads, 16, 1, sites).numpy(), forecast.coords, dims)
    forecast, law = (
        array.assign_coords(member=7 + np.arange(array.sizes["member"]))
        for array in (forecast, law)
    )
    context = Context(thresholds, sea, std, law, measure=ring(sea), limits=AnyLimit(1))
    return forecast, truth, context


def double_case(count: int) -> "Case":
    """A small case in double precision, with an init for each of 16 members or draws."""
    forecast, truth, context = small_case(16, count)
    assert context.law is not None
    double_context = replace(context, law=context.law.astype(float))
    return forecast.astype(float), truth.astype(float), double_context


def scaled(case: "Case", by: float) -> "Case":
    """All that is in the units of the variable, so many times larger."""
    forecast, truth, context = case
    assert context.law is not None
    limits, std, law = (by * array for array in (context.thresholds, context.std, context.law))
    scaled_context = replace(context, thresholds=limits, std=std, law=law, limits=AnyLimit(by))
    return by * forecast, by * truth, scaled_context


def two(*cases: "Case") -> "Case":
    """Two cases of one variable as one of two, `q` and `r`."""
    import xarray as xr

    parts = [(f, t, c.law, c.thresholds, c.std) for f, t, c in cases]
    forecast, truth, law, limits, std = (
        xr.concat(arrays, "variable").assign_coords(variable=["q", "r"]).transpose(*arrays[0].dims)
        for arrays in zip(*parts, strict=True)
    )
    return forecast, truth, replace(cases[0][2], law=law, thresholds=limits, std=std)


def one_far(drawn: "xr.DataArray", by: float) -> "xr.DataArray":
    """In every case another member is so far off, and farther from cell to cell."""
    import numpy as np

    ordered = drawn.transpose("init_time", "member", ...)
    inits, members = ordered.shape[:2]
    slope = by * (1 + np.arange(drawn.sizes["x"]))
    values = ordered.to_numpy().copy()
    values[np.arange(inits), np.arange(inits) % members] += slope  # `x` is last
    return ordered.copy(data=values).transpose(*drawn.dims)
