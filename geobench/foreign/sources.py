"""Anyone's forecast, opened without trust: what might run code or point elsewhere is refused."""

import glob
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.errors import one_line
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr

STANDARD_CALENDARS = {"standard", "gregorian", "proleptic_gregorian"}
Source = str | Path
"""A path, a URL, or a pattern such as 'theirs/*.nc'."""

_NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")
_GRIB = (".grib", ".grib1", ".grib2", ".grb", ".grb1", ".grb2", ".gb2")
_URLS = ("s3://", "https://", "http://")
_MOST_FILES = 100_000


@contextmanager
def _specification_unsaid() -> Iterator[None]:
    """Silence what Zarr says about parts of a store that its specification does not know."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?i).*Zarr.*(specification|hierarchy)")
        yield


def open_foreign(given: Source | Sequence[Source]) -> "xr.Dataset":
    """Open a forecast lazily; nothing in it is trusted.

    It is a Zarr store (2 or 3: a .zarr folder, a .zarr.zip file, an s3:// or https:// URL), a
    netCDF file (3 or 4), or several of these, each with some of the init times, lead times or
    members.
    """
    from geobench.foreign.several import combined

    sources = listed(given)
    opened = [_open(source) for source in sources]
    if len(opened) == 1:
        return opened[0]
    return combined(dict(zip(map(str, sources), opened, strict=True)))


def listed(given: Source | Sequence[Source]) -> list[Source]:
    """Name every file that was given, also by a pattern."""
    sources: list[Source] = []
    for source in [given] if isinstance(given, str | Path) else given:
        text = str(source)
        if glob.has_magic(text) and not is_url(text) and not Path(text).exists():
            matched = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 # of any root
            if not matched:
                raise CatalogError(f"no file matches '{text}'. Check the pattern of the forecast.")
            sources += map(Path, matched)
        else:
            sources.append(text if is_url(text) else Path(text))
    if not sources:
        raise CatalogError("no file of the forecast is named. Name one or more.")
    if len(sources) > _MOST_FILES:
        raise CatalogError(
            f"{len(sources):,} files are named, and {_MOST_FILES:,} are the most that are read. "
            f"Write the forecast as one Zarr store."
        )
    return sources


def is_url(text: str) -> bool:
    """Whether it names something that is not on this machine."""
    return text.startswith(_URLS)


def _open(source: Source) -> "xr.Dataset":
    try:
        if isinstance(source, str) and "::" in source:  # fsspec would go on to another address
            raise CatalogError(f"{source} is several addresses in one. Name the Zarr store itself.")
        if isinstance(source, Path) and not source.exists() and not _is_grib(source):
            raise CatalogError(f"{source} is not there. Check the path of the forecast.")
        with _specification_unsaid():
            return _read(source)
    except CatalogError:
        raise
    except ModuleNotFoundError as error:
        raise CatalogError(
            f"{source} cannot be opened ({error}). netCDF 4 needs: pip install h5netcdf h5py."
        ) from error
    except Exception as error:  # a damaged or hostile file makes the libraries raise anything
        raise CatalogError(
            f"{source} cannot be opened ({one_line(error)}). Check that xarray opens it, or write "
            f"it again."
        ) from error


def _read(source: Source) -> "xr.Dataset":
    from geobench.foreign import zarr_stores

    name = str(source).rstrip("/").lower()
    if is_url(str(source)):
        return _decoded(*zarr_stores.at_url(str(source)))
    path = Path(source)
    if name.endswith(".zarr.zip") or (name.endswith(".zarr") and path.is_file()):
        return _decoded(*zarr_stores.in_zip(path))
    if name.endswith(".zarr"):
        return _decoded(*zarr_stores.in_folder(path))
    if name.endswith(_NETCDF):
        return _open_netcdf(path)
    if _is_grib(path):
        raise CatalogError(
            f"{path} is GRIB, which is not read. Convert it: grib_to_netcdf -o {path.stem}.nc "
            f"{path.name} (ecCodes), cdo -f nc4 copy {path.name} {path.stem}.nc, or with cfgrib "
            f"xarray.open_dataset('{path.name}', engine='cfgrib').to_netcdf('{path.stem}.nc')."
        )
    raise CatalogError(
        f"{path}: forecasts with the ending '{path.suffix}' are not read. Write it as a .zarr "
        f"folder or a .nc file."
    )


def _is_grib(path: Path) -> bool:
    if path.suffix.lower() in _GRIB:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"GRIB"


def absent_chunks(given: Source | Sequence[Source]) -> list[str]:
    """Notes on arrays of which chunks are not stored: Zarr takes them to hold the fill value."""
    from geobench.foreign import zarr_stores

    notes: list[str] = []
    for source in listed(given):
        if str(source).rstrip("/").lower().endswith((".zarr", ".zarr.zip")) or is_url(str(source)):
            with _specification_unsaid():
                notes += zarr_stores.absent(source)
    return notes


def _decoded(stored: "xr.Dataset", zarr_2: bool) -> "xr.Dataset":
    """Decode a Zarr store; timedeltas are left to `conform`, which knows data in seconds."""
    if zarr_2:
        # In Zarr 2 the fill value says what chunks hold that are not stored, 0 by default. Where it
        # is 0 it is a number like others, and no mark of what is missing, as xarray would read it.
        for variable in stored.variables.values():
            if variable.attrs.get("_FillValue") == 0:
                del variable.attrs["_FillValue"]
    return _in_known_calendars(stored)


def _in_known_calendars(stored: "xr.Dataset") -> "xr.Dataset":
    """Decode; times of other calendars stay numbers, and `conform` says so where it needs them."""
    import xarray as xr

    odd = [
        name
        for name, variable in stored.variables.items()
        if str(variable.attrs.get("calendar", "standard")).lower() not in STANDARD_CALENDARS
    ]
    decoded = xr.decode_cf(stored.drop_vars(odd), decode_timedelta=False)
    decoded = decoded.assign_coords({name: stored.variables[name] for name in odd})
    decoded.set_close(stored.close)
    return decoded


def _open_netcdf(path: Path) -> "xr.Dataset":
    import xarray as xr

    from geobench.foreign import hdf5

    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in (b"\x89HDF", b"CDF\x01", b"CDF\x02"):
        raise CatalogError(
            f"{path} is no netCDF 3 or 4: it begins with {magic!r}. Write it again as one of them."
        )
    engine: Any = "h5netcdf" if magic == b"\x89HDF" else "scipy"
    if engine == "h5netcdf":
        hdf5.check(path)
    stored = xr.open_dataset(path, engine=engine, chunks=None, decode_cf=False)
    return _in_known_calendars(stored)
