"""Valid ranges of variables, as foreign files name them (CF: valid_range, valid_min, valid_max)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr


def valid_ranges(foreign: "xr.Dataset", names: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Valid ranges that a foreign file names (CF: valid_range, valid_min, valid_max), by our name.

    `names` maps our names to the foreign ones. Packed data give them in packed units.
    """
    ranges = {}
    for our, their in names.items():
        variable = foreign.variables.get(their)
        if variable is None or not {"valid_range", "valid_min", "valid_max"} & {*variable.attrs}:
            continue
        scale, offset = (
            float(variable.encoding.get(key, default))
            for key, default in (("scale_factor", 1.0), ("add_offset", 0.0))
        )
        low, high = _numbers(their, variable.attrs.get("valid_range", (-np.inf, np.inf)), 2)
        (low,) = _numbers(their, variable.attrs.get("valid_min", low), 1)
        (high,) = _numbers(their, variable.attrs.get("valid_max", high), 1)
        ends = sorted((low * scale + offset, high * scale + offset))
        ranges[our] = (ends[0], ends[1])
    return ranges


def _numbers(name: str, value: Any, count: int) -> list[float]:
    """Read an attribute of a foreign file as so many numbers."""
    try:
        numbers = [float(number) for number in np.atleast_1d(value).ravel()]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or np.isnan(numbers).any():
        raise CatalogError(
            f"{name} has a valid range that cannot be read: {str(value)[:60]!r}. Write valid_min "
            f"and valid_max as one number each, or remove them."
        )
    return numbers
