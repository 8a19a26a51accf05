"""xarray datasets as Zarr v3 groups: codecs, chunks, appending, reading.

Blosc (zstd 3, byte shuffle) and a CRC-32C per chunk: a flipped bit is an error when it is read,
never a number. Fill value NaN, and empty chunks are written, so that a chunk that is not there is
never legitimate.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr

DATA = "data.zarr"


def _encoding(dataset: "xr.Dataset", chunks: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        shape = [chunks.get(str(dim), max(1, size)) for dim, size in variable.sizes.items()]
        entry: dict[str, Any] = {"chunks": tuple(shape)}
        if variable.dtype.kind in "fiub":
            blosc = BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.shuffle)
            entry["compressors"] = (blosc, Crc32cCodec())
        if variable.dtype.kind == "f":
            entry["_FillValue"] = float("nan")
        if variable.dtype.kind == "m":
            entry |= {"units": "seconds", "dtype": "int64"}
        if variable.dtype.kind == "M":
            entry |= {"units": "seconds since 2000-01-01", "dtype": "int64"}
        encoding[str(name)] = entry
    return encoding


@contextmanager
def _strings_allowed() -> Iterator[None]:
    """Silence Zarr's warning that strings have no final specification; ours are short labels."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?i).*Zarr (V3|format 3) specification")
        yield


def write(
    folder: Path,
    dataset: "xr.Dataset",
    *,
    group: str | None = None,
    append: str | None = None,
    chunks: Mapping[str, int] | None = None,
) -> None:
    """Write `dataset` into `folder`/data.zarr, or append it along the dimension `append`.

    `chunks` maps a dimension to its chunk length (default: its whole length). Appended pieces must
    be whole chunks, all but the last.
    """
    path = folder / DATA
    there = (path / (group or "") / "zarr.json").is_file() if append else False
    how: dict[str, Any] = (
        {"append_dim": append} if there else {"encoding": _encoding(dataset, chunks or {})}
    )
    # Groups are added to one store: create what is missing, never delete what is there.
    mode: Any = "a" if there or path.exists() else "w-"
    with _strings_allowed():
        dataset.to_zarr(
            path,
            group=group,
            mode=mode,
            zarr_format=3,
            consolidated=False,
            write_empty_chunks=None if there else True,
            **how,
        )


def allocate(
    folder: Path, one: "xr.Dataset", coords: "xr.Dataset", chunks: Mapping[str, int]
) -> None:
    """Make room for a dataset that comes piece by piece, in any order (`fill`).

    `one` is a piece of length 1 along each dim of `coords`, which holds all their coordinates.
    """
    import zarr

    write(folder, one, chunks=chunks)
    with _strings_allowed():
        group = zarr.open_group(folder / DATA, mode="r+")
        for name, array in group.arrays():
            dims = one[name].dims
            sizes = zip(dims, array.shape, strict=True)
            array.resize(tuple(coords.sizes.get(dim, size) for dim, size in sizes))
        coords.to_zarr(folder / DATA, mode="a", zarr_format=3, consolidated=False)


def fill(folder: Path, piece: "xr.Dataset", where: Mapping[str, slice]) -> None:
    """Write a piece of an allocated dataset: whole chunks, but at the ends."""
    import zarr

    bare = piece.drop_vars(list(piece.coords))
    with _strings_allowed(), zarr.config.set({"array.write_empty_chunks": True}):
        bare.to_zarr(folder / DATA, region=dict(where), zarr_format=3, consolidated=False)


def contents(folder: Path) -> list[tuple[str, dict[str, int], str]]:
    """List the arrays of all groups: path in the store, length of each dim, type."""
    store = folder / DATA
    found = []
    for file in sorted(store.rglob("zarr.json")):
        node = json.loads(file.read_bytes())
        if node.get("node_type") == "array":
            dims = node.get("dimension_names") or [str(i) for i in range(len(node["shape"]))]
            sizes = dict(zip(dims, node["shape"], strict=True))
            found.append((file.parent.relative_to(store).as_posix(), sizes, str(node["data_type"])))
    return found


def read(folder: Path, group: str | None = None) -> "xr.Dataset":
    """Open a group lazily, without dask; arrays are read when they are used."""
    import xarray as xr

    try:
        with _strings_allowed():
            opened: xr.Dataset = xr.open_zarr(
                folder / DATA, group=group, chunks=None, consolidated=False, decode_timedelta=True
            )
        return opened
    except (OSError, ValueError, KeyError) as error:
        wanted = f"{DATA}/{group}" if group else DATA
        raise CatalogError(f"{folder}: {wanted} cannot be opened ({error}).") from error
