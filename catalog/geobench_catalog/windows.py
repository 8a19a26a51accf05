"""Shuffled windows of trajectories in Zarr, for training; whole chunks are read, never windows.

Where everything fits in the memory it is loaded once. Else pieces (blocks of whole chunks) pass
through a ring of buffers. Either way the states lie in one pool `(state, channel x grid)`, in which
a window is contiguous, and a batch is one gather from it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    import zarr

_INDEX_BYTES = 48  # what lists of windows take while they are made, shuffled and kept, a window
_MANY = 32  # more pieces at a time shuffle no better; larger ones are read faster
_FEW = 8  # fewer at a time shuffle badly: worth reading one chunk of eight twice


class _Piece(NamedTuple):
    """A block of trajectories, with those windows that start in `starts`."""

    trajectories: range
    starts: range
    states: range


@dataclass(frozen=True)
class _Cut:
    """Pieces of so many trajectories and so many starts, of which so many are held at a time."""

    trajectories: int
    starts: int
    held: int


@dataclass(frozen=True)
class _Layout:
    """What there is to read, in numbers; `*_bytes` are of one state, batch or decoded chunk."""

    trajectories: int
    time: int
    chunks: tuple[int, int]  # trajectories and states in a chunk
    length: int
    stride: int
    memory: int
    state_bytes: int
    batch_bytes: int
    chunk_bytes: int

    @property
    def starts(self) -> int:
        """Places in a trajectory where a window can start."""
        return self.time - self.length + 1

    @property
    def count(self) -> int:
        """Windows of a trajectory in an epoch."""
        return max(1, self.starts // self.stride)

    @property
    def chunks_at_once(self) -> int:
        """Chunks in one call of Zarr, which may hold each of them encoded and decoded."""
        return max(1, self.memory // 8 // (2 * self.chunk_bytes))

    def states(self, starts: int) -> int:
        """States that windows with so many neighbouring starts cover."""
        return min(starts + self.length - 1, self.time)

    def piece_bytes(self, trajectories: int, starts: int) -> int:
        windows = min(-(-starts // self.stride) + 1, self.count)
        return trajectories * (self.states(starts) * self.state_bytes + windows * _INDEX_BYTES)

    @property
    def fixed_bytes(self) -> int:
        """A batch being made, one that the caller still has, the offsets."""
        return 2 * self.batch_bytes + 8 * self.trajectories

    def held(self, trajectories: int, starts: int) -> int:
        """Pieces that the memory holds beside the chunks being decoded."""
        left = self.memory - max(self.memory // 8, 2 * self.chunk_bytes) - self.fixed_bytes
        return max(0, left) // self.piece_bytes(trajectories, starts)

    def cut(self) -> _Cut:
        """Pieces that are whole in time if two of them can be held, else as long as is good."""
        block, chunk = self.chunks
        parts, overlap = -(-self.time // chunk), -(-(self.length - 1) // chunk)
        held = self.held(block, parts * chunk)
        if held >= 2:
            block *= max(1, held // _MANY)
            return _Cut(block, parts * chunk, self.held(block, parts * chunk))
        while parts > 1 and (held < 2 or (held < _FEW and parts >= 16 * overlap)):
            parts = (parts + 1) // 2
            held = self.held(block, parts * chunk)
        if held < 2:
            self._refuse_memory()
        return _Cut(block, parts * chunk, held)

    def _refuse_memory(self) -> None:
        piece = self.piece_bytes(*self.chunks)
        rest = self.fixed_bytes + 2 * piece
        least = max(rest + 2 * self.chunk_bytes, -(-rest * 8 // 7))
        raise CatalogError(
            f"memory={self.memory} does not hold two chunks: one is {piece} bytes with its windows "
            f"(all variables, float32), a batch {self.batch_bytes}. Use memory >= {least}, a "
            "smaller batch, or smaller chunks."
        )

    def pieces(self, cut: _Cut) -> int:
        """Pieces in the store."""
        return -(-self.trajectories // cut.trajectories) * -(-self.starts // cut.starts)

    def piece(self, cut: _Cut, number: int) -> _Piece:
        """A piece of the store, counted along time first."""
        row, column = divmod(number, -(-self.starts // cut.starts))
        trajectory, start = row * cut.trajectories, column * cut.starts
        last = min(start + cut.starts, self.starts)
        return _Piece(
            range(trajectory, min(trajectory + cut.trajectories, self.trajectories)),
            range(start, last),
            range(start, last + self.length - 1),
        )


class _Held(NamedTuple):
    """A piece in the ring: its windows, by the step in which they come, from step `first` on."""

    first: int
    rows: NDArray[np.intp]
    bounds: NDArray[np.intp]

    def due(self, step: int) -> NDArray[np.intp]:
        """Windows of the piece that come in a step."""
        at = step - self.first
        due: NDArray[np.intp] = self.rows[self.bounds[at] : self.bounds[at + 1]]
        return due


class Windows:
    """Shuffled windows `(row, time, channel, *grid)` of consecutive states, from Zarr; float32.

    `arrays` are the variables, in the order of the channels: each `(trajectory, time, *grid)`, all
    of one shape and chunk shape. An epoch holds the windows that start at `offset + k stride` of
    each trajectory, k = 0, 1, …, counted modulo the `time - length + 1` places where a window can
    start, and each exactly once. The offset is drawn per epoch and trajectory, uniformly over those
    places: over epochs every start is equally likely, and an epoch always has
    `max(1, (time - length + 1) // stride)` windows a trajectory. `stride` defaults to `length`:
    the windows of an epoch do not overlap.

    `memory` is in bytes. If the data (float32, all variables) fit, they are loaded at the first
    use, batches and lists of windows come on top, and the shuffle is uniform over the epoch.

    Else `memory` bounds what is held: pieces of whole chunks, the chunks being decoded, the batch
    and the one before it (but not Python's and Zarr's own objects, some 100 kB). Pieces come in
    random order; a piece stays while as many others as the memory holds are read, and each of its
    windows leaves at a uniformly random time meanwhile. The shuffle is approximate: neighbouring
    windows of a batch are from the pieces held together, a random sample of all, and it is the
    better the more pieces that is: the more memory, or the smaller the chunks. At both ends of an
    epoch fewer pieces take part. Where pieces that are whole in time do not fit, those cut in time
    overlap by `length - 1` states, so that no window is lost between them; chunks in the overlap
    are read twice. Each running epoch has its own buffers.

    The order is fixed by the arguments, the number of the epoch and numpy's generators; it does
    not depend on threads. Batches are fresh arrays. What the store raises, passes.
    """

    in_memory: bool

    def __init__(
        self,
        arrays: Sequence["zarr.Array[Any]"],
        *,
        length: int,
        batch: int,
        memory: int,
        stride: int | None = None,
        seed: int = 0,
        drop_last: bool = True,
    ) -> None:
        stride = length if stride is None else stride
        _check_arrays(arrays)
        _check_counts(arrays[0].shape[1], length=length, stride=stride, batch=batch)
        self._arrays = tuple(arrays)
        self._batch, self._seed, self._drop_last = batch, seed, drop_last
        self._layout = layout = _layout(
            arrays, length=length, stride=stride, batch=batch, memory=memory
        )
        _check_batch(layout.trajectories * layout.count, batch, drop_last=drop_last)
        self.in_memory = layout.trajectories * layout.time * layout.state_bytes <= memory
        self._cut = None if self.in_memory else layout.cut()
        self._loaded: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        windows = self._layout.trajectories * self._layout.count
        return windows // self._batch if self._drop_last else -(-windows // self._batch)

    def epoch(self, number: int = 0) -> Iterator[NDArray[np.float32]]:
        """Batches `(batch, length, channel, *grid)` of an epoch; the last may be smaller."""
        seeds = np.random.SeedSequence(self._seed, spawn_key=(number,))
        generator = np.random.Generator(np.random.Philox(seeds))
        offsets = generator.integers(self._layout.starts, size=self._layout.trajectories)
        if self._cut is None:
            pool = self._load()
            return self._batches(pool, self._all_rows(offsets, generator))
        held = min(self._cut.held, self._layout.pieces(self._cut))
        pool = self._empty(held, self._cut.trajectories, self._layout.states(self._cut.starts))
        return self._batches(pool, self._streamed_rows(pool, self._cut, offsets, generator))

    def _empty(self, *states: int) -> NDArray[np.float32]:
        return np.empty((*states, len(self._arrays), *self._arrays[0].shape[2:]), np.float32)

    def _load(self) -> NDArray[np.float32]:
        if self._loaded is None:
            trajectories, time = self._layout.trajectories, self._layout.time
            pool = self._empty(trajectories, time)
            _read(self._arrays, pool, range(trajectories), range(time), self._layout)
            self._loaded = pool
        return self._loaded

    def _all_rows(
        self, offsets: NDArray[np.int64], generator: np.random.Generator
    ) -> Iterator[NDArray[np.intp]]:
        """All windows of an epoch as places in the loaded pool, at once."""
        trajectory, start = _windows_between(offsets, range(self._layout.starts), self._layout)
        rows = trajectory * self._layout.time + start
        generator.shuffle(rows)
        yield rows

    def _streamed_rows(
        self,
        pool: NDArray[np.float32],
        cut: _Cut,
        offsets: NDArray[np.int64],
        generator: np.random.Generator,
    ) -> Iterator[NDArray[np.intp]]:
        """Windows of an epoch as places in the pool, which the next step overwrites.

        The i-th piece is read before step i, and its windows come in steps i to i + held - 1; but
        the first pieces are read together, before step `held - 1`.
        """
        held, pieces = len(pool), self._layout.pieces(cut)
        ring: deque[_Held] = deque(maxlen=held)
        for i, number in enumerate(generator.permutation(pieces)):
            piece = self._layout.piece(cut, int(number))
            rows = self._read_piece(pool, i % held, piece, offsets)
            steps = range(max(i, held - 1), min(i + held, pieces))
            ring.append(_spread(rows, steps, generator))
            if i >= held - 1:
                step = np.concatenate([each.due(i) for each in ring])
                generator.shuffle(step)
                yield step

    def _read_piece(
        self, pool: NDArray[np.float32], slot: int, piece: _Piece, offsets: NDArray[np.int64]
    ) -> NDArray[np.intp]:
        """Read a piece into its slot (if it has windows); return its windows' places."""
        trajectories, starts, states = piece
        row, start = _windows_between(
            offsets[trajectories.start : trajectories.stop], starts, self._layout
        )
        if len(row):
            _read(self._arrays, pool[slot], trajectories, states, self._layout)
        places: NDArray[np.intp] = (slot * pool.shape[1] + row) * pool.shape[2]
        return places + start - starts.start

    def _batches(
        self, pool: NDArray[np.float32], steps: Iterator[NDArray[np.intp]]
    ) -> Iterator[NDArray[np.float32]]:
        """Cut the windows of all steps into batches; one may take from two steps."""
        shape = (self._layout.length, *pool.shape[-self._arrays[0].ndim + 1 :])
        states = pool.reshape(-1, prod(shape[1:]))
        batch, filled = np.empty(0, np.float32), 0
        for rows in steps:
            for now in np.split(rows, range(self._batch - filled, len(rows), self._batch)):
                if not len(now):
                    continue
                if len(now) == self._batch:
                    yield _gather(states, now, shape[0]).reshape(-1, *shape)
                    continue
                if not filled:
                    batch = np.empty((self._batch, shape[0], states.shape[1]), np.float32)
                for place, row in enumerate(now.tolist(), filled):
                    batch[place] = states[row : row + shape[0]]
                filled = (filled + len(now)) % self._batch
                if not filled:
                    yield batch.reshape(-1, *shape)
                    batch = np.empty(0, np.float32)
        if filled and not self._drop_last:
            yield batch[:filled].reshape(-1, *shape)


def _gather(
    states: NDArray[np.float32], rows: NDArray[np.intp], length: int
) -> NDArray[np.float32]:
    """The windows of `length` states that start at `rows`, flat; each is one copy of its bytes."""
    window = np.dtype((np.void, length * states.shape[1] * states.itemsize))
    count = len(states) - length + 1
    return np.ndarray((count,), window, states.data, strides=states.strides[:1])[rows].view(
        np.float32
    )


def _windows_between(
    offsets: NDArray[np.int64], between: range, layout: _Layout
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Trajectory (index into `offsets`) and start of the windows that start in `between`.

    Window k starts at (offset + k stride) modulo starts, and goes round at most once: the k before
    and after that are two ranges.
    """
    shift = np.array([[0], [layout.starts]]) - offsets
    low, high = (
        np.clip(-(-(bound + shift) // layout.stride), 0, layout.count)
        for bound in (between.start, between.stop)
    )
    sizes = (high - low).ravel()
    trajectory = np.repeat(np.tile(np.arange(len(offsets)), 2), sizes)
    k = np.arange(len(trajectory)) + np.repeat(low.ravel() - np.cumsum(sizes) + sizes, sizes)
    return trajectory, (offsets[trajectory] + k * layout.stride) % layout.starts


def _spread(rows: NDArray[np.intp], steps: range, generator: np.random.Generator) -> _Held:
    """Give each window one of the steps, at random."""
    step = generator.integers(len(steps), size=len(rows))
    bounds = np.cumsum(np.bincount(step + 1, minlength=len(steps) + 1))
    return _Held(steps.start, rows[np.argsort(step, kind="stable")], bounds)


def _read(
    arrays: Sequence["zarr.Array[Any]"],
    into: NDArray[np.float32],
    trajectories: range,
    states: range,
    layout: _Layout,
) -> None:
    """Read a block that begins where a chunk begins to the beginning of `into`, stacked."""
    from zarr.buffer.cpu import NDBuffer

    block, chunk = layout.chunks
    along, at_once = -(-len(states) // chunk), layout.chunks_at_once
    block, chunk = block * max(1, at_once // along), chunk * min(at_once, along)
    for row in range(0, len(trajectories), block):
        for time in range(0, len(states), chunk):
            rows, times = trajectories[row : row + block], states[time : time + chunk]
            where = slice(rows.start, rows.stop), slice(times.start, times.stop)
            part = into[row : row + len(rows), time : time + len(times)]
            for channel, array in enumerate(arrays):
                buffer = NDBuffer.from_numpy_array(part[:, :, channel])
                array.get_basic_selection(where, out=buffer)


def _layout(
    arrays: Sequence["zarr.Array[Any]"], *, length: int, stride: int, batch: int, memory: int
) -> _Layout:
    shape, chunks = arrays[0].shape, arrays[0].chunks
    state = 4 * len(arrays) * prod(shape[2:])
    covered = prod(-(-n // m) * m for n, m in zip(shape[2:], chunks[2:], strict=True))
    widest = max(array.dtype.itemsize for array in arrays)
    return _Layout(
        trajectories=shape[0],
        time=shape[1],
        chunks=(chunks[0], chunks[1]),
        length=length,
        stride=stride,
        memory=memory,
        state_bytes=state,
        batch_bytes=batch * length * state,
        chunk_bytes=prod(chunks[:2]) * covered * widest,
    )


def _check_arrays(arrays: Sequence["zarr.Array[Any]"]) -> None:
    if not arrays:
        raise CatalogError("There are no arrays to cut windows from. Give one per variable.")
    first = arrays[0]
    for array in arrays:
        if array.ndim < 2 or 0 in array.shape:
            raise CatalogError(
                f"Windows are cut from arrays (trajectory, time, *grid) that are not empty; "
                f"{array.store_path} has the shape {array.shape}."
            )
        if array.dtype.kind not in "fiub":
            raise CatalogError(
                f"{array.store_path} holds {array.dtype}. Windows hold real numbers."
            )
        if (array.shape, array.chunks) != (first.shape, first.chunks):
            raise CatalogError(
                f"{array.store_path} has the shape {array.shape} in chunks {array.chunks}, "
                f"{first.store_path} {first.shape} in chunks {first.chunks}. Variables are "
                "stacked: write them alike."
            )


def _check_counts(time: int, *, length: int, stride: int, batch: int) -> None:
    for name, value in (("length", length), ("stride", stride), ("batch", batch)):
        if value < 1:
            raise CatalogError(f"{name}={value} makes no windows. Use {name} >= 1.")
    if length > time:
        raise CatalogError(
            f"Windows of length={length} do not fit in trajectories of {time} states. "
            f"Use length <= {time}."
        )


def _check_batch(windows: int, batch: int, *, drop_last: bool) -> None:
    if drop_last and batch > windows:
        raise CatalogError(
            f"An epoch has {windows} windows: batch={batch} is never full, and what is not full is "
            f"dropped. Use batch <= {windows} or drop_last=False."
        )
