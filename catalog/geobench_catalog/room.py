"""Whether the disk of a catalog has room for what is to come; an object store has no end."""

import shutil

from pydantic import ByteSize

from geobench_catalog.errors import CatalogError
from geobench_catalog.store import Store

_BEST_COMPRESSION = 20  # times; white noise is compressed 1.1 times, zeros far more


def check_numbers(store: Store, size: int, what: str) -> None:
    """Raise if the disk cannot hold `size` bytes of numbers, even if they compress well."""
    free = _free(store)
    if free is not None and size > _BEST_COMPRESSION * free:
        wanted, left = (ByteSize(bytes_).human_readable(decimal=True) for bytes_ in (size, free))
        raise CatalogError(
            f"{what} would hold {wanted} of numbers before compression, and the disk of the "
            f"catalog {store.url} has {left} left. Make it smaller, or name a catalog on a "
            f"larger disk with --catalog."
        )


def check_files(store: Store, size: int, owner: str) -> None:
    """Raise if the disk cannot hold files of `size` bytes."""
    free = _free(store)
    if free is not None and size > free:
        raise CatalogError(
            f"{owner} needs {size:,} bytes, and {store.url} has fewer free. Free space."
        )


def _free(store: Store) -> int | None:
    """Bytes that are free; None where nobody can tell."""
    folder = store.folder
    return shutil.disk_usage(folder).free if folder and folder.exists() else None
