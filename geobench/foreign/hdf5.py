"""HDF5 files of strangers: their data must lie in them, in chunks that the memory can hold."""

import importlib
from pathlib import Path
from typing import Any

from geobench_catalog.chunk_sizes import refused, size_of
from geobench_catalog.errors import CatalogError

_HARMLESS = (2, 3, 5, 6)  # filters: shuffle, Fletcher's checksum, n-bit, scale and offset


def check(path: Path) -> None:
    """Refuse data that lie in other files: HDF5 would read any file of whoever opens this one.

    `CatalogError` also for chunks that would take too much memory.
    """
    h5py = importlib.import_module("h5py")
    elsewhere = []

    def note(name: str, node: Any) -> None:
        data = isinstance(node, h5py.Dataset) and (node.external or node.is_virtual)
        if isinstance(node, h5py.Dataset) and node.chunks:
            _check_chunks(name, node)
        if data or isinstance(node, h5py.ExternalLink):
            elsewhere.append(name)

    with h5py.File(path) as opened:
        opened.visititems_links(note)
        opened.visititems(note)
    if elsewhere:
        raise CatalogError(
            f"{path}: {elsewhere[0]} lies in another file. Copy it into this one (nccopy does)."
        )


def _check_chunks(name: str, dataset: Any) -> None:
    """Hold the chunks that a dataset declares to the limits of Zarr stores."""
    size_of(list(dataset.chunks), dataset.dtype.itemsize, name)
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(index)[0] for index in range(settings.get_nfilters())]
    if len([filter_id for filter_id in filters if filter_id not in _HARMLESS]) > 1:
        raise refused(name, "packs its chunks twice")
