"""What data of ours say of themselves when they come back: which dataset they forecast."""

import json
from typing import TYPE_CHECKING, Any

from geobench_catalog.catalog import Catalog
from geobench_catalog.entry import Entry
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr


def check_dataset(catalog: Catalog, foreign: "xr.Dataset", dataset: Entry) -> list[str]:
    """Raise if a forecast says that it is of another dataset of ours; return notes.

    The attributes are those of `Draft.attributes`. Nothing in them is trusted: they can only
    refuse a forecast, and what cannot be read says nothing.
    """
    kind = foreign.attrs.get("geobench_kind")
    if kind is None:
        return []
    if kind != "forecast":
        raise CatalogError(
            f"its attribute geobench_kind says that it is a {str(kind)[:40]}, and no forecast. "
            f"Name a forecast of {dataset.reference}."
        )
    reference, _, content = _maker(foreign.attrs.get("parents")).partition(" ")
    name = reference.removeprefix("forecaster/").partition("@")[0]
    if not name or not reference.startswith("forecaster/"):
        return []
    known = _datasets(catalog, name, content)
    if any(entry.id == dataset.id for entry in known):
        return []
    if known:
        raise _of_another(str(known[0].reference), reference, dataset)
    if not name.startswith(f"{dataset.record.name}."):
        raise _of_another(f"dataset/{name.partition('.')[0]}", reference, dataset)
    return [f"it says that {reference} made it, which is not in this catalog"]


def _of_another(other: str, reference: str, dataset: Entry) -> CatalogError:
    return CatalogError(
        f"it is a forecast of {other}: its attribute parents names {reference}. It was to be taken "
        f"in as one of {dataset.reference}. Name its own dataset; if only the attributes are "
        f"wrong, remove geobench_kind and parents from them."
    )


def _maker(parents: Any) -> str:
    """The forecaster in the attribute `parents`: reference and digest of its content."""
    try:
        maker = json.loads(parents)["forecaster"]
    except (TypeError, ValueError, KeyError, RecursionError):
        return ""
    return maker if isinstance(maker, str) else ""


def _datasets(catalog: Catalog, name: str, content: str) -> list[Entry]:
    """Datasets of the forecasters here that have this name and content."""
    datasets = []
    for reference in sorted(catalog.names.references("forecaster")):
        if reference.name == name:
            entry = catalog.get(str(reference))
            if entry.content_digest == content:
                datasets.append(catalog.parent(entry, "dataset"))
    return datasets
