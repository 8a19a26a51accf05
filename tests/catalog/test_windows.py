"""Windows for training: each once, as in the source, shuffled, in bounded memory.

Every state holds trajectory * time + its place in time, so a window tells where it was cut.
"""

import gc
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.stats import chisquare, spearmanr
from zarr.codecs import BloscCodec, Crc32cCodec

from geobench_catalog import CatalogError
from geobench_catalog.windows import Windows

LENGTH = 7
BIG = 2**30


class CountingStore(zarr.storage.MemoryStore):
    """Counts how often a chunk is read; gives new bytes each time, as if read from a file."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    async def get(self, key: str, *arguments: Any, **more: Any) -> Any:
        if not key.endswith("zarr.json"):
            self.reads[key] += 1
        got = await super().get(key, *arguments, **more)
        return got and type(got).from_bytes(got.to_bytes())


def _write(store: Any, values: np.ndarray, chunks: tuple[int, ...]) -> zarr.Array:
    codecs = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"), Crc32cCodec()
    array = zarr.create_array(
        store, shape=values.shape, chunks=chunks, dtype=values.dtype, compressors=codecs
    )
    array[:] = values
    return array


def _numbered(store: Any, shape: tuple[int, ...], chunks: tuple[int, ...]) -> zarr.Array:
    """Write states that hold trajectory * time + place in time at every grid point."""
    places = np.arange(shape[0] * shape[1], dtype=np.float32)
    values = places.reshape(shape[:2] + (1,) * (len(shape) - 2))
    return _write(store, np.broadcast_to(values, shape), chunks + shape[2:])


def _firsts(windows: Windows, epoch: int = 0) -> np.ndarray:
    """Where the windows of an epoch were cut, in the order in which they come."""
    batches = [batch[:, 0].reshape(len(batch), -1)[:, 0].copy() for batch in windows.epoch(epoch)]
    return np.concatenate(batches).astype(int)


CASES = {  # memory and chunks for 20 trajectories of 101 states of 320 bytes (646 400 in all)
    "in memory": (BIG, (1, 101)),
    "in memory, chunks at will": (BIG, (3, 13)),
    "whole in time": (300_000, (1, 101)),
    "several trajectories in a piece": (500_000, (3, 101)),
    "several chunks in a piece": (300_000, (2, 13)),
    "cut in time": (170_000, (2, 13)),
    "chunks shorter than a window": (70_000, (2, 4)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[zarr.Array, int]:
    memory, chunks = CASES[request.param]
    return _numbered(None, (20, 101, 80), chunks), memory


@pytest.mark.parametrize("stride", [1, LENGTH, pytest.param(10, marks=pytest.mark.slow), 300])
def test_an_epoch_holds_each_of_its_windows_once(case: tuple[zarr.Array, int], stride: int) -> None:
    array, memory = case
    windows = Windows(
        [array], length=LENGTH, stride=stride, batch=4, memory=memory, drop_last=False
    )
    assert windows.in_memory == (memory == BIG)
    trajectories, time, _ = array.shape
    starts = time - LENGTH + 1
    for epoch in range(2):
        trajectory, start = np.divmod(_firsts(windows, epoch), time)
        count = max(1, starts // stride)
        assert np.bincount(trajectory).tolist() == [count] * trajectories
        for each in range(trajectories):
            mine = np.sort(start[trajectory == each])
            assert mine[-1] < starts
            around = np.diff(np.append(mine, mine[0] + starts))  # once round the starts
            odd = starts - (count - 1) * stride  # from the last window to the first
            assert sorted(around) == sorted([stride] * (count - 1) + [odd])


@pytest.mark.parametrize("memory", [BIG, 250_000, 170_000])
def test_a_window_is_a_slice_of_the_source_with_variables_stacked_in_order(memory: int) -> None:
    shape, chunks = (8, 50, 12, 6), (2, 9, 12, 6)
    random = np.random.default_rng(0)
    others = [random.normal(size=shape).astype(dtype) for dtype in ("float64", "float32")]
    arrays = [_numbered(None, shape, chunks[:2]), *(_write(None, x, chunks) for x in others)]
    source = np.stack([array[:].astype(np.float32) for array in arrays], axis=2)
    windows = Windows(arrays, length=LENGTH, batch=2, memory=memory, drop_last=False)
    batches = list(windows.epoch())  # all of them: a batch is not overwritten by the next
    assert windows.in_memory == (memory == BIG)
    assert {batch.shape[1:] for batch in batches} == {(LENGTH, 3, 12, 6)}
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}
    for window in np.concatenate(batches):
        trajectory, start = divmod(int(window[0, 0, 0, 0]), 50)
        np.testing.assert_array_equal(window, source[trajectory, start : start + LENGTH])


@pytest.mark.parametrize(
    ("chunks", "memory"),
    [((3, 20, 4, 6), BIG), ((2, 10, 4, 6), 60_000), ((64, 64, 16, 16), BIG)],
)
def test_chunks_may_cut_the_grid_and_be_larger_than_the_data(
    chunks: tuple[int, ...], memory: int
) -> None:
    values = np.random.default_rng(0).normal(size=(7, 31, 10, 8)).astype(np.float32)
    values[..., 0, 0] = np.arange(7 * 31).reshape(7, 31)
    windows = Windows([_write(None, values, chunks)], length=4, batch=7, memory=memory)
    assert windows.in_memory == (memory == BIG)
    for window in np.concatenate(list(windows.epoch())):
        trajectory, start = divmod(int(window[0, 0, 0, 0]), 31)
        np.testing.assert_array_equal(window[:, 0], values[trajectory, start : start + 4])


def test_many_small_chunks_are_read_together() -> None:
    array = _numbered(None, (3000, 9, 20), (10, 9))  # 300 chunks of 7200 bytes
    windows = Windows([array], length=9, batch=8, memory=700_000)
    assert sorted(_firsts(windows)) == list(range(0, 27_000, 9))


def test_scalars_are_states_too() -> None:
    array = _numbered(None, (50, 40), (5, 40))
    for memory in (7_000, BIG):
        windows = Windows([array], length=40, batch=2, memory=memory)
        assert next(windows.epoch()).shape == (2, 40, 1)
        assert sorted(_firsts(windows)) == list(range(0, 2000, 40))


def test_chunks_are_read_once_an_epoch_and_once_for_all_in_memory() -> None:
    store = CountingStore()
    array = _numbered(store, (20, 101, 80), (2, 13))
    streamed = Windows([array], length=LENGTH, batch=4, memory=300_000)
    for epoch in range(2):
        store.reads.clear()
        list(streamed.epoch(epoch))
        assert len(store.reads) == 10 * 8
        assert set(store.reads.values()) == {1}
    store.reads.clear()
    loaded = Windows([array], length=LENGTH, batch=4, memory=BIG)
    assert not store.reads, "nothing is read before it is used"
    for epoch in range(2):
        list(loaded.epoch(epoch))
    assert set(store.reads.values()) == {1}


def test_a_seed_and_an_epoch_fix_every_bit(case: tuple[zarr.Array, int]) -> None:
    array, memory = case

    def batches(seed: int, epoch: int) -> list[bytes]:
        windows = Windows([array], length=LENGTH, batch=4, memory=memory, seed=seed)
        return [batch.tobytes() for batch in windows.epoch(epoch)]

    np.random.seed(3)  # noqa: NPY002, TID251 # the global generator is what is watched
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    first = batches(1, 5)
    with zarr.config.set({"async.concurrency": 1}):
        assert batches(1, 5) == first
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002
    for other in (batches(1, 6), batches(2, 5), batches(5, 1), batches(1 + (5 << 32), 0)):
        assert other != first


def test_an_epoch_does_not_depend_on_others_that_run(case: tuple[zarr.Array, int]) -> None:
    array, memory = case
    windows = Windows([array], length=LENGTH, batch=4, memory=memory)
    alone = [list(windows.epoch(epoch)) for epoch in (0, 1)]
    both = zip(windows.epoch(0), windows.epoch(1), strict=True)
    for got, wanted in zip(both, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_over_epochs_every_start_is_equally_likely() -> None:
    """One window a trajectory: 3000 of them over 95 starts; false-alarm rate 1e-6."""
    windows = Windows(
        [_numbered(None, (20, 101), (1, 101))], length=LENGTH, batch=20, memory=BIG, stride=95
    )
    firsts = np.concatenate([_firsts(windows, epoch) for epoch in range(150)])
    found = np.bincount(firsts % 101, minlength=95)
    assert len(found) == 95
    assert chisquare(found).pvalue > 1e-6


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("batch", [1, pytest.param(4, marks=pytest.mark.slow), 33, 260])
def test_the_length_is_the_number_of_batches_of_every_epoch(
    case: tuple[zarr.Array, int], batch: int, *, drop_last: bool
) -> None:
    array, memory = case
    memory += 2 * 320 * LENGTH * batch
    windows = Windows([array], length=LENGTH, batch=batch, memory=memory, drop_last=drop_last)
    for epoch in range(2):
        sizes = [len(made) for made in windows.epoch(epoch)]
        assert len(sizes) == len(windows)
        assert set(sizes[:-1]) <= {batch}
        assert sum(sizes) == (260 // batch * batch if drop_last else 260)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "variables", "chunks", "memory"),
    [
        ("float32", 1, (1, 500), 2_000_000),  # pieces whole in time, of several chunks
        ("float32", 1, (2, 500), 1_000_000),  # cut in time
        ("float32", 1, (2, 100), 2_000_000),  # several chunks in a call
        ("float64", 2, (1, 500), 2_000_000),
    ],
)
def test_memory_is_bounded_whatever_the_size_of_the_store(
    dtype: str, variables: int, chunks: tuple[int, int], memory: int
) -> None:
    trajectories = 21 * memory // (2500 * 40 * 4 * variables)
    random = np.random.default_rng(0)
    values = random.integers(2**30, size=(trajectories, 2500, 40)).astype(dtype)
    arrays = [_write(CountingStore(), values, (*chunks, 40)) for _ in range(variables)]
    assert 4 * variables * values.size > 20 * memory
    windows = Windows(arrays, length=16, batch=8, memory=memory)
    next(windows.epoch())  # what Zarr makes at its first call is not ours
    # Zarr's tasks and futures wait for the collector, which comes when it likes: here it never does
    # and all of them count, 280,000 bytes where chunks are smallest.
    gc.disable()
    tracemalloc.start()
    try:
        count = sum(batch.shape[0] for batch in windows.epoch(1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert count == len(windows) * 8
    assert 0.4 * memory < peak < memory + 300_000  # Zarr's own objects


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chunks", "memory", "pieces"),
    [((1, 101), 300_000, 20), ((2, 13), 170_000, 20), ((1, 101), BIG, 260)],
)
def test_the_order_has_nothing_to_do_with_the_place_in_the_store(
    chunks: tuple[int, int], memory: int, pieces: int
) -> None:
    """Rank correlations, mean of 40 epochs; false-alarm rate 1e-6 each (five deviations).

    One deviates by at most 1 / sqrt(pieces - 1), if only whole pieces were shuffled.
    """
    array = _numbered(None, (20, 101, 80), chunks)
    windows = Windows([array], length=LENGTH, batch=4, memory=memory)
    found = []
    for epoch in range(40):
        places = np.divmod(_firsts(windows, epoch), 101)
        order = np.arange(len(places[0]))
        found.append([spearmanr(order, place).statistic for place in places])
    assert np.abs(np.mean(found, axis=0)).max() < 5 / np.sqrt(40 * (pieces - 1))


def test_neighbours_in_the_order_are_rarely_neighbours_in_the_store() -> None:
    """Of two in a row, both are from one trajectory in 1 of 12 where 12 are held.

    Counted over 2600 pairs (deviation 0.006); at both ends fewer trajectories take part.
    """
    array = _numbered(None, (200, 101, 80), (1, 101))
    one = 101 * 320
    windows = Windows([array], length=LENGTH, batch=4, memory=18 * one)
    trajectory = _firsts(windows) // 101
    same = (np.diff(trajectory) == 0).mean()
    assert 0.04 < same < 0.13
    ages = [np.ptp(np.flatnonzero(trajectory == each)) for each in range(200)]
    assert np.median(ages) > 5 * 13  # the 13 windows of a trajectory come far apart


def test_a_damaged_chunk_is_an_error(tmp_path: Path) -> None:
    array = _numbered(tmp_path / "a", (6, 40, 20), (1, 40))
    chunk = tmp_path / "a" / "c" / "3" / "0" / "0"
    damaged = bytearray(chunk.read_bytes())
    damaged[20] ^= 1
    chunk.write_bytes(damaged)
    for memory in (17_000, BIG):
        windows = Windows([array], length=5, batch=4, memory=memory)
        with pytest.raises(ValueError, match="checksum"):
            list(windows.epoch())


ZEROS = np.zeros((4, 30, 5), np.float32)


@pytest.mark.parametrize(
    ("other", "chunks", "wrong", "message"),
    [
        (ZEROS, (1, 30, 5), {"length": 31}, "length=31 do not fit .* 30 states. Use length <= 30"),
        (ZEROS, (1, 30, 5), {"length": 0}, "length=0 makes no windows. Use length >= 1"),
        (ZEROS, (1, 30, 5), {"batch": 0}, "batch=0 makes no windows. Use batch >= 1"),
        (ZEROS, (1, 30, 5), {"stride": 0}, "stride=0 makes no windows. Use stride >= 1"),
        (ZEROS, (1, 30, 5), {"batch": 25}, "24 windows: .* Use batch <= 24 or drop_last=False"),
        (ZEROS, (1, 30, 5), {"memory": 500}, "memory=500 does not hold two chunks: one is .*>="),
        (ZEROS, (1, 15, 5), {}, r"in chunks \(1, 15, 5\), .* in chunks \(1, 30, 5\). .* alike"),
        (ZEROS[:3], (1, 30, 5), {}, r"has the shape \(3, 30, 5\) .* write them alike"),
        (ZEROS[0, 0], (5,), {}, r"has the shape \(5,\)"),
        (ZEROS[:0], (1, 30, 5), {}, r"not empty; .* has the shape \(0, 30, 5\)"),
        (ZEROS.astype(complex), (1, 30, 5), {}, "holds complex128. Windows hold real numbers"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_cause_and_cure(
    other: np.ndarray, chunks: tuple[int, ...], wrong: dict[str, int], message: str
) -> None:
    arrays = [_write(None, ZEROS, (1, 30, 5)), _write(None, other, chunks)]
    arguments = {"length": 4, "batch": 2, "memory": BIG} | wrong
    with pytest.raises(CatalogError, match=message):
        Windows(arrays, **arguments)


def test_no_arrays_are_refused() -> None:
    with pytest.raises(CatalogError, match="Give one per variable"):
        Windows([], length=1, batch=1, memory=BIG)


@pytest.mark.parametrize("chunks", [(1, 101), (2, 13), (20, 5), (20, 101)])
def test_the_memory_that_the_error_asks_for_is_enough_and_no_less_is(
    chunks: tuple[int, int],
) -> None:
    array = _numbered(None, (100, 101, 80), chunks)
    with pytest.raises(CatalogError, match="does not hold two chunks") as caught:
        Windows([array], length=LENGTH, batch=4, memory=1)
    least = int(str(caught.value).split("memory >= ")[1].split(",")[0])
    windows = Windows([array], length=LENGTH, batch=4, memory=least)
    assert len(set(_firsts(windows))) == 100 * 13
    with pytest.raises(CatalogError, match=f"memory >= {least},"):
        Windows([array], length=LENGTH, batch=4, memory=least - 1)
