"""Past states to look for analogs in, and how far they are."""

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geobench import Dimension, GeobenchError, StateSpec, Training

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_GOLDEN, _MIX = -0x61C8864680B583EB, (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)  # splitmix64


class Library:
    """States of the train split, as anomalies in standard deviations of their variable.

    states: (trajectory, time, channel, *grid); mean: (channel, *grid); std: (channel, *ones), the
    root of the mean variance over the grid. A window is `frames` states in a row that another one
    follows: its last state is what is like the present, the next is what came of it. Squares of
    differences count by the areas of their cells.
    """

    def __init__(
        self, states: Tensor, mean: Tensor, std: Tensor, *, frames: int, spec: StateSpec
    ) -> None:
        self.states, self.mean, self.std, self.frames = states, mean, std, frames
        self.spec = spec
        areas = None if spec.equal_areas else torch.from_numpy(spec.cell_areas).sqrt().float()
        self._root = None if areas is None else areas.to(states.device)
        self._flat = states.flatten(0, 1)
        self._norms = self._weighed(self._flat).flatten(1).square().sum(1)
        self._starts = states.shape[1] - frames

    @classmethod
    def learn(cls, training: Training, frames: int, most: int) -> "Library":
        """Keep whole trajectories, the first ones, of at most `most` states (at least one)."""
        times = training.train.shape[1]
        if min(times, most) <= frames:
            raise GeobenchError(
                f"analog: a past of {frames} frames and what came of it need {frames + 1} states "
                f"in a row, and there are {min(times, most)}. Raise states, give the experiment's "
                f"train split more steps, or use fewer frames."
            )
        spec = training.task.spec
        states = training.train[: max(1, most // times), :most]
        mean = states.mean((0, 1), dtype=torch.float64).float()
        states = states - mean
        over = [axis for axis in range(states.ndim) if axis != 2]
        size = states[:, :, 0].numel()
        weighed = states
        if not spec.equal_areas:
            weighed = states * torch.from_numpy(spec.cell_areas).sqrt().to(states)
        std = torch.linalg.vector_norm(weighed, dim=over, dtype=torch.float64) / size**0.5
        std = std.float().view(-1, *[1] * (states.ndim - 3))
        return cls(states.div_(std + (std == 0)), mean, std, frames=frames, spec=spec)

    def __len__(self) -> int:
        return len(self.states) * self._starts

    def to(self, device: torch.device) -> "Library":
        """Return the same on a device."""
        if self.states.device == device:
            return self
        states, mean, std = (tensor.to(device) for tensor in (self.states, self.mean, self.std))
        return Library(states, mean, std, frames=self.frames, spec=self.spec)

    def squares(self, past: Tensor) -> Tensor:
        """Squared distances of whole fields, (row, frame, channel, *grid) to (row, window)."""
        flat = self._weighed(self._flat).flatten(1).T
        return self._total([
            (query.square().sum(1, keepdim=True) + self._norms).addmm(query, flat, alpha=-2)
            for query in self._weighed(self.normal(past)).flatten(2).unbind(1)
        ]).clamp_min(0)  # fmt: skip

    def after(self, windows: Tensor) -> Tensor:
        """Values (row, channel, *grid) of the state that follows a window.

        `windows` says which, (row, *grid), or (row, *ones) if it is the same at all cells.
        """
        which = windows // self._starts * self.states.shape[1] + windows % self._starts
        which = which + self.frames
        return self._flat.gather(0, which[:, None].expand(-1, *self._flat.shape[1:]))

    def windows(self) -> Tensor:
        """All windows `(window, frame, channel, *grid)`: a view of the states."""
        windows = self.states[:, :-1].unfold(1, self.frames, 1)
        return windows.movedim(-1, 2).flatten(0, 1)

    def normal(self, past: Tensor) -> Tensor:
        """Anomalies in standard deviations, as the states are."""
        return (past - self.mean) / (self.std + (self.std == 0))

    def _weighed(self, fields: Tensor) -> Tensor:
        return fields if self._root is None else fields * self._root

    def _total(self, frames: list[Tensor]) -> Tensor:
        """Sum distances (…, state) to each frame over the frames of a window: (…, window)."""
        trajectories = len(self.states)
        parts = [
            distances.view(*distances.shape[:-1], trajectories, -1)[
                ..., index : index + self._starts
            ]
            for index, distances in enumerate(frames)
        ]
        return torch.stack(parts).sum(0).flatten(-2)


class LocalIndex:
    """What is near around each cell: a k-d tree of a library's windows for every cell.

    A tree holds the values of the cells within `reach` of its own (all channels and frames), so a
    search reads few of the windows. Cells that never change are left out.
    """

    def __init__(self, library: Library, reach: int) -> None:
        from scipy.spatial import KDTree

        self._library = library
        self._columns: list[Array] = []
        self._trees: list[KDTree | None] = []
        windows = library.windows().flatten(3).cpu()  # (window, frame, channel, cell)
        root = torch.ones(library.spec.grid) if library._root is None else library._root.cpu()
        self._root = root.flatten()
        moves = (windows != windows[:1]).any(0).any(0).any(0)
        for cells in neighbourhoods(library.spec, reach):
            used = cells[moves[cells]]
            self._columns.append(used.numpy())
            values = self._values(windows, used)
            self._trees.append(KDTree(values) if len(used) else None)

    def _values(self, past: Tensor, cells: Tensor) -> "Array":
        """Numbers `(row, frame x channel x cell)` of which squares of differences are summed."""
        values: Array = (past[..., cells] * self._root[cells]).double().flatten(1).numpy()
        return values

    def nearest(self, past: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The `count` nearest windows at every cell, and the logarithms of their weights.

        (row, frame, channel, *grid) to (row, *grid, window) twice; at cells without a neighbour
        that ever changes, any windows.
        """
        given = self._library.normal(past).flatten(3).cpu()
        places = torch.arange(count).expand(len(past), len(self._trees), -1).clone()
        squares = torch.zeros(len(past), len(self._trees), count + 1, dtype=torch.float64)
        for cell, (tree, columns) in enumerate(zip(self._trees, self._columns, strict=True)):
            if tree is not None:
                far, indices = tree.query(self._values(given, torch.from_numpy(columns)), count + 1)
                places[:, cell] = torch.from_numpy(indices[:, :-1])
                squares[:, cell] = torch.from_numpy(far).square()
        logs = _logs(squares).float()
        shape = (len(past), *self._library.spec.grid, count)
        return places.view(shape).to(past.device), logs.view(shape).to(past.device)


def neighbourhoods(spec: StateSpec, reach: int) -> list[Tensor]:
    """Flat places of the cells within `reach` of each cell along every dim, in C order.

    There is nothing beyond a wall; a periodic dim that is too short is taken whole.
    """
    along = [[_near(dim, index, reach) for index in range(dim.size)] for dim in spec.dims]
    strides = [math.prod(spec.grid[axis + 1 :]) for axis in range(len(spec.dims))]
    neighbours = []
    for around in itertools.product(*along):
        flat = torch.zeros(1, dtype=torch.long)
        for indices, stride in zip(around, strides, strict=True):
            flat = (flat[:, None] + torch.tensor(indices) * stride).flatten()
        neighbours.append(flat)
    return neighbours


def _near(dim: Dimension, index: int, reach: int) -> list[int]:
    if dim.periodic and 2 * reach + 1 >= dim.size:
        return list(range(dim.size))
    steps = range(index - reach, index + reach + 1)
    return [step % dim.size for step in steps if dim.periodic or 0 <= step < dim.size]


def nearest(squares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` nearest windows along the last dim, and the logarithms of their weights."""
    smallest, places = squares.topk(count + 1, largest=False)
    return places[..., :-1], _logs(smallest)


def _logs(squares: Tensor) -> Tensor:
    """Logarithms of the weights of all but the last of the squared distances, which rise.

    Weights fall with the squared distance to none at that of the next one (Epanechnikov's kernel,
    as wide as the neighbourhood is).
    """
    inner = squares[..., :-1] / squares[..., -1:].clamp_min(1e-30)
    return (1 - inner).clamp_min(1e-30).log()


def drawn(places: Tensor, logs: Tensor, chances: Tensor) -> Tensor:
    """One of the windows along the last dim, with its weight for probability.

    `chances` are uniform in (0, 1), one per window (the Gumbel-max trick): where two cells know the
    same window by the same number, they tend to draw the same.
    """
    best = (logs - (-chances.log()).log()).argmax(-1, keepdim=True)
    return places.gather(-1, best)[..., 0]


def chances(words: Tensor, windows: Tensor) -> Tensor:
    """Numbers in (0, 1) that depend on a row's two 32-bit words and on a window (splitmix64).

    `words` `(row, 2)`, `windows` `(row, …)`. All windows of a row have a number, and only those
    that are asked for are made.
    """
    key = (words[:, 0] << 32) ^ words[:, 1]
    z = key.view(-1, *[1] * (windows.ndim - 1)) + (windows + 1) * _GOLDEN
    for shift, factor in zip((30, 27), _MIX, strict=True):
        z = (z ^ _right(z, shift)) * factor
    bits = _right(z ^ _right(z, 31), 40)  # 24: exact in single precision
    return ((bits.double() + 0.5) / 2**24).float().clamp_max(1 - 2**-24)


def _right(z: Tensor, shift: int) -> Tensor:
    """Shift right, as if there were no sign."""
    return (z >> shift) & ((1 << (64 - shift)) - 1)
