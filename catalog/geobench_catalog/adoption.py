"""Anyone's forecast as an entry: checked against its dataset, written piece by piece."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench_catalog import layout
from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import Draft
from geobench_catalog.entry import Entry
from geobench_catalog.errors import CatalogError
from geobench_catalog.record import Record
from geobench_catalog.references import check_name

if TYPE_CHECKING:
    import xarray as xr

    from geobench_catalog.failures import Limits

FOREIGN = "foreign"
IMPORTED = "imported"  # in the recipe of a forecaster: weights that were trained elsewhere


def is_imported(forecaster: Record) -> bool:
    """Whether somebody made it elsewhere: the forecast alone is known, or the trained weights."""
    recipe = forecaster.recipe
    return recipe["model"].get("use") == FOREIGN or IMPORTED in recipe


def adopt(
    catalog: Catalog,
    path: Path,
    dataset: Entry,
    model: str,
    *,
    rename: Mapping[str, str] | None = None,
    assume_units: bool = False,
    keep_failures: bool = False,
    memory: int = 2**30,
) -> tuple[Entry, list[str]]:
    """Publish the forecast in `path` (.zarr or .nc) as one of `dataset` by `model`; with notes.

    It must hold every init time and lead time of the dataset's test split, on its grid and in its
    units. A member that failed (`failures`) is an error unless `keep_failures`.
    """
    from geobench_catalog.conforming import conform
    from geobench_catalog.failures import Limits, valid_ranges
    from geobench_catalog.foreign import absent_chunks, open_foreign
    from geobench_catalog.matching import named

    name = check_name(f"{dataset.record.name}.{check_name(model)}")
    foreign = open_foreign(path)
    unstored = absent_chunks(path)
    try:
        wanted = template(dataset)
        ours, notes = conform(foreign, wanted, rename or {}, assume_units=assume_units)
        ranges = valid_ranges(foreign, named(foreign, wanted, rename or {}))
    except CatalogError as error:
        raise CatalogError(f"{path}: {error}") from error
    notes = [*notes, *unstored]
    labels = {"model": model, "dataset": dataset.record.name}
    recipe = {"members": ours.sizes["member"], "seed": 0, "file": path.name, "notes": notes}
    forecaster = _forecaster(catalog, dataset, name, model, labels)
    with catalog.draft(
        "forecast", name, recipe=recipe, parents={"forecaster": forecaster}, labels=labels
    ) as draft:
        limits = Limits.of(dataset, ranges=ranges)
        failures = _write(draft, ours, memory, limits, keep_failures=keep_failures)
        summary = {
            "failed_members": failures.total(),
            **({"failures": dict(failures)} if failures else {}),
            "members": ours.sizes["member"] * ours.sizes["init_time"],
        }
        return draft.publish(summary), notes


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
            shape = (*(len(each) for each in cases.values()), *grid.values())
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
    found = catalog.find("forecaster", recipe, {"dataset": dataset})
    if found:
        return found
    with catalog.draft(
        "forecaster", name, recipe=recipe, parents={"dataset": dataset}, labels=labels
    ) as draft:
        return draft.publish({"knows_law": False})


def _write(
    draft: Draft, ours: "xr.Dataset", memory: int, limits: "Limits", *, keep_failures: bool
) -> Counter[str]:
    """Write the forecast by blocks of inits; return how many members failed, by reason."""
    sizes = {str(dim): size for dim, size in ours.sizes.items()}
    shape = layout.of_forecast(sizes, 4)
    per_init = sum(each.nbytes for each in ours.data_vars.values()) // sizes["init_time"]
    own = shape.chunks["init_time"]
    block = max(1, memory // 4 // (per_init * own)) * own
    failures: Counter[str] = Counter()
    for first in range(0, sizes["init_time"], block):
        inits = slice(first, min(first + block, sizes["init_time"]))
        piece = ours.isel(init_time=inits).load()
        failed = limits.failed(piece, first)
        failures += failed.counts()
        if failures and not keep_failures:
            every = piece.sizes["init_time"] * piece.sizes["member"]
            raise CatalogError(
                f"{failures.total()} of {every} members at the inits {inits.start} to "
                f"{inits.stop - 1} failed: {failed.described()}. Mend the forecast, or store them "
                f"as failed with --keep-failures: it then ranks below those that finish."
            )
        if first == 0:
            one = piece.isel(init_time=[0])
            draft.allocate(one, ours[["init_time"]], *shape)
        draft.fill(piece, {"init_time": inits})
    return failures
