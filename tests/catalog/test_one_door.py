"""Whatever zarr asks a checked store for, it gets through the one method that checks."""

import asyncio
import re

import pytest
from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore, WrapperStore

from geobench_catalog.one_door import OneDoor


class _Counted(OneDoor[MemoryStore]):
    asked = 0

    async def get(self, key, prototype, byte_range=None):  # type: ignore[no-untyped-def]
        self.asked += 1
        return await super().get(key, prototype, byte_range)


def _store() -> _Counted:
    inner = MemoryStore()
    asyncio.run(inner.set("a", Buffer.from_bytes(b"0123456789")))
    return _Counted(inner)


def test_every_way_of_reading_and_writing_that_zarr_hands_on_is_ours() -> None:
    """Also one that a later release of zarr adds."""
    ways = {name for name in vars(WrapperStore) if re.match(r"_?(get|set|delete)", name)}
    own = {"get", "set", "set_if_not_exists", "delete", "delete_dir"}
    assert ways - own <= set(vars(OneDoor))


def test_parts_are_read_one_by_one() -> None:
    store, prototype = _store(), default_buffer_prototype()
    parts = [RangeByteRequest(0, 2), RangeByteRequest(2, 5)]

    async def read() -> list[tuple[int, bytes]]:
        groups = [group async for group in store.get_ranges("a", parts, prototype=prototype)]
        return [(index, value.to_bytes()) for group in groups for index, value in group if value]

    assert asyncio.run(read()) == [(0, b"01"), (1, b"234")]
    assert store.asked == 2


def test_a_part_of_a_missing_file_is_an_error() -> None:
    store = _store()

    async def read() -> None:
        async for _ in store.get_ranges(
            "b", [RangeByteRequest(0, 2)], prototype=default_buffer_prototype()
        ):
            pass

    with pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(read())
    assert raised.group_contains(FileNotFoundError)


def test_nothing_is_read_without_an_event_loop() -> None:
    store = _store()
    assert not store._supports_sync_io
    with pytest.raises(TypeError, match="is read asynchronously"):
        store.get_sync("a")
    assert store.asked == 0
