"""Past states to look for analogs in, and how far they are."""

import torch
from torch import Tensor

from geobench import Dimension, GeobenchError, StateSpec, Training


class Library:
    """States of the train split, as anomalies in standard deviations of their variable.

    states: (trajectory, time, channel, *grid); mean: (channel, *grid); std: (channel, *ones), the
    root of the mean variance over the grid. A window is `frames` states in a row that another one
    follows: its last state is what is like the present, the next is what came of it.
    """

    def __init__(self, states: Tensor, mean: Tensor, std: Tensor, frames: int) -> None:
        self.states, self.mean, self.std, self.frames = states, mean, std, frames
        self._flat = states.flatten(0, 1)
        self._norms = self._flat.flatten(1).square().sum(1)
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
        states = training.train[: max(1, most // times), :most]
        mean = states.mean((0, 1), dtype=torch.float64).float()
        states = states - mean
        over = [axis for axis in range(states.ndim) if axis != 2]
        size = states[:, :, 0].numel()
        std = torch.linalg.vector_norm(states, dim=over, dtype=torch.float64) / size**0.5
        std = std.float().view(-1, *[1] * (states.ndim - 3))
        return cls(states.div_(std + (std == 0)), mean, std, frames)

    def __len__(self) -> int:
        return len(self.states) * self._starts

    def to(self, device: torch.device) -> "Library":
        """Return the same on a device."""
        if self.states.device == device:
            return self
        states, mean, std = (each.to(device) for each in (self.states, self.mean, self.std))
        return Library(states, mean, std, self.frames)

    def squares(self, past: Tensor) -> Tensor:
        """Squared distances of whole fields, (row, frame, channel, *grid) to (row, window)."""
        return self._total([
            (query.square().sum(1, keepdim=True) + self._norms).addmm(
                query, self._flat.flatten(1).T, alpha=-2
            )
            for query in self._normal(past).flatten(2).unbind(1)
        ]).clamp_min(0)  # fmt: skip

    def local_squares(self, past: Tensor, spec: StateSpec, reach: int) -> Tensor:
        """The same within `reach` cells of every cell, of one row: (*grid, window)."""
        each = []
        for frame in self._normal(past[None])[0]:
            square = torch.zeros(len(self._flat), *spec.grid, device=past.device)
            for channel, values in enumerate(frame):
                square += (self._flat[:, channel] - values).square()
            for axis, dim in enumerate(spec.dims, 1):
                square = _around(square, axis, dim, reach)
            each.append(square.movedim(0, -1))
        return self._total(each)

    def states_of(self, windows: Tensor, step: int) -> Tensor:
        """Values (row, channel, *grid) of the state `step` after a window's last.

        `windows` says which, (row, *grid), or (row, *ones) if it is the same at all cells.
        """
        which = windows // self._starts * self.states.shape[1] + windows % self._starts
        which = which + self.frames - 1 + step
        return self._flat.gather(0, which[:, None].expand(-1, *self._flat.shape[1:]))

    def _normal(self, past: Tensor) -> Tensor:
        return (past - self.mean) / (self.std + (self.std == 0))

    def _total(self, frames: list[Tensor]) -> Tensor:
        """Sum distances (…, state) to each frame over the frames of a window: (…, window)."""
        trajectories = len(self.states)
        parts = [
            each.view(*each.shape[:-1], trajectories, -1)[..., place : place + self._starts]
            for place, each in enumerate(frames)
        ]
        return torch.stack(parts).sum(0).flatten(-2)


def _around(field: Tensor, axis: int, dim: Dimension, reach: int) -> Tensor:
    """Sums over the cells within `reach` along a dim; there is nothing beyond a wall."""
    size = dim.size
    if 2 * reach + 1 > size:
        raise GeobenchError(
            f"analog: local = {reach} looks at {2 * reach + 1} cells, and {dim.name} has {size}. "
            f"Use local <= {(size - 1) // 2}, or leave it out."
        )
    first, last = field.narrow(axis, 0, reach), field.narrow(axis, size - reach, reach)
    if not dim.periodic:
        first, last = torch.zeros_like(first), torch.zeros_like(last)
    wide = torch.cat([last, field, first], axis)
    total = wide.narrow(axis, 0, size).clone()
    for start in range(1, 2 * reach + 1):
        total += wide.narrow(axis, start, size)
    return total


def nearest(squares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` nearest windows along the last dim, and the logarithms of their weights.

    Weights fall with the squared distance to none at that of the next one (Epanechnikov's kernel,
    as wide as the neighbourhood is).
    """
    found, places = squares.topk(count + 1, largest=False)
    inner = found[..., :-1] / found[..., -1:].clamp_min(1e-30)
    return places[..., :-1], (1 - inner).clamp_min(1e-30).log()


def drawn(places: Tensor, logs: Tensor, chances: Tensor) -> Tensor:
    """One of the windows along the last dim, with its weight for probability.

    `chances` are uniform in (0, 1), one per window (the Gumbel-max trick): where two cells know the
    same window by the same number, they tend to draw the same.
    """
    best = (logs - (-chances.log()).log()).argmax(-1, keepdim=True)
    return places.gather(-1, best)[..., 0]
