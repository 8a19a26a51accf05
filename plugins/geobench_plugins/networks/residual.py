"""Normalised states in, normalised residuals out: the scaling that every learned model shares."""

import torch
from torch import Tensor, nn

from geobench import GeobenchError, StateSpec, Training
from geobench_plugins.networks.objectives import Start

_EPSILON = 1e-12  # far below any standard deviation: a larger one rescales quiet variables


class Scaling(nn.Module):
    """Means and standard deviations over the train split, per channel.

    `change` is the standard deviation of one step's change, so that the residual
    (x_{t+1} - x_t) / change has variance one.
    """

    mean: Tensor
    std: Tensor
    change: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("mean", "std", "change"):
            self.register_buffer(name, torch.ones(channels))

    def learn(self, training: Training) -> None:
        """Measure the train split."""
        over = [axis for axis in range(training.train.ndim) if axis != 2]
        states = training.train.double()
        self.mean.copy_(states.mean(over))
        self.std.copy_(states.std(over) + _EPSILON)
        self.change.copy_((states[:, 1:] - states[:, :-1]).std(over) + _EPSILON)

    def sites(self, states: Tensor) -> Tensor:
        """Normalise (row, frame, channel, site) and lay it out as (row, site, frame x channel)."""
        normal = (states - self.mean[:, None]) / self.std[:, None]
        return normal.flatten(1, 2).transpose(1, 2)

    def residual(self, before: Tensor, after: Tensor) -> Tensor:
        """Normalised change from `before` to `after`, as (row, site, channel)."""
        return ((after - before) / self.change[:, None]).transpose(1, 2)

    def start(self, states: Tensor) -> Start:
        """The states (row, channel, site) that residuals start from, in the units of these."""
        about = (states - self.mean[:, None]) / self.change[:, None]
        return Start(about.transpose(1, 2), self.std / self.change)

    def apply_residual(self, before: Tensor, residual: Tensor) -> Tensor:
        """Return the state after a normalised change: the inverse of `residual`."""
        return before + residual.transpose(1, 2) * self.change[:, None]


def check_ring(spec: StateSpec) -> None:
    """Raise `GeobenchError` unless the grid is one periodic dim, as the ring network needs."""
    if len(spec.dims) != 1 or not spec.dims[0].periodic:
        raise GeobenchError(
            f"its network works on one periodic dim, and the state's grid is "
            f"({', '.join(spec.grid_dims)}). Use an experiment on a ring."
        )
