"""A normal law whose covariance a network gives: diagonal, global factors and local ones."""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from geobench import Batch, Dimension, Noise, Optimisation, StateSpec, Training
from geobench_plugins.networks.conditioned import Conditioned
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.residual import Scaling

if TYPE_CHECKING:
    from geobench_plugins.networks.backbones import Backbone

_FLOOR = 0.01  # least standard deviation of the diagonal part: keeps single precision sound


class LowRankNormal(NamedTuple):
    """N(mean, diag(std²) + V Vᵀ) for each row: mean and std (row, number), V (row, number, factor).

    By Woodbury's identity only the capacitance C = I + Wᵀ W, W = V / std, is factorised.
    """

    mean: Tensor
    std: Tensor
    factors: Tensor

    def negative_log_likelihood(self, x: Tensor) -> Tensor:
        """-log p(x), (row, number) to (row,), in single precision with C in double.

        The square is |z - W a|² + |a|² with a = C⁻¹ Wᵀ z, z = (x - mean) / std: a sum, where the
        usual |z|² - zᵀ W a cancels.
        """
        with torch.autocast(x.device.type, enabled=False):
            z = (x - self.mean) / self.std
            whitened = self.factors / self.std[..., None]
            inner = (whitened.mT @ whitened).double()
            capacitance = inner + torch.eye(inner.shape[-1], dtype=inner.dtype, device=x.device)
            root, failed = torch.linalg.cholesky_ex(capacitance)
            # Loud, in the loss: it is told there that the training diverged.
            root = root.masked_fill((failed > 0)[:, None, None], torch.nan)
            a = torch.cholesky_solve((whitened.mT @ z[..., None]).double(), root).to(x.dtype)
            rest = z - (whitened @ a)[..., 0]
            square = rest.square().sum(-1) + a.square().sum((-2, -1))
            halves = root.diagonal(dim1=-2, dim2=-1).log().sum(-1).to(x.dtype)
            logs = self.std.log().sum(-1) + halves
        loss: Tensor = 0.5 * square + logs + 0.5 * math.log(2 * math.pi) * x.shape[-1]
        return loss

    def draw(self, noise: Noise) -> Tensor:
        """Draw (row, number), one for each row of `noise`."""
        dtype = self.mean.dtype
        diagonal = noise.use("diagonal").normal(self.mean.shape[-1], dtype=dtype)
        common = noise.use("factors").normal(self.factors.shape[-1], dtype=dtype)
        return self.mean + self.std * diagonal + (self.factors @ common[..., None])[..., 0]


class Bumps(nn.Module):
    """Smooth bumps around centres on the grid: where local factors act.

    Along a dim, centres are `spacing` cells apart, or less: those of a periodic dim divide it, and
    those between walls stand on both. A bump is cos(π d / (2 reach)) at distances d < reach cells
    (a reach that is less in proportion).
    At each cell the squares of the bumps sum to one, so factors of equal size give equal variance
    everywhere. The centres near a cell are its slots: values of each slot, and so of each
    direction, are the network's.
    """

    weights: Tensor
    places: Tensor

    def __init__(self, spec: StateSpec, spacing: int, reach: int) -> None:
        super().__init__()
        tables = [_bumps(dim, spacing, reach) for dim in spec.dims]
        weights, places = torch.ones(1), torch.zeros(1, dtype=torch.long)
        self.centres = 1
        # (*grid so far, slot), times (cell, slot) of the next
        for dim_weights, which, count in tables:
            weights = (weights[..., None, :, None] * dim_weights[:, None]).flatten(-2)
            places = (places[..., None, :, None] * count + which[:, None]).flatten(-2)
            self.centres *= count
        self.slots = weights.shape[-1]
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("places", places, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(row, *grid, channel, slot, local) to factors (row, *grid, channel, centre x local)."""
        weighted = values * self.weights[..., None, :, None]
        places = self.places[..., None, :, None].expand_as(values)
        shape = (*values.shape[:-2], self.centres, values.shape[-1])
        return values.new_zeros(shape).scatter_add(-2, places, weighted).flatten(-2)


def _bumps(dim: Dimension, spacing: int, reach: int) -> tuple[Tensor, Tensor, int]:
    """Weights and centres of the slots of each cell (cell, slot), and the number of centres."""
    cells = torch.arange(dim.size, dtype=torch.float64)
    if dim.periodic:
        count = math.ceil(dim.size / spacing)
        gap = dim.size / count
    else:
        count = math.ceil((dim.size - 1) / spacing) + 1
        gap = (dim.size - 1) / max(1, count - 1) or 1.0
    ends = reach * gap / spacing
    home = (cells / gap + 1e-9).floor().long()[:, None]
    most = math.ceil(ends / gap) + 1
    which = home + torch.arange(-most, most + 1)
    distance = (cells[:, None] - which.double() * gap).abs()
    weights = (distance * (math.pi / (2 * ends))).cos() * (distance < ends - 1e-9)
    if not dim.periodic:
        weights = weights * ((which >= 0) & (which < count))
    used = (weights > 0).any(0)
    weights = weights[:, used] / weights.norm(dim=1, keepdim=True)
    return weights.float(), (which % count)[:, used], count


class DiagonalChange(nn.Module):
    """Past states (row, frame, channel, *grid) in, mean and std of the normalised change out.

    Both are (row, number): the numbers of the grid, channels last. Cells that never change (walls,
    land) have mean 0 and standard deviation 1, and no score looks at them.
    """

    def __init__(self, spec: StateSpec, frames: int, backbone: "Backbone | None") -> None:
        super().__init__()
        channels = len(spec.variables)
        self.scaling = Scaling(spec)
        self.inner = Conditioned(
            spec,
            backbone,
            Conditioning(noise="none"),
            inputs=frames * channels,
            outputs=2 * channels,
        )

    def forward(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of what `Scaling.residual` gives, flattened."""
        output = self.inner(self.scaling.inputs(past)).float()
        mean, log_std = output.unflatten(-1, (-1, 2)).unbind(-1)
        moving = self.scaling.moving
        std = torch.where(moving, _FLOOR + log_std.exp(), 1.0)
        return (mean * moving).flatten(1), std.flatten(1)


class Factors(nn.Module):
    """Normalised past states in, factors and a correction of the standard deviations out.

    Factors are (row, number, factor), first the global ones, then those around each centre; the
    correction (row, number) multiplies the standard deviation of the diagonal part. Both start
    near nothing: no factors, a correction of 1.
    """

    def __init__(
        self,
        spec: StateSpec,
        frames: int,
        *,
        backbone: "Backbone | None",
        rank: int,
        local: int,
        spacing: int,
        reach: int,
    ) -> None:
        super().__init__()
        self._channels, self._rank, self._local = len(spec.variables), rank, local
        self.bumps = Bumps(spec, spacing, reach)
        numbers = 1 + rank + local * self.bumps.slots
        self.inner = Conditioned(
            spec,
            backbone,
            Conditioning(noise="none"),
            inputs=frames * self._channels,
            outputs=self._channels * numbers,
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the correction and the factors of each row."""
        output = self.inner(inputs).float()
        output = output.view(*output.shape[:-1], self._channels, -1)
        near = output.shape[-1] - 1 - self._rank
        log_correction, common, near = output.split((1, self._rank, near), -1)
        near = near.view(*near.shape[:-1], self.bumps.slots, self._local)
        factors = torch.cat([common, self.bumps(near)], -1)
        return log_correction[..., 0].exp().flatten(1), factors.flatten(1, -2)


class NormalChange(nn.Module):
    """Past states (row, frame, channel, *grid) in, the law of the normalised change out.

    One network gives mean and standard deviations. Another gives the factors; without it the
    covariance is diagonal. Nothing that the second learns can change the mean.
    """

    def __init__(self, diagonal: DiagonalChange, factors: Factors | None) -> None:
        super().__init__()
        self.diagonal = diagonal
        self.factors = factors

    @property
    def scaling(self) -> Scaling:
        """Of states and changes."""
        return self.diagonal.scaling

    def forward(self, past: Tensor) -> LowRankNormal:
        """Return the law of what `Scaling.residual` gives, flattened, of each row."""
        mean, std = self.diagonal(past)
        if self.factors is None:
            return LowRankNormal(mean, std, std.new_empty(*std.shape, 0))
        correction, factors = self.factors(self.scaling.inputs(past))
        moving = self.scaling.moving.flatten()
        wide = torch.where(moving, std * correction, 1.0)
        return LowRankNormal(mean, wide, factors * moving[:, None])


class LikelihoodLoss(nn.Module):
    """Minus the mean log likelihood of the next state, for each number that changes at all.

    Cells count alike, whatever their areas: a likelihood is of the whole state, not a mean over
    cells.
    """

    def __init__(
        self, network: NormalChange, training: Training, how: Optimisation, *, frames: int
    ) -> None:
        super().__init__()
        self.network = network
        self._training = training
        self._rows = how.rows
        self._frames = frames

    def forward(self, batch: Batch) -> Tensor:
        """Mean over random windows of the train split."""
        states = self._training.windows(batch.noise(self._rows), self._frames)
        scaling, before = self.network.scaling, states[:, self._frames - 1]
        change = scaling.residual(before, states[:, self._frames]).flatten(1)
        law: LowRankNormal = self.network(states[:, : self._frames])
        moving = scaling.moving.sum()
        known = (change.shape[1] - moving) * 0.5 * math.log(2 * math.pi)
        return (law.negative_log_likelihood(change).mean() - known) / moving
