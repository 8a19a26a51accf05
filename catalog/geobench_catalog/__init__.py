"""A catalog of immutable, versioned entries of any kind; knows neither torch nor geobench.

A `Vocabulary` tells the catalog which kinds of entries there are and what queries may ask.
The names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geobench_catalog.catalog import Catalog
    from geobench_catalog.draft import Draft
    from geobench_catalog.entry import Entry
    from geobench_catalog.errors import CatalogError, GeobenchError
    from geobench_catalog.record import Parent, Record
    from geobench_catalog.reference_files import Alias
    from geobench_catalog.references import Reference
    from geobench_catalog.vocabulary import Column, Kind, Measure, Vocabulary, register, registered

_HOME = {
    "Alias": "reference_files",
    "Catalog": "catalog",
    "CatalogError": "errors",
    "Column": "vocabulary",
    "Draft": "draft",
    "Entry": "entry",
    "GeobenchError": "errors",
    "Kind": "vocabulary",
    "Measure": "vocabulary",
    "Parent": "record",
    "Record": "record",
    "Reference": "references",
    "Vocabulary": "vocabulary",
    "register": "vocabulary",
    "registered": "vocabulary",
}

__all__ = [
    "Alias",
    "Catalog",
    "CatalogError",
    "Column",
    "Draft",
    "Entry",
    "GeobenchError",
    "Kind",
    "Measure",
    "Parent",
    "Record",
    "Reference",
    "Vocabulary",
    "register",
    "registered",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"geobench_catalog.{_HOME[name]}"), name)
    if name == "KINDS":  # a constant once; now whoever fills catalogs says which kinds there are
        return import_module("geobench_catalog.vocabulary").registered().names
    raise AttributeError(f"module 'geobench_catalog' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
