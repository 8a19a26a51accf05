"""A forecast in several files, each with some of its init times, lead times or members.

Nothing is read here but coordinates; blocks are read from the files that hold them.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geobench.foreign.matching import names_a_time_or_member
from geobench.foreign.reading import lazily, read_places
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Positions = NDArray[np.intp]


def combined(files: Mapping[str, "xr.Dataset"]) -> "xr.Dataset":
    """Put files together along the dims in which their coordinates differ.

    Together they must hold each combination of these coordinates once.
    """
    import xarray as xr

    opened = [*files.values()]
    first = opened[0]
    parts = {dim: [_values(file, dim) for file in opened] for dim in _differing(files)}
    starts = {dim: _starts(values) for dim, values in parts.items()}
    tiles = _tiles(files, parts, starts)
    coords: dict[str, Any] = {}
    for dim, values in parts.items():
        ordered = sorted({part.tobytes(): part for part in values}.values(), key=lambda v: v[0])
        coord = first.variables[dim]
        coords[dim] = dim, np.concatenate(ordered), coord.attrs, coord.encoding
    names = [name for name in first.variables if name not in parts]
    data = {}
    for name in names:
        variable = first.variables[name]
        split = [dim for dim in parts if dim in variable.dims or dim not in first.dims]
        if name in first.data_vars and split:
            data[name] = _spread(str(name), files, tiles, coords, split)
        elif not any(dim in variable.dims for dim in parts) and _equal(opened, str(name)):
            data[name] = variable
    result = xr.Dataset(data, coords)
    result = result.set_coords([name for name in first.coords if name in result.variables])

    def close() -> None:
        for file in opened:
            file.close()

    result.set_close(close)
    return result


def _differing(files: Mapping[str, "xr.Dataset"]) -> list[str]:
    """Dims whose coordinates differ between files; else single times or members that do."""
    opened = [*files.values()]
    first, *others = opened
    for name, file in files.items():
        if {*file.data_vars} != {*first.data_vars}:
            odd = sorted({*map(str, file.data_vars)} ^ {*map(str, first.data_vars)})[0]
            raise CatalogError(
                f"{name} and {next(iter(files))} do not hold the same variables: {odd}. Name "
                f"files of one forecast."
            )
    lines = [str(dim) for dim in first.dims if dim in first.variables]
    single = [
        str(name)
        for name, variable in first.variables.items()
        if variable.ndim == 0 and names_a_time_or_member(first, str(name))
    ]
    for names in (lines, single):
        differing = [
            name
            for name in names
            if any(
                name not in file.variables
                or not np.array_equal(_values(file, name), _values(first, name))
                for file in others
            )
        ]
        if differing:
            return differing
    raise CatalogError(
        f"the {len(files)} files have equal coordinates, so nothing says how they belong "
        f"together. Give each its init times, lead times or members as a coordinate."
    )


def _values(opened: "xr.Dataset", name: str) -> "NDArray[Any]":
    if name not in opened.variables:
        raise CatalogError(f"a file has no coordinate {name}. Name files of one forecast.")
    values = np.atleast_1d(opened.variables[name].values)
    if not values.size or values.ndim > 1:
        raise CatalogError(f"a file has no values of {name}. Leave it out.")
    return values


def _equal(opened: Sequence["xr.Dataset"], name: str) -> bool:
    """Whether a small variable is the same in all files; one that is not belongs to none."""
    first = opened[0].variables[name]
    if first.size > 10**6:
        return False
    return all(
        name in file.variables
        and file.variables[name].dims == first.dims
        and np.array_equal(file.variables[name].values, first.values, equal_nan=False)
        for file in opened[1:]
    )


def _starts(values: Sequence["NDArray[Any]"]) -> dict[bytes, int]:
    """Where each part of a coordinate begins in the whole: by its first value."""
    parts = {part.tobytes(): part for part in values}
    starts, start = {}, 0
    for key, part in sorted(parts.items(), key=lambda pair: pair[1][0]):
        starts[key] = start
        start += part.size
    return starts


_Corner = tuple[int, ...]


def _tiles(
    files: Mapping[str, "xr.Dataset"],
    parts: Mapping[str, Sequence["NDArray[Any]"]],
    starts: Mapping[str, Mapping[bytes, int]],
) -> dict[_Corner, str]:
    """The file that begins at each place along the dims in which they differ."""
    tiles: dict[_Corner, str] = {}
    for index, name in enumerate(files):
        corner = tuple(starts[dim][values[index].tobytes()] for dim, values in parts.items())
        if corner in tiles:
            raise CatalogError(
                f"{name} and {tiles[corner]} hold the same {' and '.join(parts)}. Leave one out."
            )
        tiles[corner] = name
    for corner in itertools.product(*(offsets.values() for offsets in starts.values())):
        if corner not in tiles:
            missing = ", ".join(
                f"{dim} from {_first(starts[dim], parts[dim], start)}"
                for dim, start in zip(parts, corner, strict=True)
            )
            raise CatalogError(
                f"no file holds {missing}. Together the files must hold each {' and '.join(parts)}."
            )
    return tiles


def _first(starts: Mapping[bytes, int], parts: Sequence["NDArray[Any]"], start: int) -> str:
    return next(str(part[0]) for part in parts if starts[part.tobytes()] == start)


def _spread(
    name: str,
    files: Mapping[str, "xr.Dataset"],
    tiles: Mapping[_Corner, str],
    coords: Mapping[str, Any],
    split: Sequence[str],
) -> "xr.Variable":
    """A variable that lies in all files, read from those that hold what is asked for."""
    import xarray as xr

    first = next(iter(files.values())).variables[name]
    _check_alike(name, files, coords)
    dims = [*(dim for dim in split if dim not in first.dims), *map(str, first.dims)]
    sizes = [len(coords[dim][1]) if dim in coords else first.sizes[dim] for dim in dims]
    axes = [*coords]

    def read(key: tuple[Any, ...]) -> "NDArray[Any]":
        asked = zip(dims, sizes, key, strict=True)
        chosen = {dim: np.atleast_1d(np.arange(size)[k]) for dim, size, k in asked}
        result = np.empty([places.size for places in chosen.values()], first.dtype)
        for corner, source in tiles.items():
            inside = files[source].variables
            variable = inside[name]
            positions: dict[str, Positions] = dict(chosen)
            into: list[Positions] = [np.arange(places.size) for places in chosen.values()]
            for dim, start in zip(axes, corner, strict=True):
                size = inside[dim].size
                if dim in chosen:
                    within = (chosen[dim] >= start) & (chosen[dim] < start + size)
                    into[dims.index(dim)] = np.flatnonzero(within)
                    positions[dim] = chosen[dim][within] - start
            if all(places.size for places in positions.values()):
                there = {dim: places for dim, places in positions.items() if dim in variable.dims}
                block = read_places(variable, there, first.dtype)
                shape = [positions[dim].size if dim in there else 1 for dim in dims]
                result[np.ix_(*into)] = block.reshape(shape)
        return result[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)]

    return xr.Variable(dims, lazily(read, tuple(sizes), first.dtype), first.attrs, first.encoding)


def _check_alike(name: str, files: Mapping[str, "xr.Dataset"], split: Mapping[str, Any]) -> None:
    """Raise unless a variable has the same dims, type, units and other lengths in all files."""
    source, opened = next(iter(files.items()))
    first = opened.variables[name]

    def lengths(variable: "xr.Variable") -> dict[str, int]:
        return {str(dim): size for dim, size in variable.sizes.items() if dim not in split}

    for other, file in files.items():
        variable = file.variables[name]
        for what, one, two in (
            ("dimensions", first.dims, variable.dims),
            ("units", first.attrs.get("units"), variable.attrs.get("units")),
            ("type", first.dtype, variable.dtype),
            ("lengths", lengths(first), lengths(variable)),
        ):
            if one != two:
                raise CatalogError(
                    f"{name} has the {what} {one} in {source} and {two} in {other}. Write all "
                    f"files alike."
                )
