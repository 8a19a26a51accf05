"""A stranger's Zarr store, whose chunks are given only if they unpack to what is declared."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zarr.abc.store import ByteRequest, Store, SuffixByteRequest

from geobench_catalog.chunk_sizes import arrays_of, check_chunk, check_chunks, owner_of
from geobench_catalog.one_door import OneDoor

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer, BufferPrototype


class BoundedStore(OneDoor[Store]):
    """A stranger's store: a chunk is given only if it unpacks to no more than is declared."""

    def __init__(self, store: Store, metadata: Mapping[str, bytes]) -> None:
        super().__init__(store)
        self._metadata = metadata
        self._arrays = arrays_of(metadata)

    def _with_store(self, store: Store) -> "BoundedStore":
        return type(self)(store, self._metadata)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: ByteRequest | None = None
    ) -> "Buffer | None":
        """Return a file or a part of it; `CatalogError` for a chunk that is too large."""
        value = await super().get(key, prototype, byte_range)
        owner = owner_of(key, self._arrays)
        if value is None or owner is None:
            return value
        chunks, data = self._arrays[owner], memoryview(value.to_bytes())
        if byte_range is None:
            check_chunks(chunks, data, key)
        elif (
            chunks.inner is not None
            and not isinstance(byte_range, SuffixByteRequest)
            and len(data) != chunks.index  # the index, at the start
        ):
            check_chunk(chunks, data, key)
        return value
