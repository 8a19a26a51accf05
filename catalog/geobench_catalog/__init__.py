"""A catalogue of datasets, forecasters, forecasts and scores; knows neither torch nor geobench."""

from geobench_catalog.catalog import Catalog, Draft, Entry
from geobench_catalog.errors import CatalogError, GeobenchError
from geobench_catalog.record import Record
from geobench_catalog.references import KINDS, Kind, Reference

__all__ = [
    "KINDS",
    "Catalog",
    "CatalogError",
    "Draft",
    "Entry",
    "GeobenchError",
    "Kind",
    "Record",
    "Reference",
]
