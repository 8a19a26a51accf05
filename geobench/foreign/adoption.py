"""Anyone's forecast as an entry: checked against its dataset, written piece by piece."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.entries.recipes import FOREIGN
from geobench.entries.summaries import ForecasterSummary, ForecastSummary
from geobench.forecasts import layout
from geobench_catalog import Catalog, CatalogError, Draft, Entry
from geobench_catalog.references import check_name

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from geobench.forecasts.failures import Limits
    from geobench.foreign.sources import Source


@dataclass(frozen=True)
class Reading:
    """What is assumed of a forecast that does not say it by itself."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Foreign names, mapped to ours."""
    assume_units: bool = False
    """Variables without units have ours."""
    assume_grid: tuple[str, ...] = ()
    """Grid dims without coordinates whose points are ours, in our order."""
    keep_failures: bool = False
    """Members that failed are stored, too."""
    absent_members: bool = False
    """A member without any number at an init is not there, and has not failed."""
    memory: int = 2**30
    """Bytes that may be held at once."""


def adopt(
    catalog: Catalog,
    given: "Source | Sequence[Source]",
    dataset: Entry,
    model: str,
    how: Reading | None = None,
) -> tuple[Entry, list[str]]:
    """Publish the forecast in `given` (`open_foreign`) as one of `dataset` by `model`; with notes.

    It must hold every init time and lead time of the dataset's test split, on its grid and in its
    units. A member that failed (`failures`) is an error unless `how.keep_failures`. A forecast with
    the same values as one that is there is that one.
    """
    from geobench.foreign.sources import absent_chunks, listed, open_foreign

    how = how or Reading()
    name = check_name(f"{dataset.record.name}.{check_name(model)}")
    sources = listed(given)
    what = str(sources[0]) + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")
    foreign, unstored = open_foreign(sources), absent_chunks(sources)
    try:
        ours, limits, notes = _laid_out(catalog, foreign, dataset, how)
    except CatalogError as error:
        raise CatalogError(f"{what}: {error}") from error
    notes += unstored
    present = _present(ours, limits, how.memory) if how.absent_members else None
    counts = [] if present is None else present.sum(1).tolist()
    if len({*counts}) > 1:
        notes.append(f"members differ in number by init: {min(counts)} to {max(counts)}")
    members = max(counts, default=ours.sizes["member"])
    labels = {"model": model, "dataset": dataset.record.name}
    forecaster = _forecaster(catalog, dataset, name, model, labels)
    with catalog.draft(
        "forecast",
        name,
        recipe={"members": members, "seed": 0, "file": Path(what).name, "notes": notes},
        parents={"forecaster": forecaster},
        labels=labels,
        door="forecast",
    ) as draft:
        failures = _write(draft, ours, how, limits, present)
        again = _same(catalog, draft, name, forecaster)
        if again:
            return again, [*notes, f"{again.reference} has the same values: nothing new is stored"]
        drawn = sum(counts) or members * ours.sizes["init_time"]
        return draft.publish(_summary(failures, drawn, counts)), notes


def _laid_out(
    catalog: Catalog, foreign: "xr.Dataset", dataset: Entry, how: Reading
) -> "tuple[xr.Dataset, Limits, list[str]]":
    """The forecast laid out as ours and not yet read, what its members may be, and notes."""
    from geobench.forecasts.failures import Limits
    from geobench.foreign.conforming import conform
    from geobench.foreign.matching import named
    from geobench.foreign.own_attributes import check_dataset
    from geobench.foreign.valid_ranges import valid_ranges

    dataset_notes = check_dataset(catalog, foreign, dataset)
    wanted = template(dataset)
    ours, notes = conform(
        foreign, wanted, how.rename, assume_units=how.assume_units, assume_grid=how.assume_grid
    )
    ranges = valid_ranges(foreign, named(foreign, wanted, how.rename))
    return ours, Limits.of(dataset, ranges=ranges), [*dataset_notes, *notes]


def _summary(failures: Counter[str], drawn: int, counts: Sequence[int]) -> ForecastSummary:
    """What the record says of it; `counts`: members of each init, where they were counted."""
    fields: dict[str, Any] = {"failed_members": failures.total(), "members": drawn}
    if failures:
        fields["failures"] = dict(failures)
    if len({*counts}) > 1:
        fields["member_counts"] = [*counts]
    return ForecastSummary(**fields)


def _same(catalog: Catalog, draft: Draft, name: str, forecaster: Entry) -> Entry | None:
    """Return the forecast of this name that has the values of the draft, if there is one."""
    for reference in sorted(catalog.names.references("forecast")):
        if reference.name == name:
            entry = catalog.get(str(reference))
            parent = entry.record.parents.get("forecaster")
            if parent and parent.id == forecaster.id and draft.has_values_of(entry):
                return entry
    return None


def template(dataset: Entry) -> "xr.Dataset":
    """What a forecast of the dataset's test split looks like, without any values."""
    import numpy as np
    import xarray as xr

    inits, test = dataset.load("inits"), dataset.open("test")
    step = test["time"].to_numpy()[1] - test["time"].to_numpy()[0]
    leads = np.arange(1, int(dataset.record.recipe["leads"]) + 1) * step
    cases = {"init_time": inits["init_time"].to_numpy(), "lead_time": leads}
    fields = {}
    for name, variable in test.data_vars.items():
        if "time" in variable.dims:
            grid = {str(dim): size for dim, size in variable.sizes.items() if dim not in _TEST}
            shape = (*(len(times) for times in cases.values()), *grid.values())
            zeros = np.broadcast_to(np.float32(0), shape)
            fields[str(name)] = ((*cases, *grid), zeros, dict(variable.attrs))
    grid_coords = {str(k): v for k, v in test.coords.items() if k not in (*_TEST, "start")}
    return xr.Dataset(fields, {**cases, **grid_coords})


_TEST = ("trajectory", "time")


def _forecaster(
    catalog: Catalog, dataset: Entry, name: str, model: str, labels: Mapping[str, str]
) -> Entry:
    """The entry that stands for whoever made it: no weights, nothing known of its cost."""
    recipe: dict[str, Any] = {"model": {"use": FOREIGN, "model": model}, "seed": 0}
    forecaster = catalog.find("forecaster", recipe, {"dataset": dataset}, door="forecast")
    if forecaster:
        return forecaster
    with catalog.draft(
        "forecaster",
        name,
        recipe=recipe,
        parents={"dataset": dataset},
        labels=labels,
        door="forecast",
    ) as draft:
        return draft.publish(ForecasterSummary(knows_law=False))


def _blocks(ours: "xr.Dataset", memory: int, members: int) -> Iterator[tuple[slice, "xr.Dataset"]]:
    """Read the forecast by blocks of inits: whole chunks of what is stored, with `members`."""
    sizes = {str(dim): size for dim, size in ours.sizes.items()}
    per_init = sum(variable.nbytes for variable in ours.data_vars.values()) // sizes["init_time"]
    chunk = layout.of_forecast(sizes | {"member": members}, 4).chunks["init_time"]
    block = max(1, memory // 4 // (per_init * chunk)) * chunk
    for first in range(0, sizes["init_time"], block):
        inits = slice(first, min(first + block, sizes["init_time"]))
        yield inits, ours.isel(init_time=inits).load()


def _present(ours: "xr.Dataset", limits: "Limits", memory: int) -> "NDArray[np.bool_]":
    """Which members have any number at sea, `(init, member)`; every init must have one."""
    import numpy as np

    blocks = []
    for _, piece in _blocks(ours, memory, ours.sizes["member"]):
        some = [limits.holds_any(variable.to_numpy()) for variable in piece.data_vars.values()]
        blocks.append(np.any(some, axis=0))
    present = np.concatenate(blocks)
    empty = np.flatnonzero(~present.any(1))
    if empty.size:
        time = str(ours["init_time"].values[empty[0]].astype("M8[s]")).removesuffix(":00")
        raise CatalogError(
            f"{empty.size} of {len(present)} inits have no member with any number, the first at "
            f"{time}. A score needs all inits: add these forecasts."
        )
    return present


def _write(
    draft: Draft,
    ours: "xr.Dataset",
    how: Reading,
    limits: "Limits",
    present: "NDArray[np.bool_] | None",
) -> Counter[str]:
    """Write the forecast by blocks of inits; return how many members failed, by reason."""
    import numpy as np

    sizes = {str(dim): size for dim, size in ours.sizes.items()}
    members = sizes["member"] if present is None else int(present.sum(1).max())
    shape = layout.of_forecast(sizes | {"member": members}, 4)
    coords = ours[["init_time"]]
    failures: Counter[str] = Counter()
    for inits, loaded in _blocks(ours, how.memory, members):
        piece = loaded
        if present is not None:
            piece = _gathered(loaded, present[inits]).isel(member=slice(members))
        there = np.ones((piece.sizes["init_time"], members), bool)
        if present is not None:
            there = np.arange(members) < present[inits].sum(1)[:, None]
        failed = limits.failed(piece, inits.start, there)
        failures += failed.counts()
        if failures and not how.keep_failures:
            hint = ""
            if present is None and limits.only_empty(piece, failed):
                hint = ", or pass --absent-members if these were never made"
            raise CatalogError(
                f"{failures.total()} of {there.sum()} members at the inits {inits.start} to "
                f"{inits.stop - 1} failed: {failed.described()}. Mend the forecast, or store them "
                f"as failed with --keep-failures: it then ranks below those that finish{hint}."
            )
        if inits.start == 0:
            draft.allocate(piece.isel(init_time=[0]), coords, *shape)
        draft.fill(piece, {"init_time": inits})
    return failures


def _gathered(piece: "xr.Dataset", present: "NDArray[np.bool_]") -> "xr.Dataset":
    """Put the members that are there first at each init, in their order."""
    import numpy as np

    order = np.argsort(~present, axis=1, kind="stable")
    data = {}
    for name, variable in piece.data_vars.items():
        values = variable.to_numpy()
        index = order.reshape(order.shape[0], 1, order.shape[1], *[1] * (values.ndim - 3))
        data[name] = (variable.dims, np.take_along_axis(values, index, 2), variable.attrs)
    return piece.assign(data)
