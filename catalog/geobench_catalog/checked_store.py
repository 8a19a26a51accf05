"""Zarr stores that know what an entry's files must be.

Zarr reads a chunk that is missing as fill values, and most flipped bits as numbers. Read through
`CheckedStore`, what is not there or not what was published raises. `MeasuringStore` takes the
digests while files are written, so that they are those of what was meant, not of what came back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import ByteRequest, Store
from zarr.storage import LocalStore

from geobench_catalog.errors import CatalogError, cure
from geobench_catalog.manifest import Manifest, digest, measure_file
from geobench_catalog.one_door import OneDoor

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer, BufferPrototype

_LARGE = 1 << 18  # bytes, from which on hashing is worth a thread


class CheckedStore(OneDoor[Store]):
    """A store that holds exactly the `files` of a manifest; anything else is damage.

    Whole files are held to their SHA-256. In a folder, so is a file of which a part is read (a
    chunk inside a shard), once, before its first part is given; elsewhere such parts are held to
    the CRC-32C that stands behind each of them.
    """

    def __init__(self, store: Store, files: Manifest, owner: str, where: str) -> None:
        super().__init__(store)
        self._files, self._owner, self._where = files, owner, where
        self._children = _children(files)
        self._proven: set[str] = set()

    def _with_store(self, store: Store) -> "CheckedStore":
        return type(self)(store, self._files, self._owner, self._where)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: ByteRequest | None = None
    ) -> "Buffer | None":
        """Return a file or a part of it; `CatalogError` unless it is what was published."""
        expected = self._files.get(key)
        if expected is None:
            return None
        if byte_range is not None and isinstance(self._store, LocalStore):
            await self._prove(self._store.root / key, key)
        value = await super().get(key, prototype, byte_range)
        if value is None:
            raise self._damaged(f"{key} is missing")
        if byte_range is None:
            size, sha = expected
            if len(value) != size:
                raise self._damaged(f"{key} has {len(value):,} bytes, not {size:,}")
            view = _bytes(value)
            checksum = await asyncio.to_thread(digest, view) if size > _LARGE else digest(view)
            if checksum != sha:
                raise self._damaged(f"{key} is not what was published (its checksum differs)")
        return value

    async def _prove(self, path: Path, key: str) -> None:
        """Hold a whole file to its digest, piece by piece, the first time a part of it is read."""
        if key in self._proven:
            return
        try:
            measured = await asyncio.to_thread(measure_file, path)
        except OSError as error:
            raise self._damaged(f"{key} is missing") from error
        if measured != self._files[key]:
            raise self._damaged(f"{key} is not what was published (its size or checksum differs)")
        self._proven.add(key)

    def _damaged(self, evidence: str) -> CatalogError:
        return CatalogError(
            f"{self._owner}: its data cannot be read ({evidence}). {cure(self._where)}"
        )

    async def exists(self, key: str) -> bool:
        """Whether the manifest names this file."""
        return key in self._files

    async def list(self) -> AsyncIterator[str]:
        """Every file."""
        for key in self._files:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Every file whose key starts so."""
        for key in self._files:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly under a folder."""
        for name in self._children.get(prefix.strip("/"), ()):
            yield name


class MeasuringStore(OneDoor[LocalStore]):
    """A folder that is written: size and SHA-256 of each file go into `files`."""

    def __init__(
        self, store: LocalStore, files: Manifest, prefix: str, flush: Callable[[Path], object]
    ) -> None:
        super().__init__(store)
        self._files, self._prefix, self._flush = files, prefix, flush

    def _with_store(self, store: LocalStore) -> "MeasuringStore":
        return type(self)(store, self._files, self._prefix, self._flush)

    async def set(self, key: str, value: "Buffer") -> None:
        """Write a file and measure it."""
        view = _bytes(value)
        if len(view) > _LARGE:
            _, checksum = await asyncio.gather(
                super().set(key, value), asyncio.to_thread(digest, view)
            )
            self._flush(self._store.root / key)
        else:
            await super().set(key, value)
            checksum = digest(view)
        self._files[self._prefix + key] = len(view), checksum

    async def set_if_not_exists(self, key: str, value: "Buffer") -> None:
        """Write a file unless it is there."""
        if not await self.exists(key):
            await self.set(key, value)

    async def _set_many(self, values: "Iterable[tuple[str, Buffer]]") -> None:
        await asyncio.gather(*(self.set(key, value) for key, value in values))

    async def delete(self, key: str) -> None:
        """Remove a file."""
        await super().delete(key)
        self._files.pop(self._prefix + key, None)

    async def delete_dir(self, prefix: str) -> None:
        """Remove a folder."""
        await super().delete_dir(prefix)
        gone = f"{self._prefix}{prefix.rstrip('/')}/"
        for key in [key for key in self._files if key.startswith(gone)]:
            del self._files[key]


def measuring(
    folder: Path, files: Manifest, prefix: str, flush: Callable[[Path], object]
) -> MeasuringStore:
    """Open a folder to write into it.

    `files` receives what is written, as `prefix` + key; `flush` each large file, to be put on disk.
    """
    return MeasuringStore(LocalStore(folder), files, prefix, flush)


def _bytes(value: "Buffer") -> memoryview:
    array: Any = value.as_numpy_array()  # numpy's types do not tell that it is a buffer
    return memoryview(array).cast("B")


def _children(files: Mapping[str, Any]) -> dict[str, dict[str, None]]:
    children: dict[str, dict[str, None]] = {}
    for key in files:
        parts = key.split("/")
        for depth, name in enumerate(parts):
            children.setdefault("/".join(parts[:depth]), {})[name] = None
    return children
