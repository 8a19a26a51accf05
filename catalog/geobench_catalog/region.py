"""Regions of a draft, filled by several processes; the draft is published once, as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geobench_catalog.entry import DATA
from geobench_catalog.errors import told
from geobench_catalog.local_store import sync
from geobench_catalog.manifest import Manifest

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Filled:
    """What was written of a draft: its files as they were measured, and where they belong."""

    files: Manifest
    where: Mapping[str, slice]
    names: tuple[str, ...]
    """Variables that were filled there."""


@dataclass(frozen=True)
class Regions:
    """A draft as another process on this machine sees it, to fill regions of what was allocated.

    It can be pickled. What `fill` returns is handed to `Draft.take` in the process that publishes.
    """

    path: Path
    """Folder of the draft."""
    url: str
    """Address of the catalog, for messages."""

    def fill(self, piece: "xr.Dataset", where: Mapping[str, slice]) -> Filled:
        """Write a piece: whole chunks (or shards) that no other process writes."""
        from geobench_catalog import checked_store, zarr_data

        files: Manifest = {}
        store = checked_store.measuring(self.path / DATA, files, f"{DATA}/", sync)
        with told(self.url):
            zarr_data.fill(store, piece, where)
        return Filled(files, dict(where), tuple(map(str, piece.data_vars)))
