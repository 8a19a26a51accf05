"""xarray datasets as Zarr v3 groups: codecs, chunks, pieces, reading.

Blosc (zstd 3, byte shuffle) and a CRC-32C per chunk: a flipped bit is an error when it is read,
never a number, by whatever program. Fill value NaN, and empty chunks are written, so that a chunk
that is not there is never legitimate.
"""

import asyncio
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from geobench_catalog import event_loop
from geobench_catalog.errors import STRANGE, CatalogError

if TYPE_CHECKING:
    import xarray as xr
    from zarr.abc.store import Store

_CHUNK = re.compile(r"/c(/\d+)*$")  # how a chunk's key ends
_NAMED = re.compile(r"(?!\.)[\w.-]+")
_LONGEST = 60
_LARGEST = 2**28  # bytes of a chunk, in which others take no larger ones (`chunk_sizes`)
Shape = Mapping[str, int]
"""Length of a chunk along each dim; a dim that is not named is not cut."""


def codecs() -> tuple[Any, ...]:
    """What numbers are compressed and guarded with."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    return BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"), Crc32cCodec()


def encoding(dataset: "xr.Dataset", chunks: Shape, shards: Shape | None = None) -> dict[str, Any]:
    """How each variable is stored, as `to_zarr` takes it."""
    encodings: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        shape = [chunks.get(str(dim), max(1, size)) for dim, size in variable.sizes.items()]
        if shape and str(variable.dims[0]) not in chunks and variable.dtype.kind in "fiub":
            one = prod(shape[1:]) * variable.dtype.itemsize
            shape[0] = max(1, min(shape[0], _LARGEST // max(1, one)))
        entry: dict[str, Any] = {"chunks": tuple(shape)}
        if shards and name in dataset.data_vars:
            entry["shards"] = tuple(
                shards.get(str(dim), size) for dim, size in zip(variable.dims, shape, strict=True)
            )
        if variable.dtype.kind in "fiub":
            entry["compressors"] = codecs()
        if variable.dtype.kind == "f":
            entry["_FillValue"] = float("nan")
        if variable.dtype.kind in "mM":
            since = "" if variable.dtype.kind == "m" else " since 2000-01-01"
            whole = variable.values.astype(f"{variable.dtype.kind}8[s]")
            unit = "seconds" if (variable.values == whole).all() else "nanoseconds"
            entry |= {"units": f"{unit}{since}", "dtype": "int64"}
        encodings[str(name)] = entry
    return encodings


@contextmanager
def strings_allowed() -> Iterator[None]:
    """Silence Zarr's warning that strings have no final specification; ours are short labels."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?i).*Zarr (V3|format 3) specification")
        yield


def write(
    store: "Store",
    dataset: "xr.Dataset",
    *,
    group: str | None = None,
    append: str | None = None,
    chunks: Shape | None = None,
    shards: Shape | None = None,
) -> None:
    """Write `dataset` into `store`, or append it along the dimension `append`.

    `chunks` maps a dimension to its chunk length (default: its whole length), `shards` to the
    length of the files that hold many chunks (default: no shards). Appended pieces must be whole
    chunks (and shards), all but the last.
    """
    import zarr

    check_names(dataset, group)
    there = append is not None and _exists(store, group)
    if there:
        _check_appended(store, dataset, group, str(append))
    how: dict[str, Any] = (
        {"append_dim": append} if there else {"encoding": encoding(dataset, chunks or {}, shards)}
    )
    with strings_allowed(), zarr.config.set({"array.write_empty_chunks": True}):
        # Groups are added to one store: create what is missing, never delete what is there.
        dataset.to_zarr(store, group=group, mode="a", zarr_format=3, consolidated=False, **how)


def check_names(dataset: "xr.Dataset", group: str | None) -> None:
    """Raise `CatalogError` for names that could not be those of folders, here or elsewhere."""
    for name in [*map(str, dataset.variables), *([group] if group else [])]:
        if not _NAMED.fullmatch(name) or len(name.encode()) > _LONGEST:
            raise CatalogError(
                f"{name!r} cannot name a variable or group. Use letters, digits, '_' and '-' (at "
                f"most {_LONGEST} bytes)."
            )


def _check_appended(store: "Store", dataset: "xr.Dataset", group: str | None, along: str) -> None:
    """Raise `CatalogError` where appending would turn values into others."""
    import numpy as np
    import zarr

    stored = zarr.open_group(store, path=group or "", mode="r", zarr_format=3)
    for name, variable in dataset.variables.items():
        if along not in variable.dims or variable.dtype.kind not in "fiubmM":
            continue
        dtype = stored[str(name)].dtype  # type: ignore[union-attr] # it is an array
        if variable.dtype.kind in "mM":
            exact = (variable.values == variable.values.astype(f"{variable.dtype.kind}8[s]")).all()
        else:
            exact = np.can_cast(variable.dtype, dtype, "safe")
        if not exact:
            raise CatalogError(
                f"{name} ({variable.dtype}) cannot be appended to what is stored as {dtype} "
                f"without change. Write all pieces in one type; times in whole seconds."
            )


def _exists(store: "Store", group: str | None) -> bool:
    import zarr

    try:
        zarr.open_group(store, path=group or "", mode="r", zarr_format=3)
    except FileNotFoundError:
        return False
    return True


def allocate(
    store: "Store",
    one: "xr.Dataset",
    coords: "xr.Dataset",
    chunks: Shape,
    shards: Shape | None = None,
) -> None:
    """Make room for a dataset that comes piece by piece, in any order (`fill`).

    `one` is a piece of length 1 along each dim of `coords`, which holds all their coordinates.
    """
    import zarr

    check_names(one, None)
    with strings_allowed():
        whole = one.drop_vars(list(one.data_vars)).drop_dims(list(coords.dims))
        whole = whole.assign_coords(coords.coords).assign_attrs(one.attrs)
        write(store, whole)
        group = zarr.open_group(store, mode="r+", zarr_format=3)
        for name, how in encoding(one, chunks, shards).items():
            if name in one.data_vars:
                variable = one[name]
                sizes = {str(dim): size for dim, size in variable.sizes.items()} | {
                    str(dim): coords.sizes[dim] for dim in coords.dims if dim in variable.dims
                }
                group.create_array(
                    name,
                    shape=tuple(sizes[str(dim)] for dim in variable.dims),
                    dtype=variable.dtype,
                    chunks=how["chunks"],
                    shards=how.get("shards"),
                    compressors=how.get("compressors", "auto"),
                    fill_value=how.get("_FillValue", 0),
                    attributes={str(key): value for key, value in variable.attrs.items()},
                    dimension_names=[str(dim) for dim in variable.dims],
                )


def fill(store: "Store", piece: "xr.Dataset", where: Mapping[str, slice]) -> None:
    """Write a piece of an allocated dataset: whole chunks (or shards), but at the ends."""
    import zarr

    with strings_allowed(), zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.open_group(store, mode="r+", zarr_format=3)
        for name, variable in piece.data_vars.items():
            array = group[str(name)]
            assert isinstance(array, zarr.Array)  # noqa: S101 # for the type checker
            region = tuple(where.get(str(dim), slice(None)) for dim in variable.dims)
            array[region] = variable.to_numpy()


def check_stranger(metadata: Mapping[str, bytes], names: Iterable[str]) -> None:
    """Raise `CatalogError` or `ValueError` if reading the data would do more than decompress."""
    from geobench_catalog.codec_safety import check_node

    for file, text in metadata.items():
        check_node(json.loads(text), file)
    for name in names:
        if name.rpartition("/")[2].startswith("."):
            raise ValueError(f"{name} is not of Zarr 3")


def absent(metadata: Mapping[str, bytes], names: Iterable[str]) -> dict[str, int]:
    """Chunks that an array has and no file holds: path of the array -> how many.

    `ValueError` for chunks that are not named as ours are, or are where none can be.
    """
    missing = {}
    stored: dict[str, set[str]] = {}
    for name in names:
        if chunk := _CHUNK.search(name):
            stored.setdefault(name[: chunk.start()], set()).add(chunk[0])
    for file, text in metadata.items():
        node = json.loads(text)
        if node.get("node_type") == "array":
            path = file.removesuffix("zarr.json").rstrip("/")
            chunks, counts = stored.pop(path, set()), _counts(node, path)
            if len(chunks) < prod(counts):  # before they are listed: a stranger may tell any shape
                missing[path] = prod(counts) - len(chunks)
            elif chunks != {_key(indices) for indices in product(*map(range, counts))}:
                raise ValueError(f"{path} has chunks that are not in its shape")
    for path in stored:
        raise ValueError(f"{path} has chunks, and is no array")
    return missing


def _key(indices: tuple[int, ...]) -> str:
    return "/c" + "".join(f"/{index}" for index in indices)


def _counts(node: Mapping[str, Any], path: str) -> list[int]:
    """Chunks along each dim."""
    keys = node["chunk_key_encoding"]
    if keys["name"] != "default" or keys.get("configuration", {}).get("separator", "/") != "/":
        raise ValueError(f"the chunks of {path} are not named as geobench names them")
    cut = node["chunk_grid"]["configuration"]["chunk_shape"]
    sizes = list(zip(node["shape"], cut, strict=True))
    if any(
        type(n) is not int or n < least
        for pair in sizes
        for n, least in zip(pair, (0, 1), strict=True)
    ):
        raise ValueError(f"{path} has the shape {node['shape']} in chunks of {cut}")
    return [-(-size // length) for size, length in sizes]


def contents(metadata: Mapping[str, bytes]) -> list[tuple[str, dict[str, int], str]]:
    """List the arrays of all groups: path in the store, length of each dim, type.

    `metadata` maps the path of each `zarr.json` to what it holds.
    """
    arrays = []
    for file, text in sorted(metadata.items()):
        node = json.loads(text)
        if node.get("node_type") == "array":
            dims = node.get("dimension_names") or [str(i) for i in range(len(node["shape"]))]
            sizes = dict(zip(dims, node["shape"], strict=True))
            arrays.append((file.rpartition("/")[0], sizes, str(node["data_type"])))
    return arrays


def read(store: "Store", owner: str, group: str | None = None) -> "xr.Dataset":
    """Open a group lazily, without dask; arrays are read when they are used."""
    import xarray as xr

    try:
        with strings_allowed():
            opened: xr.Dataset = xr.open_zarr(
                store,
                group=group,
                chunks=None,
                consolidated=False,
                decode_timedelta=True,
                zarr_format=3,
            )
        return opened
    except CatalogError:
        raise
    except (OSError, *STRANGE) as error:
        wanted = f"data.zarr/{group}" if group else "data.zarr"
        raise CatalogError(f"{owner}: {wanted} cannot be opened ({error}).") from error


def values(store: "Store", names: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of some arrays of the root group, undecoded, and its attributes.

    They are asked for together, in one change of threads: a change for every array would take
    several times as long as reading small ones.
    """
    return event_loop.run(_values(store, list(names)))


async def _values(store: "Store", names: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    from zarr.api.asynchronous import open_group

    group = await open_group(store, mode="r", zarr_format=3)
    arrays: list[Any] = await asyncio.gather(*(group.getitem(name) for name in names))
    values = await asyncio.gather(*(array.getitem(...) for array in arrays))
    return dict(zip(names, values, strict=True)), dict(group.attrs)
