"""Forecasts that are in memory, taken in under the same checks as a file."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import xarray as xr

    from geobench.lab.dataset import Dataset
    from geobench.lab.forecast import Forecast
    from geobench.lab.lab import Lab


def take(lab: "Lab", array: Any, data: "Dataset", label: str, **reading: Any) -> "Forecast":
    """Write it as a Zarr store beside the catalog for a moment, and import that."""
    whole = _dataset(array, data)
    with tempfile.TemporaryDirectory(dir=lab.catalog.store.folder, prefix=".taking-") as folder:
        path = Path(folder) / f"{label}.zarr"
        whole.to_zarr(path, zarr_format=3, consolidated=False)
        return lab.import_forecast(path, data, label, **reading)


def _dataset(array: Any, data: "Dataset") -> "xr.Dataset":
    import xarray as xr

    if isinstance(array, xr.DataArray):
        names = [variable.name for variable in data.spec.variables]
        name = str(array.name) if array.name in names else names[0]
        return array.to_dataset(name=name)
    if isinstance(array, xr.Dataset):
        return array
    return _of_numbers(array, data)


def _of_numbers(array: Any, data: "Dataset") -> "xr.Dataset":
    """Name the dims of an array of the shape that the dataset asks for."""
    import numpy as np

    from geobench.foreign.adoption import template

    values, spec = np.asarray(array), data.spec
    empty = template(data.entry)
    cases = empty.sizes["init_time"], empty.sizes["lead_time"]
    channels = (len(spec.variables),) if len(spec.variables) > 1 else ()
    grid = tuple(spec.shape[1:])
    wanted = ("members", *channels, *grid)
    if values.shape[:2] != cases or values.shape[3:] != (*channels, *grid):
        shape = ", ".join(map(str, (*cases, *wanted)))
        raise GeobenchError(
            f"the array has the shape {values.shape}, and a forecast of {data.reference} has "
            f"({shape}): init times, lead times, members"
            f"{', variables' if channels else ''} and the grid. Order and cut it so."
        )
    if not channels:
        values = values[:, :, :, None]
    drawn = spec.dataset(values.astype(np.float32), ("init_time", "lead_time", "member"))
    members = {"member": range(values.shape[2])}
    return drawn.assign_coords({**empty.coords, **members})
