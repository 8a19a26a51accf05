"""Anyone's forecast, opened without trust: what might run code or point elsewhere is refused."""

import importlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench_catalog.codec_safety import check_node
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr

_METADATA = {".zarray", ".zgroup", ".zmetadata", "zarr.json"}


@contextmanager
def _specification_unsaid() -> Iterator[None]:
    """Silence what Zarr says about parts of a store that its specification does not know."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?i).*Zarr.*(specification|hierarchy)")
        yield


def open_foreign(path: str | Path) -> "xr.Dataset":
    """Open PATH.zarr (Zarr 2 or 3) or PATH.nc (netCDF 3 or 4) lazily; nothing in it is trusted."""
    place = Path(path)
    opener = {".zarr": _open_zarr, ".nc": _open_netcdf}.get(place.suffix.lower())
    if opener is None:
        raise CatalogError(
            f"{place}: forecasts with the ending '{place.suffix}' are not read. Write it as a "
            f".zarr folder or a .nc file."
        )
    try:
        if not place.exists():
            raise CatalogError(f"{place} is not there. Check the path of the forecast.")
        with _specification_unsaid():
            return opener(place)
    except CatalogError:
        raise
    except ModuleNotFoundError as error:
        raise CatalogError(
            f"{place} cannot be opened ({error}). netCDF 4 needs: pip install h5netcdf h5py."
        ) from error
    except Exception as error:  # a damaged or hostile file makes the libraries raise anything
        raise CatalogError(
            f"{place} cannot be opened ({one_line(error)}). Check that xarray opens it, or write "
            f"it again."
        ) from error


def absent_chunks(path: str | Path) -> list[str]:
    """Notes on arrays of which chunks are not stored: Zarr takes them to hold the fill value."""
    import zarr

    if Path(path).suffix.lower() != ".zarr":
        return []
    with _specification_unsaid():
        arrays = list(zarr.open_group(path, mode="r", use_consolidated=False).arrays())
        counts = {name: (array.nchunks_initialized, array.nchunks) for name, array in arrays}
    return [
        f"{wanted - there} of {wanted} chunks of {name} are not stored and read as "
        f"{dict(arrays)[name].fill_value}"
        for name, (there, wanted) in counts.items()
        if there < wanted
    ]


def one_line(error: Exception) -> str:
    """Kind and message of an error, short."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _open_zarr(place: Path) -> "xr.Dataset":
    import xarray as xr
    from zarr.storage import LocalStore

    from geobench_catalog.chunk_sizes import BoundedStore

    if not place.is_dir():
        raise CatalogError(f"{place} is a file; a .zarr is a folder. Unpack or write it again.")
    metadata = {}
    for file in _metadata(place, place):
        name = file.relative_to(place).as_posix()
        metadata[name] = file.read_bytes()
        check_node(json.loads(metadata[name]), name)
    store = BoundedStore(LocalStore(place, read_only=True), metadata)
    # Not the consolidated metadata: what is read is then what has been checked, file by file.
    # Timedeltas are left to `conform`: xarray would also turn data in "seconds" into timedeltas.
    stored = xr.open_zarr(store, chunks=None, consolidated=False, decode_cf=False)
    if (place / ".zgroup").exists():
        # In Zarr 2 the fill value says what chunks hold that are not stored, 0 by default. Where it
        # is 0 it is a number like others, and no mark of what is missing, as xarray would read it.
        for variable in stored.variables.values():
            if variable.attrs.get("_FillValue") == 0:
                del variable.attrs["_FillValue"]
    return xr.decode_cf(stored, decode_timedelta=False)


def _metadata(folder: str | Path, store: Path) -> Iterator[Path]:
    """Yield the metadata files of a store; refuse links, pipes and devices."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _metadata(entry.path, store)
            elif not entry.is_file(follow_symlinks=False):
                where = Path(entry.path).relative_to(store).as_posix()
                raise CatalogError(
                    f"{store}: {where} is a symbolic link or no regular file, which may lead out "
                    f"of the store. Copy what it stands for in its place (cp -rL)."
                )
            elif entry.name.casefold() in _METADATA:
                yield Path(entry.path)


def _open_netcdf(place: Path) -> "xr.Dataset":
    import xarray as xr

    with place.open("rb") as file:
        magic = file.read(4)
    if magic not in (b"\x89HDF", b"CDF\x01", b"CDF\x02"):
        raise CatalogError(
            f"{place} is no netCDF 3 or 4: it begins with {magic!r}. Write it again as one of them."
        )
    engine: Any = "h5netcdf" if magic == b"\x89HDF" else "scipy"
    if engine == "h5netcdf":
        _check_hdf5(place)
    return xr.open_dataset(place, engine=engine, chunks=None, decode_timedelta=False)


def _check_hdf5(place: Path) -> None:
    """Refuse data that lie in other files: HDF5 would read any file of whoever opens this one."""
    from geobench_catalog.chunk_sizes import check_hdf5_chunks

    h5py = importlib.import_module("h5py")
    elsewhere = []

    def note(name: str, node: Any) -> None:
        data = isinstance(node, h5py.Dataset) and (node.external or node.is_virtual)
        if isinstance(node, h5py.Dataset) and node.chunks:
            check_hdf5_chunks(name, node)
        if data or isinstance(node, h5py.ExternalLink):
            elsewhere.append(name)

    with h5py.File(place) as opened:
        opened.visititems_links(note)
        opened.visititems(note)
    if elsewhere:
        raise CatalogError(
            f"{place}: {elsewhere[0]} lies in another file. Copy it into this one (nccopy does)."
        )
