"""Zarr stores and netCDF files that are written block by block, so that nothing is held whole."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import xarray as xr

_UNITS = {"hours": 3_600, "minutes": 60, "seconds": 1}


@dataclass(frozen=True)
class Content:
    """What a file shall hold: coordinates that are complete, and data in blocks along a dim."""

    frame: "xr.Dataset"
    """Complete coordinates and attributes, without data variables."""
    blocks: "Iterable[xr.Dataset]"
    dim: str
    """Dim of the blocks, "" if there is one; a variable without it is taken from the first."""
    chunks: "Mapping[str, int]"
    """Lengths of chunks along dims; default: whole."""


def write_zarr(path: Path, content: Content) -> None:
    """Write a Zarr 2 store, which every version of xarray and zarr reads."""
    with _aside(path) as new:
        for index, block in enumerate(content.blocks):
            plain = block.drop_encoding()
            for name in plain.coords:
                plain[name].attrs = content.frame[name].attrs
            if index == 0:
                encoding = _times(content.frame) | {
                    str(name): {"chunks": _chunks(variable, content)}
                    for name, variable in plain.data_vars.items()
                }
                plain.to_zarr(new, mode="w-", zarr_format=2, consolidated=False, encoding=encoding)
            else:
                fixed = [n for n, v in plain.variables.items() if content.dim not in v.dims]
                plain.drop_vars(fixed).to_zarr(new, append_dim=content.dim, consolidated=False)
        _consolidate(new)


def write_netcdf(path: Path, content: Content) -> None:
    """Write a netCDF 4 file by the conventions of CF."""
    import h5netcdf

    with _aside(path) as new:
        content.frame.to_netcdf(new, engine="h5netcdf", encoding=_times(content.frame))
        with h5netcdf.File(new, "r+") as file:
            file.attrs.pop("coordinates", None)
            coords = content.frame.coords
            beside = " ".join(sorted(str(n) for n in coords if n not in coords.dims))
            first = 0
            for block in content.blocks:
                stop = first + block.sizes.get(content.dim, 0)
                for name, variable in block.data_vars.items():
                    if name not in file.variables:
                        _create(file, str(name), variable, content, beside)
                    elif content.dim not in variable.dims:
                        continue
                    span = tuple(
                        slice(first, stop) if dim == content.dim else slice(None)
                        for dim in variable.dims
                    )
                    file[str(name)][span] = variable.to_numpy()
                first = stop


def _create(file: Any, name: str, variable: "xr.DataArray", content: Content, beside: str) -> None:
    sizes = {**variable.sizes, **content.frame.sizes}
    for dim in variable.dims:
        if dim not in file.dimensions:
            file.dimensions[dim] = sizes[dim]
    is_float = variable.dtype.kind == "f"
    created = file.create_variable(
        name,
        variable.dims,
        variable.dtype,
        fillvalue=np.array(np.nan, variable.dtype) if is_float else None,
        chunks=_chunks(variable, content, sizes) or None,
        compression="gzip" if variable.ndim else None,
    )
    created.attrs.update({key: value for key, value in variable.attrs.items() if value != ""})
    if beside and variable.ndim:
        created.attrs["coordinates"] = beside


def _chunks(
    variable: "xr.DataArray", content: Content, sizes: "Mapping[Any, int] | None" = None
) -> tuple[int, ...]:
    sizes = sizes or variable.sizes
    return tuple(
        max(1, min(sizes[dim], content.chunks.get(str(dim), sizes[dim]))) for dim in variable.dims
    )


def _times(frame: "xr.Dataset") -> dict[str, dict[str, Any]]:
    """Encode times as whole numbers of the longest unit that gives them all."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in frame.coords.items():
        if variable.dtype.kind not in "mM":
            continue
        since = np.datetime64("2000-01-01", "ns") if variable.dtype.kind == "M" else None
        values = variable.to_numpy() - since if since is not None else variable.to_numpy()
        seconds = values.astype("timedelta64[s]").astype(np.int64)
        unit = next(unit for unit, length in _UNITS.items() if not (seconds % length).any())
        reference = " since 2000-01-01" if since is not None else ""
        encoding[str(name)] = {"units": unit + reference, "dtype": "int64"}
    return encoding


def _consolidate(store: Path) -> None:
    import zarr

    zarr.consolidate_metadata(store, zarr_format=2)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Give a path beside `path`; what is written there gets its name in the end."""
    if path.exists():
        raise GeobenchError(f"{path} is there already. Remove it, or name another folder by --to.")
    new = path.with_name(f".{path.name}.part")
    _remove(new)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield new
        new.rename(path)
    except OSError as error:
        raise GeobenchError(
            f"{path} cannot be written ({error.strerror or error}). Name another folder by --to."
        ) from error
    finally:
        _remove(new)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
