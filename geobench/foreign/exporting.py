"""Entries as files that other software reads: WeatherBench's Zarr, and netCDF by CF."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from geobench.errors import GeobenchError
from geobench.forecasts.forecast import Forecast
from geobench.forecasts.layout import CHUNK
from geobench.foreign import block_files
from geobench.foreign.block_files import Content
from geobench.foreign.matching import STANDARD_NAMES
from geobench.scoring import Piece
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

Form = Literal["weatherbench", "netcdf"]
_CF = {
    "init_time": "forecast_reference_time",
    "lead_time": "forecast_period",
    "member": "realization",
}
_WEATHERBENCH = {"init_time": "time", "lead_time": "prediction_timedelta", "member": "number"}
_HORIZONTAL = {
    "latitude": {"lat", "latitude", "degrees_north"},
    "longitude": {"lon", "longitude", "degrees_east"},
}


def export(
    entries: Sequence[Entry],
    form: Form,
    folder: Path,
    forecast_of: Callable[[Entry], Forecast],
    memory: int = 2**28,
) -> list[Path]:
    """Write entries into a folder, each forecast with the truth beside it; return the files.

    Nothing is overwritten. `memory`: bytes that data may take at a time.
    """
    wanted = [pair for entry in entries for pair in _files(entry, form, forecast_of, memory)]
    files = {folder / name: content for name, content in wanted}
    for path in files:
        if path.exists():
            raise GeobenchError(
                f"{path} is there already, and nothing was written. Remove it, or name another "
                f"folder by --to."
            )
    write = block_files.write_netcdf if form == "netcdf" else block_files.write_zarr
    for path, content in files.items():
        write(path, content())
    return list(files)


_Files = Iterator[tuple[str, Callable[[], Content]]]


def _files(
    entry: Entry, form: Form, forecast_of: Callable[[Entry], Forecast], memory: int
) -> _Files:
    """Names of the files of an entry, and what is in each."""
    kind, name = entry.record.kind, f"{entry.record.name}.v{entry.reference.version}"
    ending = "nc" if form == "netcdf" else "zarr"
    if kind == "forecast":
        forecast = forecast_of(entry)
        yield f"{name}.{ending}", partial(_members, forecast, form, memory)
        dataset = forecast.dataset.entry
        cases = forecast.cases.label()
        truth = f"{dataset.record.name}.v{dataset.reference.version}{cases}.truth.{ending}"
        yield truth, partial(_truth, forecast, form, memory)
    elif form == "weatherbench":
        raise GeobenchError(
            f"{entry.reference} is a {kind}, and WeatherBench has a layout for forecasts and their "
            f"truth only. Name a forecast, or export it --as netcdf."
        )
    elif kind == "score":
        yield f"{name}.nc", partial(_stored, entry, "", form, memory)
    elif kind == "dataset":
        for group in sorted({path.rpartition("/")[0] for path, _, _ in entry.contents()}):
            part = group.replace("/", ".")
            yield f"{name}.{part}.nc", partial(_stored, entry, group, form, memory)
    else:
        raise GeobenchError(
            f"{entry.reference} is a {kind}, which has no layout in netCDF. Export a dataset, a "
            f"forecast or a score, or leave out --as."
        )


def _members(forecast: Forecast, form: Form, memory: int) -> Content:
    opened = forecast.members
    chunks = dict(opened[next(iter(opened.data_vars))].encoding.get("preferred_chunks", {}))
    blocks = forecast.entry.blocks("init_time", memory)
    return _named(opened, blocks, "init_time", form, chunks)


def _truth(forecast: Forecast, form: Form, memory: int) -> Content:
    """What happened: by valid time for WeatherBench, in the cases of the forecast for netCDF."""
    frame = forecast.frame()
    inits, leads = frame["init_time"].to_numpy(), frame["lead_time"].to_numpy()
    one = sum(variable.nbytes for variable in frame.data_vars.values())
    step = max(1, memory // (4 * max(1, one)))
    edges = [*range(0, len(inits), step), len(inits)]
    outcomes = (
        forecast.outcome(Piece((first, stop), (0, len(leads)))).load()
        for first, stop in pairwise(edges)
    )
    if form == "netcdf":
        return _named(frame, outcomes, "init_time", form, {"init_time": step})
    times = _valid_times(forecast, inits, leads)
    by_time = frame.drop_vars(["init_time", "lead_time"]).drop_dims("lead_time")
    by_time = by_time.assign_coords(time=("time", times, {"standard_name": "time"}))
    chunk = max(1, CHUNK * len(leads) // max(1, one))
    return _named(by_time, _by_valid_time(outcomes), "time", form, {"time": chunk})


def _valid_times(
    forecast: Forecast, inits: "NDArray[np.datetime64]", leads: "NDArray[np.timedelta64]"
) -> "NDArray[np.datetime64]":
    """Return all times that are forecast; `GeobenchError` if one has two outcomes."""
    valid = inits[:, None] + leads[None]
    trajectory = forecast.inits()["trajectory"].to_numpy()[:, None] + 0 * leads[None].astype(int)
    times, where = np.unique(valid, return_inverse=True)
    first, last = np.full(len(times), np.iinfo(int).max), np.full(len(times), -1)
    np.minimum.at(first, where.ravel(), trajectory.ravel())
    np.maximum.at(last, where.ravel(), trajectory.ravel())
    ascending = bool((np.diff(valid.max(1).astype(int)) > 0).all() and (np.diff(first) >= 0).all())
    if (first != last).any() or not ascending:
        raise GeobenchError(
            f"{forecast.entry.reference}: test trajectories overlap in time, so its truth cannot "
            f"be laid out by valid time alone. Export it --as netcdf."
        )
    return times


def _by_valid_time(outcomes: "Iterable[xr.Dataset]") -> "Iterator[xr.Dataset]":
    """Lay outcomes out by the time at which they happened, each once."""
    last = np.datetime64("0001-01-01", "s")
    for outcome in outcomes:
        flat = outcome.stack(case=("init_time", "lead_time"), create_index=False)
        times = (flat["init_time"] + flat["lead_time"]).to_numpy()
        unique, places = np.unique(times, return_index=True)
        places = places[unique > last]
        if places.size:
            last = unique[-1]
            chosen = flat.isel(case=places).drop_vars(["init_time", "lead_time"])
            named = chosen.rename(case="time").assign_coords(time=("time", times[places]))
            yield named.transpose("time", ...)


def _stored(entry: Entry, group: str, form: Form, memory: int) -> Content:
    """A group of an entry as it is stored."""
    opened = entry.open(group or None)
    dim = next((dim for dim in ("init_time", "trajectory") if dim in opened.dims), "")
    if dim:
        return _named(opened, entry.blocks(dim, memory, group or None), dim, form)
    return _named(opened, iter([entry.load(group or None)]), dim, form)


def _named(
    opened: "xr.Dataset",
    blocks: "Iterable[xr.Dataset]",
    dim: str,
    form: Form,
    chunks: Mapping[str, int] | None = None,
) -> Content:
    """Return content with the names and attributes of a form."""
    frame = opened.drop_vars(list(opened.data_vars)).load().drop_encoding()
    names = _names(frame, form)
    for our, standard_name in STANDARD_NAMES.items():
        if our in frame.coords:
            frame[our].attrs.setdefault("standard_name", standard_name)
    texts = {n: v.astype(object) for n, v in frame.coords.items() if v.dtype.kind == "T"}
    frame = frame.assign_coords(texts).rename(names)
    cases = [_CF["init_time"], _CF["lead_time"]]
    if form == "netcdf" and set(cases) <= set(frame.coords):
        valid = frame[cases[0]] + frame[cases[1]]
        frame = frame.assign_coords(time=(cases, valid.to_numpy(), {"standard_name": "time"}))
    return Content(
        frame,
        (block.rename(_names(block, form)) for block in blocks),
        names.get(dim, dim),
        {names.get(key, key): length for key, length in (chunks or {}).items()},
    )


def _names(dataset: "xr.Dataset", form: Form) -> dict[str, str]:
    """Map our names of dims and coordinates to those of a form."""
    present = {str(name) for name in [*dataset.dims, *dataset.coords]}
    if form == "netcdf":
        return {our: name for our, name in _CF.items() if our in present}
    names = {our: name for our, name in _WEATHERBENCH.items() if our in present}
    for name in present & set(map(str, dataset.dims)):
        attributes = dataset[name].attrs if name in dataset.coords else {}
        called = {name, attributes.get("standard_name"), attributes.get("units")}
        for horizontal, known in _HORIZONTAL.items():
            if called & known and name != horizontal and horizontal not in present:
                names[name] = horizontal
    return names
