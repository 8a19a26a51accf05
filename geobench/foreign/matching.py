"""Which name of a foreign forecast is which of ours: by request, CF attributes, known spellings."""

import difflib
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr

STANDARD_NAMES = {
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


def named(foreign: "xr.Dataset", wanted: "xr.Dataset", rename: Mapping[str, str]) -> dict[str, str]:
    """Map our names to the foreign coordinates, bare dims and variables; `member` may be absent."""
    lines = {str(name) for name in [*foreign.variables, *foreign.dims]}
    fields = {str(name) for name in foreign.data_vars}
    there = dict.fromkeys([*STANDARD_NAMES, *grids(wanted)], lines)
    there |= dict.fromkeys(map(str, wanted.data_vars), fields)
    _check_rename(there, rename)
    names = {our: their for their, our in rename.items()}
    names |= {our: our for our, among in there.items() if our in among and our not in names}
    free = {name: _attributes(foreign, name) for name in sorted(lines - {*there, *rename})}
    _name_times(foreign, names, free)
    _name_grid(foreign, wanted, names, free)
    for our, variable in wanted.data_vars.items():
        called = {our, variable.attrs.get("long_name", our)}
        title_sets = [{free[n].get("standard_name"), free[n].get("long_name")} for n in free]
        matches = [
            n for n, titles in zip(free, title_sets, strict=True) if n in fields and called & titles
        ]
        _settle(foreign, names, str(our), matches)
    for our, among in there.items():
        if our not in names and our != "member":
            raise CatalogError(
                f"nothing in the forecast is {our}; it has: {', '.join(sorted(among))}. Say which "
                f"of them is: {hint(foreign, wanted, names, our)}."
            )
    return names


def hint(foreign: "xr.Dataset", wanted: "xr.Dataset", names: Mapping[str, str], our: str) -> str:
    """The option that names the likeliest candidate for one of ours."""
    fields = our in wanted.data_vars
    among = foreign.data_vars if fields else [*foreign.coords, *foreign.dims, *foreign.data_vars]
    free = [str(candidate) for candidate in dict.fromkeys(among) if candidate not in names.values()]
    free.sort(key=lambda name: -_likeness(foreign, name, wanted, our))
    return f"--rename {free[0]}={our}" if free else f"--rename NAME={our} with a name that it has"


def _likeness(foreign: "xr.Dataset", name: str, wanted: "xr.Dataset", our: str) -> float:
    """How much a variable or dim looks like one of ours: by kind, dims and length."""
    bare = name not in foreign.variables
    variable = None if bare else foreign.variables[name]
    if our in wanted.data_vars:
        return 0.0 if variable is None else variable.ndim
    kinds = {"init_time": "M", "lead_time": "m"}
    one_dim = bare or (variable is not None and variable.ndim <= 1)
    kind = variable is not None and variable.dtype.kind == kinds.get(our, "")
    size = foreign.sizes[name] if name in foreign.dims else 0
    alike = our in wanted.sizes and size == wanted.sizes[our]
    spelled = difflib.SequenceMatcher(None, name.lower(), our).ratio()
    return 8 * one_dim + 4 * kind + 2 * alike + (name in foreign.dims) + spelled


def names_a_time_or_member(foreign: "xr.Dataset", name: str) -> bool:
    """Whether a coordinate is by its name or standard name an init time, lead time or member."""
    known = {"time", *itertools.chain(*(words.split() for words in _KNOWN.values()))}
    standard = foreign.variables[name].attrs.get("standard_name")
    return name in STANDARD_NAMES or name.lower() in known or standard in STANDARD_NAMES.values()


def _attributes(foreign: "xr.Dataset", name: str) -> dict[str, str]:
    attributes = foreign.variables[name].attrs if name in foreign.variables else {}
    return {str(key): value for key, value in attributes.items() if isinstance(value, str)}


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
        matches = [name for name in guess if name not in names.values()]
        matches = [name for name in matches if name in foreign.variables] or matches
        if len(matches) > 1:
            raise CatalogError(
                f"{our} may be {' or '.join(repr(name) for name in matches)}. Say which: "
                f"{' or '.join(f'--rename {name}={our}' for name in matches)}."
            )
        if matches:
            names[our] = matches[0]
            return


def _name_times(
    foreign: "xr.Dataset", names: dict[str, str], free: Mapping[str, Mapping[str, str]]
) -> None:
    lines = [n for n in free if n not in foreign.variables or foreign.variables[n].ndim < 2]
    for our in ("member", "lead_time", "init_time"):
        standard = [
            name for name in lines if free[name].get("standard_name") == STANDARD_NAMES[our]
        ]
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
            f"out by init_time and lead_time = {valid[0]} - init_time; if another coordinate gives "
            f"the lead times, name it: --rename NAME=lead_time."
        )


def _name_grid(
    foreign: "xr.Dataset",
    wanted: "xr.Dataset",
    names: dict[str, str],
    free: Mapping[str, Mapping[str, str]],
) -> None:
    """Name grid dims by axis, and what is left by coordinates if there is one way of doing so."""
    lines = [n for n in free if n not in foreign.variables or foreign.variables[n].ndim == 1]
    for our in grids(wanted):
        axis = _horizontal(our, _attributes(wanted, our))
        along = [name for name in lines if axis and _horizontal(name, free[name]) == axis]
        _settle(foreign, names, our, along)
    rest = [our for our in grids(wanted) if our not in names]
    lines = [name for name in lines if name in foreign.indexes and name not in names.values()]
    fits = [[n for n in lines if direction(foreign, n, wanted, our)] for our in rest]
    ways = [way for way in itertools.product(*fits) if len({*way}) == len(way)]
    if len(ways) > 1:
        raise CatalogError(
            f"{', '.join(rest)} may be {' or '.join(', '.join(way) for way in ways[:2])}, by their "
            f"coordinates. Say which: {' or '.join(_renamed(way, rest) for way in ways[:2])}."
        )
    names |= dict(zip(rest, ways[0], strict=True)) if ways else {}


def _renamed(way: Sequence[str], ours: Sequence[str]) -> str:
    return " ".join(f"--rename {their}={our}" for their, our in zip(way, ours, strict=True))


def _horizontal(name: str, attributes: Mapping[str, str]) -> str | None:
    called = {name.lower(), attributes.get("standard_name")}
    guess = next((axis for axis, known in _HORIZONTAL.items() if called & known), None)
    return attributes.get("axis", guess)


def grid_dims(variable: "xr.DataArray") -> list[str]:
    """Dims of a variable that are no time and no member."""
    return [str(dim) for dim in variable.dims if dim not in STANDARD_NAMES]


def grids(wanted: "xr.Dataset") -> list[str]:
    """Grid dims of all variables."""
    return list(
        dict.fromkeys(dim for variable in wanted.data_vars.values() for dim in grid_dims(variable))
    )


def direction(foreign: "xr.Dataset", name: str, wanted: "xr.Dataset", our: str) -> int:
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
