"""Times along axes: matplotlib has no scale for `timedelta64`, so durations become numbers."""

from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import xarray as xr

_FEW = 12  # times that a message lists
_MANY_HOURS = 240.0
"""Beyond, an axis is written in days even if its times are not whole days."""


def of_hours(hours: Any) -> tuple[Any, str]:
    """Durations in days if all are whole days, or in hours, and the name of the unit."""
    import numpy as np

    hours = np.asarray(hours, float)
    whole = np.allclose(hours % 24, 0)
    far = hours.size and float(np.nanmax(np.abs(hours))) > _MANY_HOURS
    return (hours / 24, "days") if whole or far else (hours, "hours")


def numbers(times: Any) -> tuple[Any, str]:
    """Durations as numbers and their unit; what is none stays as it is, without a unit."""
    import numpy as np

    values = np.asarray(times)
    if values.dtype.kind != "m":
        return values, ""
    return of_hours(values.astype("timedelta64[ns]") / np.timedelta64(1, "h"))


def plottable(data: Any) -> Any:
    """Return an xarray object whose durations are numbers of days or hours, with that unit.

    `plottable(dataset)["q"].plot()` works then: with `timedelta64` along an axis matplotlib fails,
    and offers no way to be taught.
    """
    changed: dict[str, xr.Variable] = {}
    for name, coordinate in data.coords.items():
        if coordinate.dtype.kind == "m":
            values, unit = numbers(coordinate)
            attributes = {**coordinate.attrs, "units": unit}
            changed[str(name)] = coordinate.variable.copy(data=values)
            changed[str(name)].attrs = attributes
            changed[str(name)].encoding = {}
    return data.assign_coords(changed) if changed else data


def hours(lead_times: Any) -> list[float]:
    """Lead times in hours."""
    import numpy as np

    exact: list[float] = (np.asarray(lead_times) / np.timedelta64(3600, "s")).tolist()
    return exact


def _listed(hours: list[float]) -> str:
    """Write times for a message; of many the first and the last."""
    names = [f"{hour:g}h" for hour in hours]
    return ", ".join(names if len(names) <= _FEW else [*names[:3], "…", names[-1]])


def place(known_times: Any, wanted: Any) -> int:
    """Return the place of a time, given as a place or as a duration; None: the middle one."""
    import numpy as np
    import pandas as pd

    known = np.asarray(known_times)
    if wanted is None:
        return (len(known) - 1) // 2
    if isinstance(wanted, int):
        if not -len(known) <= wanted < len(known):
            raise GeobenchError(f"there is no time at place {wanted}; there are {len(known)}.")
        return wanted % len(known)
    try:
        duration = pd.Timedelta(wanted).to_timedelta64()
    except ValueError:
        duration = None
    matching = [] if duration is None else np.flatnonzero(known == duration).tolist()
    if not matching:
        raise GeobenchError(f"there is no time '{wanted}'. There are: {_listed(hours(known))}.")
    return int(matching[0])
