"""How far, how long and when extremes happen: a number of each path."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from geobench import Context

if TYPE_CHECKING:
    import xarray as xr

Number = Literal["extent", "duration", "first-passage"]


def of_numbers(of: Number, context: Context) -> Context:
    """What is known of the cells that `numbers` are of."""
    if of != "extent":
        return context
    cell = dict.fromkeys(context.sea.dims, slice(1))  # one number for all of it
    return replace(context, sea=context.sea.isel(cell) | True, areas=None)


def numbers(of: Number, values: "xr.DataArray", context: Context) -> "Iterator[xr.DataArray]":
    """What is taken of values, members or outcomes, for each quantile in turn."""
    failed = _failed(of, values, context)
    for quantile in context.thresholds["quantile"].to_numpy():
        limit = context.thresholds.sel(quantile=quantile, drop=True)
        yield _number(of, values > limit, context).where(~failed)


def _failed(of: Number, values: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Where a path holds what is not a number, from then on, anywhere at sea."""
    bad = context.average(values).isnull()
    return bad if of == "extent" else bad.cumsum("lead_time") > 0


def _number(of: Number, exceeds: "xr.DataArray", context: Context) -> "xr.DataArray":
    if of == "extent":
        return context.average(exceeds).expand_dims(dict.fromkeys(context.sea.dims, 1))
    if of == "duration":
        return exceeds.cumsum("lead_time").astype(float)
    waiting = (exceeds.cumsum("lead_time") == 0).astype(int)
    return waiting.cumsum("lead_time").astype(float)
