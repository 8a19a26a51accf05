"""A catalog of datasets, forecasters, forecasts and scores; knows neither torch nor geobench."""

from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import Draft
from geobench_catalog.entry import Entry
from geobench_catalog.errors import CatalogError, GeobenchError
from geobench_catalog.names import Alias
from geobench_catalog.record import Parent, Record
from geobench_catalog.references import KINDS, Kind, Reference

__all__ = [
    "KINDS",
    "Alias",
    "Catalog",
    "CatalogError",
    "Draft",
    "Entry",
    "GeobenchError",
    "Kind",
    "Parent",
    "Record",
    "Reference",
]
