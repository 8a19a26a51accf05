"""Means and maxima over windows of the grid, side by side."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from geobench import Context

if TYPE_CHECKING:
    import xarray as xr


def pooled(
    values: "xr.DataArray", context: Context, window: int, pool: Literal["mean", "max"]
) -> "xr.DataArray":
    """Mean or maximum over the sea cells of windows of so many cells along each grid dim.

    In a mean cells count by their areas. A rest at the end of a dim is left out; a dim of fewer
    cells is one window. NaN stays NaN.
    """
    import numpy as np

    sea = context.sea
    sizes = _sizes(sea, window)
    empty = 0.0 if pool == "mean" else -np.inf
    windows = values.where(sea, empty).coarsen(sizes, boundary="trim")
    if pool == "max":  # reduce: their own maximum drops NaN
        return windows.reduce(np.max).where(kept(context, window), 0.0)
    if context.areas is not None:
        windows = (values.where(sea, 0.0) * context.areas).coarsen(sizes, boundary="trim")
    total = context.weights.coarsen(sizes, boundary="trim").sum()
    # An offset costs no digits; a window of land alone is 0.
    return windows.reduce(np.sum, dtype=float) / total.where(total > 0, 1.0)


def coarse(context: Context, window: int) -> Context:
    """What is known of the grid of windows: which are kept, and the areas of their sea cells."""
    sea = kept(context, window)
    if context.areas is None:
        return replace(context, sea=sea)
    return replace(
        context,
        sea=sea,
        areas=context.weights.coarsen(_sizes(context.sea, window), boundary="trim").sum(),
    )


def kept(context: Context, window: int) -> "xr.DataArray":
    """Windows with more sea than land, by area."""
    sizes = _sizes(context.sea, window)
    share = context.weights.coarsen(sizes, boundary="trim").mean()
    if context.areas is None:
        return share > 0.5
    return share > 0.5 * context.areas.coarsen(sizes, boundary="trim").mean()


def _sizes(sea: "xr.DataArray", window: int) -> dict[str, int]:
    return {str(dim): min(window, sea.sizes[dim]) for dim in sea.dims}
