"""Windows for training, samples per second and one thread: loaded, streamed, one by one.

Peers take turns with `geobench_catalog.windows`: in memory, a numpy gather from strided windows;
where the data do not fit, a loop that reads whole chunks into a list and gathers windows from it at
random; for scale, Zarr indexed once a window. Ratios are of neighbouring turns.

    python benchmarks/windows.py > benchmarks/results/windows.jsonl
"""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

import click
import numcodecs.blosc
import numpy as np
import zarr
from timing import tell
from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

from geobench_catalog.windows import Windows

Batches = Callable[[int], Iterator[np.ndarray]]  # of an epoch


@dataclass(frozen=True)
class Case:
    """Data as a simulator makes them, and how they are cut and read."""

    data: str
    shape: tuple[int, ...]
    variables: int
    chunks: tuple[int, ...]
    length: int
    batch: int
    memories: tuple[int, ...]  # bytes, when they are streamed


LORENZ95, BASIN = (64, 5000, 40), (2, 1000, 64, 64)
CASES = (
    Case("lorenz95", LORENZ95, 1, (1, 5000, 40), 32, 64, (16_000_000,)),
    # Whole in time, and cut in time:
    Case("lorenz95", LORENZ95, 1, (16, 256, 40), 32, 64, (32_000_000, 16_000_000)),
    Case("shallow-water", BASIN, 3, (1, 100, 64, 64), 8, 16, (40_000_000,)),
)


def written(case: Case, folder: Path) -> list[zarr.Array]:
    """Random walks, which compress as little as chaos does."""
    generator = np.random.default_rng(0)
    arrays = []
    for variable in range(case.variables):
        array = zarr.create_array(
            folder / f"{case.data}-{case.chunks}-{variable}",
            shape=case.shape,
            chunks=case.chunks,
            dtype="float32",
            fill_value=float("nan"),
            compressors=(
                BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.shuffle),
                Crc32cCodec(),
            ),
        )
        array[:] = 0.1 * generator.standard_normal(case.shape, np.float32).cumsum(axis=1)
        arrays.append(array)
    return arrays


def in_memory_peer(case: Case, arrays: list[zarr.Array]) -> Batches:
    """A fancy index into a strided view of all windows."""
    values = np.stack([array[:] for array in arrays], axis=2)
    starts = case.shape[1] - case.length + 1
    trajectory, state = values.strides[:2]
    view = np.lib.stride_tricks.as_strided(
        values,
        (case.shape[0], starts, case.length, *values.shape[2:]),
        (trajectory, state, state, *values.strides[2:]),
        writeable=False,
    )

    def batches(epoch: int) -> Iterator[np.ndarray]:
        generator = np.random.default_rng(epoch)
        each = np.arange(generator.integers(case.length), starts, case.length)
        order = generator.permutation(case.shape[0] * len(each))
        rows, times = order // len(each), each[order % len(each)]
        for i in range(0, len(order) - case.batch + 1, case.batch):
            yield view[rows[i : i + case.batch], times[i : i + case.batch]]

    return batches


def streamed_peer(case: Case, arrays: list[zarr.Array], memory: int) -> Batches:
    """Read as many whole chunks as the memory holds, gather their windows at random, and again.

    Windows across the borders of chunks are lost to it.
    """
    block, chunk = case.chunks[:2]
    corners = list(product(range(0, case.shape[0], block), range(0, case.shape[1], chunk)))
    size = 4 * case.variables * int(np.prod(case.chunks))
    held = memory // size

    def read(row: int, first: int) -> np.ndarray:
        where = slice(row, row + block), slice(first, first + chunk)
        if len(arrays) == 1:
            return arrays[0][where][:, :, None]
        return np.stack([array[where] for array in arrays], axis=2)

    def batches(epoch: int) -> Iterator[np.ndarray]:
        generator = np.random.default_rng(epoch)
        order = generator.permutation(len(corners))
        left: list[np.ndarray] = []
        for i in range(0, len(order), held):
            buffer = [read(*corners[k]) for k in order[i : i + held]]
            windows = [
                (piece, row, start)
                for piece in buffer
                for row in range(len(piece))
                for start in range(0, piece.shape[1] - case.length + 1, case.length)
            ]
            for k in generator.permutation(len(windows)):
                piece, row, start = windows[k]
                left.append(piece[row, start : start + case.length])
                if len(left) == case.batch:
                    yield np.stack(left)
                    left = []

    return batches


def one_by_one(case: Case, arrays: list[zarr.Array]) -> Batches:
    """Two batches of windows, each read by Zarr on its own."""

    def batches(epoch: int) -> Iterator[np.ndarray]:
        generator = np.random.default_rng(epoch)
        for _ in range(2):
            rows = generator.integers(case.shape[0], size=case.batch)
            starts = generator.integers(case.shape[1] - case.length + 1, size=case.batch)
            yield np.stack(
                [
                    np.stack([array[row, start : start + case.length] for array in arrays], axis=1)
                    for row, start in zip(rows, starts, strict=True)
                ]
            )

    return batches


def rate(batches: Batches, epoch: int, least: float) -> float:
    """Samples per second of whole epochs, for at least so many seconds."""
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < least or not count:
        for batch in batches(epoch):
            count += len(batch)
    return count / spent


def turns(ours: Batches, peer: Batches, repeats: int, least: float) -> dict[str, float]:
    """Rates of both, in turn (each begins every other time), and their ratios."""
    rates: list[tuple[float, float]] = []
    for batches in (ours, peer):  # warm up: files, pages, the first use
        rate(batches, 0, 0)
    for turn in range(repeats):
        pair = (ours, peer) if turn % 2 else (peer, ours)
        found = [rate(batches, 1 + turn, least) for batches in pair]
        rates.append((found[0], found[1]) if turn % 2 else (found[1], found[0]))
    ratios = [mine / theirs for mine, theirs in rates]
    return {
        "samples_per_s": median(mine for mine, _ in rates),
        "peer_samples_per_s": median(theirs for _, theirs in rates),
        "ratio": median(ratios),
        "least_ratio": min(ratios),
    }


def measure(case: Case, folder: Path, repeats: int) -> None:
    """All that is measured of a case."""
    arrays = written(case, folder)
    size = 4 * case.variables * int(np.prod(case.shape))

    def windows(memory: int) -> Windows:
        return Windows(arrays, length=case.length, batch=case.batch, memory=memory)

    about = {"data": case.data, "chunks": case.chunks, "data_bytes": size, "threads": 1}
    loaded = windows(size)
    assert loaded.in_memory
    found = turns(loaded.epoch, in_memory_peer(case, arrays), repeats, 0.2)
    tell(benchmark="windows", what="in memory", **about, **found)
    for memory in case.memories:
        streamed = windows(memory)
        assert not streamed.in_memory
        found = turns(streamed.epoch, streamed_peer(case, arrays, memory), repeats, 0.3)
        tell(benchmark="windows", what="streamed", memory=memory, **about, **found)
    found_rate = rate(one_by_one(case, arrays), 0, 0)
    tell(benchmark="windows", what="one by one", **about, peer_samples_per_s=found_rate)


@click.command(help=__doc__)
@click.option("--repeats", default=9, help="Turns of each.")
def main(repeats: int) -> None:
    """Run everything."""
    zarr.config.set({"threading.max_workers": 1, "async.concurrency": 1})
    numcodecs.blosc.use_threads = False
    tell(benchmark="windows", machine=platform.processor() or platform.machine(),
         cpus=os.cpu_count(), zarr=zarr.__version__, numpy=np.__version__)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            measure(case, Path(folder), repeats)


if __name__ == "__main__":
    main()
