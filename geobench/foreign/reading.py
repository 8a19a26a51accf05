"""Blocks of a foreign variable, read when they are asked for, and nothing besides them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

Read = Callable[[tuple[Any, ...]], "NDArray[Any]"]


def lazily(read: Read, shape: tuple[int, ...], dtype: Any) -> Any:
    """Wrap `read`, which takes an int, a slice or positions for each dim, as an array of xarray."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Arranged(BackendArray):
        def __init__(self) -> None:
            self.shape, self.dtype = shape, np.dtype(dtype)

        def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
            outer = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(key, shape, outer, read)

    return indexing.LazilyIndexedArray(Arranged())


def first_unread(variable: "xr.Variable", places: Mapping[str, "NDArray[np.intp]"]) -> str:
    """The first place that cannot be read, found by halving along one dim after the other."""
    for dim in places:
        while places[dim].size > 1:
            half = places[dim].size // 2
            first = {**places, dim: places[dim][:half]}
            try:
                read_places(variable, first)
            except Exception:
                places = first
            else:
                places = {**places, dim: places[dim][half:]}
    return ", ".join(f"{dim} {indices[0]}" for dim, indices in places.items() if indices.size)


def read_places(
    variable: "xr.Variable", places: Mapping[str, "NDArray[np.intp]"], dtype: Any = np.float32
) -> "NDArray[Any]":
    """Read the places along each dim, in the order of `places`, reading nothing besides them."""
    sorted_places = {
        dim: np.unique(indices, return_inverse=True) for dim, indices in places.items()
    }
    spans = {dim: _span(unique) for dim, (unique, _) in sorted_places.items()}
    uneven = [dim for dim, span in spans.items() if not isinstance(span, slice)]
    if len(uneven) > 1:
        # HDF5 takes a list of places along one dim only: xarray would read the box around the rest.
        parts = [
            read_places(variable, {**places, uneven[0]: index}, dtype)
            for index in places[uneven[0]][:, None]
        ]
        return np.concatenate(parts, list(places).index(uneven[0]))
    with np.errstate(over="ignore"):
        part = variable.isel(spans)
        block = part.values.astype(dtype, copy=False)
    block = block.transpose([part.dims.index(dim) for dim in places])
    for at, (unique, back) in enumerate(sorted_places.values()):
        if not np.array_equal(back, np.arange(unique.size)):
            block = block.take(back, at)
    return block


def _span(places: "NDArray[np.intp]") -> "slice | NDArray[np.intp]":
    """Turn evenly spaced, ascending places into a slice, which every format reads best."""
    steps = np.unique(np.diff(places))
    if places.size and steps.size <= 1:
        return slice(int(places[0]), int(places[-1]) + 1, int(steps[0]) if steps.size else 1)
    return places if places.size else slice(0, 0)
