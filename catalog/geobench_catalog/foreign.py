"""Anyone's forecast, opened without trust and read as if it were ours.

`open_foreign` opens a Zarr folder or a netCDF file that a stranger wrote: what might run code or
point elsewhere is refused. `conform` lays it out like a template: names, order, units and grid are
matched or refused, never converted. Both are lazy: values are read block by block.
"""

import importlib
import itertools
import json
import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_CODECS = (
    "blosc zstd gzip zlib bz2 lzma lz4 pcodec shuffle delta fixedscaleoffset quantize bitround "
    "astype packbits crc32 crc32c adler32 fletcher32 bytes endian transpose vlen-utf8 vlen-bytes "
    "sharding_indexed"
)
_METADATA = {".zarray", ".zgroup", ".zmetadata", "zarr.json"}
_STANDARD = {
    "init_time": "forecast_reference_time",
    "lead_time": "forecast_period",
    "member": "realization",
}
_KNOWN = {
    "init_time": "initial_time init forecast_reference_time reference_time start_date s",
    "lead_time": "prediction_timedelta step lead leadtime forecast_period fhour forecast_hour l",
    "member": "realization number ensemble ens sample ensemble_member m",
}
_VALID = {"time", "valid_time", "verification_time"}
_HORIZONTAL = {"X": {"x", "lon", "longitude"}, "Y": {"y", "lat", "latitude"}}
_SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DIMENSIONLESS = {"", "1", "-", "dimensionless", "unitless", "(0 - 1)"}
_SPELLED = {
    spelling: unit
    for unit, spellings in {
        "m": "metre metres meter meters",
        "d": "day days",
        "h": "hour hours hr hrs",
        "min": "mins minute minutes",
        "s": "second seconds sec secs",
        "ms": "millisecond milliseconds",
        "us": "microsecond microseconds",
        "ns": "nanosecond nanoseconds",
        "K": "kelvin",
        "Pa": "pascal pascals",
        "kg": "kilogram kilograms",
        "%": "percent",
        "degC": "degc °c celsius deg_c degree_celsius degrees_celsius degrees_c",
    }.items()
    for spelling in spellings.split()
}


# -- opening


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
            f"{place} cannot be opened ({_one_line(error)}). Check that xarray opens it, or write "
            f"it again."
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _open_zarr(place: Path) -> "xr.Dataset":
    import xarray as xr

    if not place.is_dir():
        raise CatalogError(f"{place} is a file; a .zarr is a folder. Unpack or write it again.")
    for file in _metadata(place, place):
        _check_node(json.loads(file.read_bytes()), file.relative_to(place).as_posix())
    # Not the consolidated metadata: what is read is then what has been checked, file by file.
    # Timedeltas are left to `conform`: xarray would also turn data in "seconds" into timedeltas.
    opened: xr.Dataset = xr.open_zarr(
        place, chunks=None, consolidated=False, decode_timedelta=False
    )
    return opened


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


def _check_node(node: dict[str, Any], where: str) -> None:
    """Refuse what may do more than decompress, in a group or array and in what it consolidates."""
    inner = node.get("consolidated_metadata") or node
    for name, each in (inner.get("metadata") or {}).items():
        if name.rpartition("/")[2] != ".zattrs":
            _check_node(each, f"{where} ({name})")
    filters = _listed(node.get("filters"))
    for codec in [*filters, *_listed(node.get("compressor")), *_listed(node.get("codecs"))]:
        _check_codec(codec, where)
    strings = {"id": "vlen-utf8"} in filters and isinstance(node["dtype"], str)
    if _holds_objects(node.get("dtype")) and not strings:
        raise _unsafe(where, f"the dtype {node['dtype']}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_codec(codec: Any, where: str) -> None:
    if not isinstance(codec, dict):
        codec = {"name": codec}
    for name in [codec[key] for key in ("id", "name") if key in codec] or ["no name"]:
        if not isinstance(name, str) or name.removeprefix("numcodecs.") not in _CODECS.split():
            raise _unsafe(where, f"the codec {name!r}")
    settings = codec | (codec.get("configuration") or {})
    for inner in [*_listed(settings.get("codecs")), *_listed(settings.get("index_codecs"))]:
        _check_codec(inner, where)
    if any(_holds_objects(value) for key, value in settings.items() if key.endswith("type")):
        raise _unsafe(where, "a codec that makes Python objects")


def _holds_objects(dtype: Any) -> bool:
    if isinstance(dtype, list):
        return any(map(_holds_objects, dtype))
    return isinstance(dtype, str) and bool(re.match(r"\W*(O\d*$|object)", dtype))


def _unsafe(where: str, what: str) -> CatalogError:
    return CatalogError(
        f"{where} uses {what}, which may run code or is not known. Write the forecast again with "
        f"numbers and a plain compressor such as zstd."
    )


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
    h5py = importlib.import_module("h5py")
    elsewhere = []

    def note(name: str, node: Any) -> None:
        data = isinstance(node, h5py.Dataset) and (node.external or node.is_virtual)
        if data or isinstance(node, h5py.ExternalLink):
            elsewhere.append(name)

    with h5py.File(place) as opened:
        opened.visititems_links(note)
        opened.visititems(note)
    if elsewhere:
        raise CatalogError(
            f"{place}: {elsewhere[0]} lies in another file. Copy it into this one (nccopy does)."
        )


# -- conforming


class _Axis(NamedTuple):
    """Where our points lie along a dim of the foreign forecast; with no dim, it is one point."""

    dim: str | None
    positions: "NDArray[np.intp]"


def conform(
    foreign: "xr.Dataset",
    wanted: "xr.Dataset",
    rename: Mapping[str, str] = {},
    *,
    assume_units: bool = False,
) -> tuple["xr.Dataset", list[str]]:
    """Lay out a forecast like `wanted`, float32 `(init_time, lead_time, member, *grid)`; and notes.

    `wanted` gives coordinates, names and units; its values are never looked at. `rename` maps
    foreign names to ours. Nothing is interpolated or converted: what does not match is an error.
    With `assume_units`, variables without units are taken to have ours.
    """
    import xarray as xr

    names = _named(foreign, wanted, rename)
    notes = _told(foreign, names, rename)
    _check_units(foreign, wanted, names, assume_units, notes)
    axes = _axes(foreign, wanted, names, notes)
    member = np.arange(len(axes["member"].positions))
    coords = dict(wanted.coords) | {"member": ("member", member, {"standard_name": "realization"})}
    data = {}
    for name, variable in wanted.data_vars.items():
        dims = [*_STANDARD, *_grid(variable)]
        lazy = _arranged(foreign, names[str(name)], {dim: axes[dim] for dim in dims}, notes)
        data[name] = (dims, lazy, variable.attrs)
    result = xr.Dataset(data, coords, wanted.attrs)
    result.set_close(foreign.close)
    return result, list(dict.fromkeys(notes))


def _grid(variable: "xr.DataArray") -> list[str]:
    return [str(dim) for dim in variable.dims if dim not in _STANDARD]


def _grids(wanted: "xr.Dataset") -> list[str]:
    return list(dict.fromkeys(dim for each in wanted.data_vars.values() for dim in _grid(each)))


def _told(foreign: "xr.Dataset", names: Mapping[str, str], rename: Mapping[str, str]) -> list[str]:
    guessed = [f"{n} is read as {our}" for our, n in names.items() if n not in {our, *rename}]
    unused = sorted(str(name) for name in foreign.variables if name not in names.values())
    notes = [", ".join(guessed)] if guessed else []
    return notes + ([f"not asked for and left out: {', '.join(unused)}"] if unused else [])


# -- names


def _named(
    foreign: "xr.Dataset", wanted: "xr.Dataset", rename: Mapping[str, str]
) -> dict[str, str]:
    """Map our names to the foreign coordinates, bare dims and variables; `member` may be absent."""
    lines = {str(name) for name in [*foreign.variables, *foreign.dims]}
    fields = {str(name) for name in foreign.data_vars}
    there = dict.fromkeys([*_STANDARD, *_grids(wanted)], lines)
    there |= dict.fromkeys(map(str, wanted.data_vars), fields)
    _check_rename(there, rename)
    names = {our: their for their, our in rename.items()}
    names |= {our: our for our, among in there.items() if our in among and our not in names}
    free = {name: _attributes(foreign, name) for name in sorted(lines - {*there, *rename})}
    _name_times(foreign, names, free)
    _name_grid(foreign, wanted, names, free)
    for our, variable in wanted.data_vars.items():
        called = {our, variable.attrs.get("long_name", our)}
        told = [{free[n].get("standard_name"), free[n].get("long_name")} for n in free]
        found = [n for n, titles in zip(free, told, strict=True) if n in fields and called & titles]
        _settle(foreign, names, str(our), found)
    for our, among in there.items():
        if our not in names and our != "member":
            raise CatalogError(
                f"nothing in the forecast is {our}; it has: {', '.join(sorted(among))}. Say what "
                f"it is: --rename FOREIGN={our}."
            )
    return names


def _attributes(foreign: "xr.Dataset", name: str) -> dict[str, str]:
    told = foreign.variables[name].attrs if name in foreign.variables else {}
    return {str(key): value for key, value in told.items() if isinstance(value, str)}


def _check_rename(there: Mapping[str, set[str]], rename: Mapping[str, str]) -> None:
    for their, our in rename.items():
        if our not in there:
            raise CatalogError(
                f"--rename {their}={our}: '{our}' is not asked for. Asked for: {', '.join(there)}."
            )
        if their not in there[our]:
            raise CatalogError(
                f"--rename {their}={our}: the forecast has no '{their}'. It has: "
                f"{', '.join(sorted(there[our]))}."
            )
        if list(rename.values()).count(our) > 1:
            raise CatalogError(f"--rename is given twice for {our} (one: {their}). Give it once.")


def _settle(
    foreign: "xr.Dataset", names: dict[str, str], our: str, *guesses: Sequence[str]
) -> None:
    """Add to `names` what the first guess that finds anything has found, if `our` has no name yet.

    A dim without a coordinate gives way to a coordinate; any other two finds are an error.
    """
    for guess in guesses if our not in names else ():
        found = [name for name in guess if name not in names.values()]
        found = [name for name in found if name in foreign.variables] or found
        if len(found) > 1:
            raise CatalogError(
                f"{our} may be {' or '.join(repr(name) for name in found)}. Say which: "
                f"--rename {found[0]}={our}, or another (--rename FOREIGN=OURS)."
            )
        if found:
            names[our] = found[0]
            return


def _name_times(
    foreign: "xr.Dataset", names: dict[str, str], free: Mapping[str, Mapping[str, str]]
) -> None:
    lines = [n for n in free if n not in foreign.variables or foreign.variables[n].ndim < 2]
    for our in ("member", "lead_time", "init_time"):
        standard = [name for name in lines if free[name].get("standard_name") == _STANDARD[our]]
        known = [name for name in lines if name.lower() in _KNOWN[our].split()]
        _settle(foreign, names, our, standard, known)
    time = [name for name in lines if name.lower() == "time"]
    if "lead_time" in names:
        _settle(foreign, names, "init_time", time)  # WeatherBench 2
    valid = [n for n in lines if n.lower() in _VALID or free[n].get("standard_name") == "time"]
    valid = [name for name in valid if name in foreign.dims and name not in names.values()]
    if "lead_time" not in names and valid:
        raise CatalogError(
            f"the forecast gives the time that is forecast ({valid[0]}) and no lead times. Lay it "
            f"out by init_time and lead_time = {valid[0]} - init_time, or say what gives the lead "
            f"times: --rename FOREIGN=lead_time."
        )


def _name_grid(
    foreign: "xr.Dataset",
    wanted: "xr.Dataset",
    names: dict[str, str],
    free: Mapping[str, Mapping[str, str]],
) -> None:
    """Name grid dims by axis, and what is left by coordinates if there is one way of doing so."""
    lines = [n for n in free if n not in foreign.variables or foreign.variables[n].ndim == 1]
    for our in _grids(wanted):
        axis = _horizontal(our, _attributes(wanted, our))
        along = [name for name in lines if axis and _horizontal(name, free[name]) == axis]
        _settle(foreign, names, our, along)
    rest = [our for our in _grids(wanted) if our not in names]
    lines = [name for name in lines if name in foreign.indexes and name not in names.values()]
    fits = [[n for n in lines if _direction(foreign, n, wanted, our)] for our in rest]
    ways = [way for way in itertools.product(*fits) if len({*way}) == len(way)]
    if len(ways) > 1:
        raise CatalogError(
            f"{', '.join(rest)} may be {' or '.join(', '.join(way) for way in ways[:2])}, by their "
            f"coordinates. Say which: --rename {ways[0][0]}={rest[0]} (FOREIGN=OURS)."
        )
    names |= dict(zip(rest, ways[0], strict=True)) if ways else {}


def _horizontal(name: str, attributes: Mapping[str, str]) -> str | None:
    called = {name.lower(), attributes.get("standard_name")}
    guess = next((axis for axis, known in _HORIZONTAL.items() if called & known), None)
    return attributes.get("axis", guess)


# -- units


def _check_units(
    foreign: "xr.Dataset",
    wanted: "xr.Dataset",
    names: Mapping[str, str],
    assume_units: bool,
    notes: list[str],
) -> None:
    for our, variable in wanted.data_vars.items():
        name, units = names[str(our)], str(variable.attrs["units"])
        theirs = foreign.variables[name].attrs.get("units")
        if theirs is None and not assume_units:
            raise CatalogError(
                f"{name} has no units; wanted is '{units}'. Add the attribute units, or pass "
                f"--assume-units if these are its units."
            )
        if theirs is None:
            notes.append(f"{name} has no units and is taken to be in '{units}'")
        elif _unit(str(theirs)) != _unit(units):
            raise CatalogError(
                f"{name} is in '{theirs}', wanted is '{units}'; nothing is converted. Convert it, "
                f"or mend its attribute units."
            )


def _unit(text: str) -> frozenset[tuple[str, int]]:
    """Read the powers of a unit, however it is spelled: m/s, m s-1, m s**-1, m·s⁻¹."""
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    if plain.lower() in _DIMENSIONLESS:
        return frozenset()
    powers: Counter[str] = Counter()
    plain = re.sub(r"\s*/\s*", " /", re.sub(r"\*\*|\^", "", plain))
    for part in re.split(r"[\s·⋅*]+|(?<!\d)\.|\.(?!\d)", plain):
        match = re.fullmatch(r"(/?)([^\W\d]+|°C|%)([+-]?\d+)?", part)
        over, symbol, power = match.groups() if match else ("", part, None)
        if symbol not in {"", "1"}:
            symbol = _SPELLED.get(symbol.lower(), symbol)
            powers[symbol] += int(power or 1) * (-1 if over else 1)
    return frozenset((symbol, power) for symbol, power in powers.items() if power)


# -- coordinates


def _axes(
    foreign: "xr.Dataset", wanted: "xr.Dataset", names: Mapping[str, str], notes: list[str]
) -> dict[str, _Axis]:
    grid = _grids(wanted)
    dims = {our: _dim(foreign, names.get(our), our) for our in [*_STANDARD, *grid]}
    for dim, times in Counter(dims.values()).items():
        if dim is not None and times > 1:
            both = [our for our in dims if dims[our] == dim]
            raise CatalogError(
                f"{' and '.join(both)} lie along one dimension of the forecast, {dim}. Give each "
                f"a dimension of its own (a list of forecasts has to be unstacked)."
            )
    positions = _times(foreign, wanted, names, notes)
    if dims["member"] is None:
        notes.append("there is no dimension member: a deterministic forecast, read as one member")
    elif not foreign.sizes[dims["member"]]:
        raise CatalogError(f"{dims['member']} has 0 members. Write at least one.")
    positions["member"] = np.arange(foreign.sizes[dims["member"]] if dims["member"] else 1)
    positions |= {our: _along(foreign, wanted, our, names[our], notes) for our in grid}
    return {our: _Axis(dims[our], positions[our]) for our in dims}


def _dim(foreign: "xr.Dataset", name: str | None, our: str) -> str | None:
    if name is None or name not in foreign.variables:
        return name
    dims = foreign.variables[name].dims
    if len(dims) > 1:
        raise CatalogError(
            f"{name} depends on {', '.join(map(str, dims))}; {our} has to be a coordinate along "
            f"one dimension. Say what gives it: --rename FOREIGN={our}."
        )
    return str(dims[0]) if dims else None


def _times(
    foreign: "xr.Dataset", wanted: "xr.Dataset", names: Mapping[str, str], notes: list[str]
) -> dict[str, "NDArray[np.intp]"]:
    """Find the wanted init and lead times among those of the forecast."""
    positions, missing = {}, []
    for our, kind, show in (("init_time", "init time", _date), ("lead_time", "lead time", _hours)):
        have, want = _instants(foreign, names[our], our), _instants(wanted, our, our)
        place = {time: position for position, time in enumerate(have)}
        if len(place) < len(have):
            twice = [show(time) for time, count in Counter(have).items() if count > 1]
            raise CatalogError(
                f"{names[our]} holds {twice[0]} more than once ({len(have) - len(place)} too "
                f"many). Keep one of each."
            )
        lost = [show(time) for time in want if time not in place]
        if lost:
            are = "s are" if len(lost) > 1 else " is" if len(want) == 1 else "s is"
            more = f", and {len(lost) - 10} more" if len(lost) > 10 else ""
            missing.append(
                f"{len(lost)} of {len(want)} {kind}{are} missing: {', '.join(lost[:10])}{more}"
            )
        elif len(have) > len(want):
            notes.append(f"{kind}s that are not asked for and left out: {len(have) - len(want)}")
        positions[our] = np.array([place.get(time, 0) for time in want], np.intp)
    if missing:
        raise CatalogError(f"{'; '.join(missing)}. A score needs all of them: add these forecasts.")
    return positions


def _instants(dataset: "xr.Dataset", name: str, our: str) -> list[tuple[int, int]]:
    """Read times as (second, nanosecond), which compare exactly at any resolution.

    Times that were stored as floats are whole seconds if they are within a tenth of one.
    """
    if name not in dataset.variables:
        raise CatalogError(
            f"the dimension {name} ({our}) has no coordinate. Add one that tells it."
        )
    variable = dataset.variables[name]
    times = np.atleast_1d(variable.values)
    inexact = np.dtype(variable.encoding.get("dtype", times.dtype)).kind == "f"
    if our == "lead_time" and times.dtype.kind in "iuf":
        times, inexact = _spans(times, variable.attrs.get("units"), name), True
    kind, cure = ("m", "numbers with units 'hours'") if our == "lead_time" else ("M", "CF dates")
    if times.dtype.kind != kind or np.isnat(times).any():
        raise CatalogError(
            f"{name} cannot be read as {our}: it holds {times.dtype}, {_ends(times)}. Write "
            f"{our} as {cure} (standard calendar, none missing)."
        )
    whole = times.astype(f"{kind}8[s]")
    rest = (times - whole).astype("m8[ns]").astype(np.int64)
    near = np.rint(rest / 1e9).astype(np.int64)
    snap = inexact & (abs(rest - near * 10**9) < 10**8)
    seconds = whole.astype(np.int64) + np.where(snap, near, 0)
    return list(zip(seconds.tolist(), np.where(snap, 0, rest).tolist(), strict=True))


def _spans(numbers: "NDArray[Any]", units: object, name: str) -> "NDArray[np.timedelta64]":
    unit = {_unit(name): seconds for name, seconds in _SECONDS.items()}.get(_unit(str(units)))
    seconds = numbers.astype(np.float64) * (unit or 1.0)
    if units is None or unit is None or not (abs(seconds) < 9e9).all():
        told = "has no units" if units is None else f"is in '{units}'"
        raise CatalogError(
            f"{name} {told} and holds {_ends(numbers)}: no lead times. Give it the attribute "
            f"units: hours, days, minutes or seconds."
        )
    return np.rint(seconds * 1e9).astype("m8[ns]")


def _date(time: tuple[int, int]) -> str:
    date = str(np.datetime64(time[0], "s")).removesuffix(":00")
    return f"{date} + {time[1]} ns" if time[1] else date


def _hours(time: tuple[int, int]) -> str:
    return f"{(time[0] + time[1] / 1e9) / 3600:.10g} h"


def _direction(foreign: "xr.Dataset", name: str, wanted: "xr.Dataset", our: str) -> int:
    """Return 1 if a coordinate is the wanted one, -1 if it is that backwards, 0 if it is another.

    Equal within 1e-6 of the spacing, or within the precision in which it is stored.
    """
    have, want = np.atleast_1d(foreign[name].values), wanted[our].values
    if have.dtype.kind not in "iuf" or have.shape != want.shape:
        return 0
    spacing = float(abs(np.diff(want)).min()) if want.size > 1 else float(abs(want).max()) or 1.0
    stored = np.finfo(have.dtype).eps * float(abs(want).max()) if have.dtype.kind == "f" else 0.0
    tolerance = max(1e-6 * spacing, min(float(stored), 1e-2 * spacing))
    for way in (1, -1):
        if np.allclose(have[::way], want, rtol=0, atol=tolerance):
            return way
    return 0


def _along(
    foreign: "xr.Dataset", wanted: "xr.Dataset", our: str, name: str, notes: list[str]
) -> "NDArray[np.intp]":
    want = wanted[our].values
    straight = np.arange(want.size)
    if name not in foreign.variables and foreign.sizes[name] == want.size:
        notes.append(f"{name} has no coordinate and is taken to be {our}")
        return straight
    way = _direction(foreign, name, wanted, our) if name in foreign.variables else 0
    if way == 0:
        have = np.atleast_1d(foreign[name].values)
        raise CatalogError(
            f"{name} is not the wanted {our}: {_ends(have)}, wanted {_ends(want)}. Nothing is "
            f"interpolated: bring the forecast to this grid."
        )
    if way < 0:
        notes.append(f"{name} runs backwards and is reversed")
    return straight[::way]


def _ends(values: "NDArray[Any]") -> str:
    return f"{values[0]} … {values[-1]} ({values.size} points)" if values.size else "0 points"


# -- values


def _arranged(foreign: "xr.Dataset", name: str, axes: Mapping[str, _Axis], notes: list[str]) -> Any:
    """Lay out a variable along our axes, as an array that xarray reads lazily."""
    variable = foreign.variables[name]
    for our, axis in axes.items():
        if axis.dim is not None and axis.dim not in variable.dims:
            raise CatalogError(
                f"{name} does not depend on {axis.dim} ({our}), but on "
                f"{', '.join(map(str, variable.dims))}. All variables need the same dimensions."
            )
    extra = [str(dim) for dim in variable.dims if dim not in {axis.dim for axis in axes.values()}]
    for dim in extra:
        if variable.sizes[dim] != 1:
            raise CatalogError(
                f"{name} has a dimension too many: {dim} ({variable.sizes[dim]} points). Select "
                f"one of them, or say what it is: --rename {dim}=OURS."
            )
        notes.append(f"{dim} has one point and is dropped")
    if not np.can_cast(variable.dtype, np.float32, "same_kind"):
        raise CatalogError(f"{name} holds {variable.dtype}, no numbers. Write it as float32.")
    if variable.dtype.newbyteorder("=") != np.float32:
        notes.append(f"{name} is {variable.dtype} and read as float32")
    read = _reader(variable.isel(dict.fromkeys(extra, 0)), name, list(axes.values()))
    return _lazy(read, tuple(len(axis.positions) for axis in axes.values()))


_Read = Callable[[tuple[Any, ...]], "NDArray[Any]"]


def _lazy(read: _Read, shape: tuple[int, ...]) -> Any:
    """Wrap `read`, which takes an int, a slice or positions for each dim, as an array of xarray."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Arranged(BackendArray):
        def __init__(self) -> None:
            self.shape, self.dtype = shape, np.dtype(np.float32)

        def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
            outer = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(key, shape, outer, read)

    return indexing.LazilyIndexedArray(Arranged())


def _reader(variable: "xr.Variable", name: str, axes: Sequence[_Axis]) -> _Read:
    def read(key: tuple[Any, ...]) -> "NDArray[Any]":
        chosen = [np.atleast_1d(axis.positions[k]) for axis, k in zip(axes, key, strict=True)]
        places = {a.dim: c for a, c in zip(axes, chosen, strict=True) if a.dim is not None}
        try:
            block = _block(variable, places)
        except Exception as error:  # as in `open_foreign`
            raise CatalogError(
                f"{name} cannot be read ({_one_line(error)}). Check the file, or write it again."
            ) from error
        for at, axis in enumerate(axes):
            if axis.dim is None:
                block = np.expand_dims(block, at).take(chosen[at], at)
        return block[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)]

    return read


def _block(variable: "xr.Variable", places: Mapping[str, "NDArray[np.intp]"]) -> "NDArray[Any]":
    """Read the places along each dim, in the order of `places`, reading nothing besides them."""
    sorted_places = {dim: np.unique(place, return_inverse=True) for dim, place in places.items()}
    spans = {dim: _span(found) for dim, (found, _) in sorted_places.items()}
    uneven = [dim for dim, span in spans.items() if not isinstance(span, slice)]
    if len(uneven) > 1:
        # HDF5 takes a list of places along one dim only: xarray would read the box around the rest.
        parts = [
            _block(variable, {**places, uneven[0]: place}) for place in places[uneven[0]][:, None]
        ]
        return np.concatenate(parts, list(places).index(uneven[0]))
    with np.errstate(over="ignore"):
        part = variable.isel(spans)
        block = part.values.astype(np.float32, copy=False)
    block = block.transpose([part.dims.index(dim) for dim in places])
    for at, (found, back) in enumerate(sorted_places.values()):
        if not np.array_equal(back, np.arange(found.size)):
            block = block.take(back, at)
    return block


def _span(places: "NDArray[np.intp]") -> "slice | NDArray[np.intp]":
    """Turn evenly spaced, ascending places into a slice, which every format reads best."""
    steps = np.unique(np.diff(places))
    if places.size and steps.size <= 1:
        return slice(int(places[0]), int(places[-1]) + 1, int(steps[0]) if steps.size else 1)
    return places if places.size else slice(0, 0)
