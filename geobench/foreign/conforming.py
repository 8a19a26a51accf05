"""Anyone's forecast laid out as if it were ours: matched or refused, never converted, and lazy."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geobench.errors import one_line
from geobench.foreign.matching import STANDARD_NAMES, direction, grid_dims, grids, named
from geobench.foreign.reading import Read, first_unread, lazily, read_places
from geobench.foreign.sources import STANDARD_CALENDARS
from geobench.foreign.units import powers_of, seconds_in
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


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
    assume_grid: Collection[str] = (),
) -> tuple["xr.Dataset", list[str]]:
    """Lay out a forecast like `wanted`, float32 `(init_time, lead_time, member, *grid)`; and notes.

    `wanted` gives coordinates, names and units; its values are never looked at. `rename` maps
    foreign names to ours. Nothing is interpolated or converted: what does not match is an error.
    With `assume_units`, variables without units are taken to have ours. `assume_grid` names grid
    dims without coordinates whose points are ours, in our order.
    """
    import xarray as xr

    names = named(foreign, wanted, rename)
    notes = _told(foreign, names, rename)
    _check_units(foreign, wanted, names, assume_units, notes)
    _check_assumed(foreign, wanted, names, assume_grid)
    axes = _axes(foreign, wanted, names, notes, assume_grid)
    member = np.arange(len(axes["member"].positions))
    coords = dict(wanted.coords) | {"member": ("member", member, {"standard_name": "realization"})}
    data = {}
    for name, variable in wanted.data_vars.items():
        dims = [*STANDARD_NAMES, *grid_dims(variable)]
        lazy = _arranged(foreign, names[str(name)], {dim: axes[dim] for dim in dims}, notes)
        data[name] = (dims, lazy, variable.attrs)
    result = xr.Dataset(data, coords, wanted.attrs)
    result.set_close(foreign.close)
    return result, list(dict.fromkeys(notes))


def _told(foreign: "xr.Dataset", names: Mapping[str, str], rename: Mapping[str, str]) -> list[str]:
    guessed = [f"{n} is read as {our}" for our, n in names.items() if n not in {our, *rename}]
    unused = sorted(str(name) for name in foreign.variables if name not in names.values())
    notes = [", ".join(guessed)] if guessed else []
    return notes + ([f"not asked for and left out: {', '.join(unused)}"] if unused else [])


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
        elif powers_of(str(theirs)) != powers_of(units):
            raise CatalogError(
                f"{name} is in '{theirs}', wanted is '{units}'; nothing is converted. Convert it, "
                f"or mend its attribute units."
            )


def _check_assumed(
    foreign: "xr.Dataset", wanted: "xr.Dataset", names: Mapping[str, str], assumed: Collection[str]
) -> None:
    bare = [names[our] for our in grids(wanted) if names[our] not in foreign.variables]
    for name in assumed:
        if name not in bare:
            hint = f"Such are: {', '.join(bare)}." if bare else "There is none: leave it out."
            raise CatalogError(
                f"--assume-grid {name}: {name} is no grid dimension without coordinate. {hint}"
            )


def _axes(
    foreign: "xr.Dataset",
    wanted: "xr.Dataset",
    names: Mapping[str, str],
    notes: list[str],
    assumed: Collection[str],
) -> dict[str, _Axis]:
    grid = grids(wanted)
    dims = {our: _dim(foreign, names.get(our), our) for our in [*STANDARD_NAMES, *grid]}
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
    positions |= {our: _along(foreign, wanted, our, names[our], notes, assumed) for our in grid}
    return {our: _Axis(dims[our], positions[our]) for our in dims}


def _dim(foreign: "xr.Dataset", name: str | None, our: str) -> str | None:
    if name is None or name not in foreign.variables:
        return name
    dims = foreign.variables[name].dims
    if len(dims) > 1:
        raise CatalogError(
            f"{name} depends on {', '.join(map(str, dims))}; {our} has to be a coordinate along "
            f"one dimension. Give it one, or name another: --rename {dims[-1]}={our}."
        )
    return str(dims[0]) if dims else None


def _times(
    foreign: "xr.Dataset", wanted: "xr.Dataset", names: Mapping[str, str], notes: list[str]
) -> dict[str, "NDArray[np.intp]"]:
    """Find the wanted init and lead times among those of the forecast."""
    positions, missing = {}, []
    for our, kind, show in (("init_time", "init time", _date), ("lead_time", "lead time", _hours)):
        have, want = _instants(foreign, names[our], our), _instants(wanted, our, our)
        position_of = {time: position for position, time in enumerate(have)}
        if len(position_of) < len(have):
            twice = [show(time) for time, count in Counter(have).items() if count > 1]
            raise CatalogError(
                f"{names[our]} holds {twice[0]} more than once ({len(have) - len(position_of)} too "
                f"many). Keep one of each."
            )
        lost = [show(time) for time in want if time not in position_of]
        if lost:
            are = "s are" if len(lost) > 1 else " is" if len(want) == 1 else "s is"
            there = _others(have, want, show)
            missing.append(
                f"{len(lost)} of {len(want)} {kind}{are} missing: {_some(lost)}; {there}"
            )
        elif len(have) > len(want):
            notes.append(f"{kind}s that are not asked for and left out: {len(have) - len(want)}")
        positions[our] = np.array([position_of.get(time, 0) for time in want], np.intp)
    if missing:
        raise CatalogError(
            f"{'; '.join(missing)}. A score needs all of them: add these forecasts, or correct "
            f"times that are only labelled otherwise."
        )
    return positions


def _some(times: Sequence[str]) -> str:
    more = f", and {len(times) - 10} more" if len(times) > 10 else ""
    return ", ".join(times[:10]) + more


_Instant = tuple[int, int]


def _others(
    have: Sequence[_Instant], want: Sequence[_Instant], show: Callable[[_Instant], str]
) -> str:
    """Say which times there are in place of the wanted ones, or by how much all are off."""
    shift = _offset(have, want)
    if shift:
        off = f"{abs(shift) / 3600:.10g} h {'later' if shift > 0 else 'earlier'}"
        first = min(want)
        shifted = show((first[0] + shift, first[1]))
        every = f"all {len(want)} are there" if len(want) > 1 else "it is there"
        return f"{every} {off} ({shifted} for {show(first)})"
    others = [show(time) for time in sorted({*have} - {*want})]
    return f"the forecast has: {_some(others)}" if others else "the forecast has no others"


def _offset(have: Sequence[_Instant], want: Sequence[_Instant]) -> int:
    """Seconds by which all wanted times are off in the forecast; 0 if there is no such number."""
    there, first = {*have}, min(want)
    shifts = sorted({time[0] - first[0] for time in have}, key=abs)
    for shift in shifts[:_SHIFTS]:
        if shift and all((time[0] + shift, time[1]) in there for time in want):
            return shift
    return 0


_SHIFTS = 1000  # that are tried


def _instants(dataset: "xr.Dataset", name: str, our: str) -> list[tuple[int, int]]:
    """Read times as (second, nanosecond), which compare exactly at any resolution.

    Times that were stored as floats are whole seconds if they are within a tenth of one.
    """
    if name not in dataset.variables:
        raise CatalogError(
            f"the dimension {name} ({our}) has no coordinate. Add one that tells it."
        )
    variable = dataset.variables[name]
    _check_calendar(variable, name)
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


def _check_calendar(variable: "xr.Variable", name: str) -> None:
    calendar = str({**variable.encoding, **variable.attrs}.get("calendar", "standard"))
    if calendar.lower() not in STANDARD_CALENDARS:
        raise CatalogError(
            f"{name} has the calendar '{calendar}', whose days are not those of the dataset's "
            f"standard calendar: such forecasts are not read. Run the model on the dates of the "
            f"dataset; converting the labels (xarray: convert_calendar) drops or moves days."
        )


def _spans(numbers: "NDArray[Any]", units: object, name: str) -> "NDArray[np.timedelta64]":
    unit = seconds_in(str(units))
    seconds = numbers.astype(np.float64) * (unit or 1.0)
    if units is None or unit is None or not (abs(seconds) < 9e9).all():
        problem = "has no units" if units is None else f"is in '{units}'"
        raise CatalogError(
            f"{name} {problem} and holds {_ends(numbers)}: no lead times. Give it the attribute "
            f"units: hours, days, minutes or seconds."
        )
    return np.rint(seconds * 1e9).astype("m8[ns]")


def _date(time: tuple[int, int]) -> str:
    date = str(np.datetime64(time[0], "s")).removesuffix(":00")
    return f"{date} + {time[1]} ns" if time[1] else date


def _hours(time: tuple[int, int]) -> str:
    return f"{(time[0] + time[1] / 1e9) / 3600:.10g} h"


def _along(
    foreign: "xr.Dataset",
    wanted: "xr.Dataset",
    our: str,
    name: str,
    notes: list[str],
    assumed: Collection[str],
) -> "NDArray[np.intp]":
    want = wanted[our].values
    straight = np.arange(want.size)
    if name not in foreign.variables and foreign.sizes[name] == want.size:
        if name not in assumed:
            raise CatalogError(
                f"{name} has no coordinate, so nothing says that its {want.size} points are "
                f"{our}, nor from which end. Add the coordinate, or pass --assume-grid {name} if "
                f"they are {_ends(want)} in this order."
            )
        notes.append(f"{name} has no coordinate and is taken to be {our}, in its order")
        return straight
    way = direction(foreign, name, wanted, our) if name in foreign.variables else 0
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
            members = f", or, if these are members: --rename {dim}=member"
            raise CatalogError(
                f"{name} has a dimension too many: {dim} ({variable.sizes[dim]} points). Select "
                f"one of them{members if axes['member'].dim is None else ''}."
            )
        notes.append(f"{dim} has one point and is dropped")
    if not np.can_cast(variable.dtype, np.float32, "same_kind"):
        raise CatalogError(f"{name} holds {variable.dtype}, no numbers. Write it as float32.")
    if variable.dtype.newbyteorder("=") != np.float32:
        notes.append(f"{name} is {variable.dtype} and read as float32")
    read = _reader(variable.isel(dict.fromkeys(extra, 0)), name, list(axes.values()))
    return lazily(read, tuple(len(axis.positions) for axis in axes.values()), np.float32)


def _reader(variable: "xr.Variable", name: str, axes: Sequence[_Axis]) -> Read:
    def read(key: tuple[Any, ...]) -> "NDArray[Any]":
        chosen = [np.atleast_1d(axis.positions[k]) for axis, k in zip(axes, key, strict=True)]
        places = {a.dim: c for a, c in zip(axes, chosen, strict=True) if a.dim is not None}
        try:
            block = read_places(variable, places)
        except Exception as error:  # as in `open_foreign`
            raise CatalogError(
                f"{name} cannot be read at {first_unread(variable, places)} ({one_line(error)}). "
                f"Check the file, or write it again."
            ) from error
        for at, axis in enumerate(axes):
            if axis.dim is None:
                block = np.expand_dims(block, at).take(chosen[at], at)
        return block[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)]

    return read
