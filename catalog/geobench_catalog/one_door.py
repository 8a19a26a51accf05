"""A wrapped Zarr store that is read through `get` alone, whatever else zarr asks it for.

`WrapperStore` hands every other way of reading and writing on to the store inside, and newer
releases of zarr have more of them (`get_ranges`, `get_sync`). A wrapper that checks what it gives
would be passed by.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from zarr.abc.store import ByteRequest, Store
from zarr.storage import WrapperStore

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer, BufferPrototype

_Inner = TypeVar("_Inner", bound=Store)


class OneDoor(WrapperStore[_Inner]):
    """A wrapper whose `get`, `set` and `delete` are the only ways to its files."""

    _supports_sync_io = False

    def get_sync(self, key: str, **_: Any) -> "Buffer | None":
        """Refuse: it would not be checked."""
        raise TypeError(f"{type(self).__name__} is read asynchronously ({key})")

    def set_sync(self, key: str, _value: "Buffer") -> None:
        """Refuse: it would not be measured."""
        raise TypeError(f"{type(self).__name__} is written asynchronously ({key})")

    def delete_sync(self, key: str) -> None:
        """Refuse: it would not be noticed."""
        raise TypeError(f"{type(self).__name__} is written asynchronously ({key})")

    async def get_partial_values(
        self,
        prototype: "BufferPrototype",
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> "list[Buffer | None]":
        """Return parts of files."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: "BufferPrototype",
        **_: Any,
    ) -> "AsyncIterator[Sequence[tuple[int, Buffer | None]]]":
        """Give parts of a file one by one: parts that were merged could not be checked."""
        for index, part in enumerate(byte_ranges):
            value = await self.get(key, prototype, part)
            if value is None:
                raise BaseExceptionGroup("a part is missing", [FileNotFoundError(key)])
            yield [(index, value)]

    async def _get_many(
        self, requests: "Iterable[tuple[str, BufferPrototype, ByteRequest | None]]"
    ) -> "AsyncGenerator[tuple[str, Buffer | None], None]":
        for key, prototype, part in requests:
            yield key, await self.get(key, prototype, part)

    async def _set_many(self, values: "Iterable[tuple[str, Buffer]]") -> None:
        for key, value in values:
            await self.set(key, value)
