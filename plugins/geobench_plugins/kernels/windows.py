"""Means and maxima over windows of the grid, side by side."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import xarray as xr


def pooled(
    values: "xr.DataArray", sea: "xr.DataArray", window: int, pool: Literal["mean", "max"]
) -> "xr.DataArray":
    """Mean or maximum over the sea cells of windows of so many cells along each grid dim.

    A rest at the end of a dim is left out; a dim of fewer cells is one window. NaN stays NaN.
    """
    import numpy as np

    sizes = _sizes(sea, window)
    empty = 0.0 if pool == "mean" else -np.inf
    windows = values.where(sea, empty).coarsen(sizes, boundary="trim")
    if pool == "max":  # reduce: their own maximum drops NaN
        return windows.reduce(np.max).where(kept(sea, window), 0.0)
    cells = sea.coarsen(sizes, boundary="trim").sum()
    return windows.reduce(np.sum, dtype=float) / cells.clip(min=1)  # an offset costs no digits


def kept(sea: "xr.DataArray", window: int) -> "xr.DataArray":
    """Windows with more sea than land."""
    share = sea.astype(float).coarsen(_sizes(sea, window), boundary="trim").mean()
    return share > 0.5


def _sizes(sea: "xr.DataArray", window: int) -> dict[str, int]:
    return {str(dim): min(window, sea.sizes[dim]) for dim in sea.dims}
