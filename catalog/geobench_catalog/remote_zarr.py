"""What Zarr reads a remote catalog's data through: the one client that the catalog has.

`zarr.storage.FsspecStore` would open a client of its own for each entry, never close it, and raise
whatever that raises.
"""

from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import TYPE_CHECKING, NoReturn, Protocol

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer, BufferPrototype


class Fetch(Protocol):
    """Reads a file of the store, or the part of it from `start` (negative: from the end) on."""

    def __call__(self, key: str, start: int | None, end: int | None) -> Awaitable[bytes]:
        """The content; `FileNotFoundError` if there is no such file."""


class RemoteZarr(Store):
    """Files that are read by key; what there is, the manifest of an entry says (`CheckedStore`)."""

    supports_writes = False
    supports_deletes = False
    supports_listing = True  # the store around it does

    def __init__(self, fetch: Fetch) -> None:
        super().__init__(read_only=True)
        self.fetch = fetch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteZarr) and self.fetch == other.fetch

    __hash__ = None  # type: ignore[assignment] # as every store of Zarr

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: ByteRequest | None = None
    ) -> "Buffer | None":
        """Return a file or a part of it; None if it is not there."""
        try:
            content = await self.fetch(key, *_span(byte_range))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self,
        prototype: "BufferPrototype",
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> "list[Buffer | None]":
        """Return parts of files."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        try:
            await self.fetch(key, 0, 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return False
        return True

    async def set(self, key: str, value: "Buffer") -> None:
        """Refuse: what is published never changes."""
        self._refuse()

    async def delete(self, key: str) -> None:
        """Refuse: what is published never changes."""
        self._refuse()

    def list(self) -> AsyncIterator[str]:
        """Refuse: the manifest says what there is."""
        self._refuse()

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse: the manifest says what there is."""
        self._refuse()

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse: the manifest says what there is."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError("the data of an entry are only read, file by file")


def _span(part: ByteRequest | None) -> tuple[int | None, int | None]:
    match part:
        case RangeByteRequest():
            return part.start, part.end
        case OffsetByteRequest():
            return part.offset, None
        case SuffixByteRequest():
            return -part.suffix, None
    return None, None
