"""What two entries have different: how they were made, and their numbers."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from geobench_catalog.entry import DATA, Entry

if TYPE_CHECKING:
    import numpy as np
    import zarr

    _Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

_BLOCK = 2**26  # bytes compared at once


class Change(NamedTuple):
    """A field of two records that is not the same; None: it is not there."""

    field: str
    first: Any
    second: Any


class ArrayChange(NamedTuple):
    """How two arrays differ."""

    array: str
    state: str
    """equal, differs, other shape or type, only in the first, only in the second."""
    differing: int = 0
    size: int = 0
    largest: float | None = None
    """Largest absolute difference, of numbers."""
    scale: float | None = None
    """Largest magnitude in the first, of floating-point numbers."""

    @property
    def relative(self) -> float:
        """Largest difference over the largest magnitude in the first; infinite of all but floats.

        That is the relative error in the largest-value norm: near zeros no value is held to itself.
        """
        if self.state == "equal":
            return 0.0
        return self.largest / self.scale if self.largest is not None and self.scale else math.inf


def configuration(first: Entry, second: Entry) -> list[Change]:
    """Fields of the records that differ: recipe, parents, labels, summary, environment."""
    wanted = ("recipe", "parents", "labels", "summary", "environment")
    both = [
        {key: value for name in wanted for key, value in _flat(name, record[name])}
        for record in (entry.record.model_dump(mode="json") for entry in (first, second))
    ]
    names = list(dict.fromkeys([*both[0], *both[1]]))
    changes = (Change(name, both[0].get(name), both[1].get(name)) for name in names)
    return [change for change in changes if change.first != change.second]


def _flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _flat(f"{path}.{key}", child)
    else:
        yield path, value


def data(first: Entry, second: Entry) -> Iterator[ArrayChange]:
    """Compare the numbers, array by array and block by block; NaN is equal to NaN.

    Arrays that are stored in the same bytes are not read.
    """
    import zarr

    from geobench_catalog.zarr_data import strings_allowed

    held = [[path for path, _, _ in entry.contents()] for entry in (first, second)]
    with strings_allowed():
        roots = [
            zarr.open_group(entry.store(), mode="r", zarr_format=3) for entry in (first, second)
        ]
    for path in dict.fromkeys([*held[0], *held[1]]):
        if path not in held[1]:
            yield ArrayChange(path, "only in the first")
        elif path not in held[0]:
            yield ArrayChange(path, "only in the second")
        elif _stored(first, path) == _stored(second, path):
            yield ArrayChange(path, "equal")
        else:
            with first.reading(), second.reading():
                yield _compared(path, *(root[path] for root in roots))  # type: ignore[arg-type]


def _stored(entry: Entry, path: str) -> dict[str, tuple[int, str]]:
    prefix = f"{DATA}/{path}/"
    return {name: facts for name, facts in entry.manifest.items() if name.startswith(prefix)}


def _compared(path: str, first: "zarr.Array[Any]", second: "zarr.Array[Any]") -> ArrayChange:
    import numpy as np

    if (first.shape, first.dtype) != (second.shape, second.dtype):
        kinds = [f"{array.dtype} {array.shape}" for array in (first, second)]
        return ArrayChange(path, f"other shape or type ({kinds[0]}, {kinds[1]})")
    differing, largest = 0, 0.0 if first.dtype.kind in "fiu" else None
    scale = 0.0 if first.dtype.kind == "f" else None
    count = first.shape[0] if first.shape else 1
    step = max(1, _BLOCK * max(1, count) // max(1, first.nbytes))
    for start in range(0, count, step):
        where = slice(start, start + step) if first.shape else ()
        one, other = np.asarray(first[where]), np.asarray(second[where])
        odd = _odd(one, other)
        differing += int(odd.sum())
        if scale is not None:
            scale = max(scale, float(np.abs(one[np.isfinite(one)]).max(initial=0)))
        if largest is not None and odd.any():
            away = np.abs(one[odd].astype(float) - other[odd].astype(float))
            largest = max(largest, float(np.nan_to_num(away, nan=np.inf).max()))
    state = "differs" if differing else "equal"
    magnitudes = (largest, scale) if differing else (None, None)
    return ArrayChange(path, state, differing, first.size, *magnitudes)


def _odd(one: "_Array", other: "_Array") -> "_Array":
    import numpy as np

    odd = np.asarray(one != other)
    if one.dtype.kind == "f":
        odd &= ~(np.isnan(one) & np.isnan(other))
    return odd
