"""What is taken of the path of a member along its lead times."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import xarray as xr


def taken(values: "xr.DataArray", of: Literal["change", "mean", "maximum"]) -> "xr.DataArray":
    """The change since the lead time before, or the mean or largest value so far; NaN stays."""
    import numpy as np
    import xarray as xr

    axis = values.get_axis_num("lead_time")
    path = values.to_numpy()
    if of == "maximum":
        return values.copy(data=np.maximum.accumulate(path, axis))
    if of == "change":
        before = np.zeros_like(np.take(path, [0], axis))
        return values.copy(data=np.diff(path, axis=axis, prepend=before))
    total = values.copy(data=path.cumsum(axis, dtype=np.float64))
    return total / xr.DataArray(np.arange(1, values.sizes["lead_time"] + 1), dims="lead_time")
