"""Normalised states in, normalised changes out: the scaling that every learned model shares."""

import math
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geobench import Dimension, StateSpec, Training
from geobench_plugins.networks.objectives import Setting

if TYPE_CHECKING:
    from collections.abc import Callable

_EPSILON = 1e-12  # far below any standard deviation: a larger one rescales quiet variables


class Scaling(nn.Module):
    """Means and standard deviations over the train split, per channel, and what a change is from.

    The normalised change is (x_{t+1} - U(x_t)) / `change`, of variance one. U is the identity or,
    with `kept` below 1, a low pass that keeps this share of the wavenumbers along each dim (the
    truncated reference state of AIFS-CRPS, Lang et al., 2024). A network has to make again what the
    low pass drops, at every step. So U is the low pass only for channels in which what it drops is
    at most `dropped` of a change, root mean squares over the train split (None: for all). Cells
    that never change in the train split (walls, land) stay as they are. Cells count by their areas:
    `area` `(*grid, 1)` holds them over their mean at sea, and is None where they are equal.
    """

    mean: Tensor
    std: Tensor
    change: Tensor
    moving: Tensor
    area: Tensor | None
    filtered: Tensor

    def __init__(self, spec: StateSpec, kept: float = 1.0, dropped: float | None = None) -> None:
        super().__init__()
        channels = len(spec.variables)
        for name in ("mean", "std", "change"):
            self.register_buffer(name, torch.ones(channels))
        self.register_buffer("moving", torch.ones(*spec.grid, channels, dtype=torch.bool))
        equal = spec.equal_areas
        area = None if equal else torch.from_numpy(spec.cell_areas).float()[..., None]
        self.register_buffer("area", area, persistent=False)
        self._passes = kept < 1
        self._most_dropped = dropped
        chosen = torch.ones(channels, dtype=torch.bool)
        self.register_buffer("filtered", chosen, persistent=self._passes and dropped is not None)
        self.dropped = [0.0] * channels
        self._periodic = tuple(dim.periodic for dim in spec.dims)
        for axis, dim in enumerate(spec.dims):
            matrix = low_pass(dim, kept) if self._passes else None
            self.register_buffer(f"low_pass{axis}", matrix, persistent=False)

    def learn(self, training: Training) -> None:
        """Measure the train split."""
        self._measure(training)
        low = high = training.train[0, 0]
        for block in training.blocks():
            low = torch.minimum(low, block.amin((0, 1)))
            high = torch.maximum(high, block.amax((0, 1)))
        moving = (high != low).movedim(0, -1)
        self.moving.copy_(moving)
        cells = math.prod(moving.shape[:-1])
        share = self.weigh(moving.double()).flatten(0, -2).sum(0) / cells
        if self._passes:
            self._choose(training, share)
        mean, square = self._moments(training, share, 1, lambda x: x[1:] - self.reference(x[:-1]))
        change = (square - mean.square()).sqrt() + _EPSILON
        self.change.copy_(torch.where(share > 0, change, 1.0))

    def _measure(self, training: Training) -> None:
        """Mean and standard deviation of each channel over trajectories, times and cells at sea."""
        sea = torch.from_numpy(training.task.spec.sea).to(self.mean.device)
        states = math.prod(training.train.shape[:2])
        means, variances = (moment[:, sea] for moment in training.moments())  # (channel, cell)
        area = torch.ones_like(means[0]) if self.area is None else self.area[..., 0][sea]
        mean = (means * area).mean(1, keepdim=True)
        squares = (states - 1) / states * variances + (means - mean).square()
        variance = (squares * area).mean(1)
        if self.area is None:
            values = states * means.shape[1]
            variance = variance * values / (values - 1)
        self.mean.copy_(mean[:, 0])
        self.std.copy_(variance.sqrt() + _EPSILON)

    def _choose(self, training: Training, share: Tensor) -> None:
        """Filter the channels in which what the low pass drops is small beside a change."""
        self.filtered.fill_(True)
        _, change = self._moments(training, share, 1, lambda x: x[1:] - x[:-1])
        _, rest = self._moments(training, share, 0, lambda x: x - self.reference(x))
        ratio = (rest / change.clamp_min(_EPSILON**2)).sqrt()
        self.dropped = ratio.tolist()
        if self._most_dropped is not None:
            self.filtered.copy_(ratio <= self._most_dropped)

    def _moments(
        self, training: Training, share: Tensor, overlap: int, of: "Callable[[Tensor], Tensor]"
    ) -> tuple[Tensor, Tensor]:
        """Mean and mean square over the cells that move, per channel, of what `of` makes."""
        total = squares = torch.zeros(1, dtype=torch.float64, device=share.device)
        count = 0
        for states in chain.from_iterable(training.blocks(overlap)):
            values = (self._last(of(states)) * self.moving).double()
            over = list(range(values.ndim - 1))
            weighed = self.weigh(values)
            total, squares = total + weighed.sum(over), squares + (weighed * values).sum(over)
            count += math.prod(values.shape[:-1])
        moved = (count * share).clamp_min(1)
        return total / moved, squares / moved

    def weigh(self, values: Tensor) -> Tensor:
        """Multiply values `(…, *grid, channel)` by the areas of their cells."""
        return values if self.area is None else values * self.area

    def inputs(self, past: Tensor) -> Tensor:
        """Normalise (row, frame, channel, *grid) as (row, *grid, frame x channel)."""
        normal = (past - self._on_grid(self.mean)) / self._on_grid(self.std)
        return normal.flatten(1, 2).movedim(1, -1)

    def residual(self, before: Tensor, after: Tensor) -> Tensor:
        """Normalised change from `before` to `after`, states, as (row, *grid, channel)."""
        return self._last(after - self.reference(before)) / self.change * self.moving

    def apply_residual(self, before: Tensor, residual: Tensor) -> Tensor:
        """Return the state after a normalised change: the inverse of `residual`."""
        change = (residual * self.change * self.moving).movedim(-1, 1)
        reference = self.reference(before)
        if self._passes:
            reference = torch.where(self.moving.movedim(-1, 0), reference, before)
        return reference + change

    def apart(self, state: Tensor, other: Tensor) -> Tensor:
        """How far apart changes from the two states start, in their units: (row, *grid, channel).

        Changes of members are compared as states are: what members were apart before counts too.
        """
        return self._last(self.reference(state) - self.reference(other)) / self.change * self.moving

    def setting(self, before: Tensor) -> Setting:
        """What objectives know of the states (row, channel, *grid) that changes start from."""
        about = self._last(self.reference(before) - self._on_grid(self.mean)) / self.change
        return Setting(about, self.std / self.change, self._periodic, self.area)

    def reference(self, state: Tensor) -> Tensor:
        """U(x) of (row, channel, *grid), never in half precision: states are not normalised."""
        if not self._passes:
            return state
        whole = state
        with torch.autocast(state.device.type, enabled=False):
            for axis in range(len(self._periodic)):
                matrix = self.get_buffer(f"low_pass{axis}")
                state = (state.movedim(2 + axis, -1) @ matrix).movedim(-1, 2 + axis)
        return torch.where(self._on_grid(self.filtered), state, whole)

    def _on_grid(self, channels: Tensor) -> Tensor:
        return channels.view(-1, *[1] * len(self._periodic))

    @staticmethod
    def _last(state: Tensor) -> Tensor:
        return state.movedim(1, -1)


def low_pass(dim: Dimension, kept: float) -> Tensor:
    """Symmetric (n, n) matrix that keeps the lowest share `kept` of the wavenumbers along a dim.

    Fourier modes along a periodic dim, cosines (DCT-II: no slope at the walls) along another. The
    mean is always kept.
    """
    places = torch.arange(dim.size, dtype=torch.float64)
    if dim.periodic:
        highest = math.floor(kept * (dim.size // 2))
        phases = 2 * math.pi / dim.size * torch.outer(torch.arange(highest + 1), places)
        modes = torch.cat([phases.cos(), phases.sin()[1:]])
        if 2 * highest == dim.size:
            modes = modes[:-1]
    else:
        highest = max(1, math.floor(kept * dim.size))
        modes = (math.pi / dim.size * torch.outer(torch.arange(highest), places + 0.5)).cos()
    modes = modes / modes.norm(dim=1, keepdim=True)
    projection: Tensor = modes.T @ modes
    return projection.float()
