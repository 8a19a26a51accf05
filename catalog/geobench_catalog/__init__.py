"""A catalog of immutable, versioned entries of any kind; knows neither torch nor geobench.

A `Vocabulary` tells the catalog which kinds of entries there are and what queries may ask.
"""

from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import Draft
from geobench_catalog.entry import Entry
from geobench_catalog.errors import CatalogError, GeobenchError
from geobench_catalog.record import Parent, Record
from geobench_catalog.reference_files import Alias
from geobench_catalog.references import Reference
from geobench_catalog.vocabulary import Column, Kind, Measure, Vocabulary, register, registered

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


def __getattr__(name: str) -> tuple[str, ...]:
    if name == "KINDS":  # a constant once; now whoever fills catalogs says which kinds there are
        return registered().names
    raise AttributeError(f"module 'geobench_catalog' has no attribute '{name}'")
