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
        found: Tensor = 0.5 * square + logs + 0.5 * math.log(2 * math.pi) * x.shape[-1]
        return found

    def draw(self, noise: Noise) -> Tensor:
        """Draw (row, number), one for each row of `noise`."""
        dtype = self.mean.dtype
        own = noise.use("diagonal").normal(self.mean.shape[-1], dtype=dtype)
        common = noise.use("factors").normal(self.factors.shape[-1], dtype=dtype)
        return self.mean + self.std * own + (self.factors @ common[..., None])[..., 0]


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
        for own, which, count in tables:  # (*grid so far, slot), times (cell, slot) of the next
            weights = (weights[..., None, :, None] * own[:, None]).flatten(-2)
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


class NormalChange(nn.Module):
    """Past states (row, frame, channel, *grid) in, the law of the normalised change out.

    Its numbers are the grid's, channels last. Cells that never change (walls, land) have a law of
    their own, N(0, 1), that nobody looks at.
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
        self._channels = len(spec.variables)
        self._split = (1, 1, rank)
        self._local = local
        self.scaling = Scaling(spec)
        self.bumps = Bumps(spec, spacing, reach)
        each = 2 + rank + local * self.bumps.slots
        self.inner = Conditioned(
            spec,
            backbone,
            Conditioning(noise="none"),
            inputs=frames * self._channels,
            outputs=self._channels * each,
        )

    def forward(self, past: Tensor) -> LowRankNormal:
        """Return the law of what `Scaling.residual` gives, flattened, of each row."""
        found = self.inner(self.scaling.inputs(past)).float()
        found = found.view(*found.shape[:-1], self._channels, -1)
        mean, log_std, common, near = found.split(
            (*self._split, found.shape[-1] - sum(self._split)), -1
        )
        near = near.view(*near.shape[:-1], self.bumps.slots, self._local)
        moving = self.scaling.moving[..., None]
        factors = torch.cat([common, self.bumps(near)], -1) * moving
        std = torch.where(moving, _FLOOR + log_std.exp(), 1.0)
        return LowRankNormal((mean * moving).flatten(1), std.flatten(1), factors.flatten(1, -2))


class LikelihoodLoss(nn.Module):
    """Minus the mean log likelihood of the next state, for each number that changes at all.

    In the first share `diagonal` of the budget the factors are left out: they would explain what
    the mean has not learned yet, and it would learn slowly. Cells count alike, whatever their
    areas: a likelihood is of the whole state, not a mean over cells.
    """

    def __init__(
        self,
        network: NormalChange,
        training: Training,
        how: Optimisation,
        *,
        frames: int,
        diagonal: float,
    ) -> None:
        super().__init__()
        self.network = network
        self._training = training
        self._rows = how.rows
        self._frames = frames
        self._diagonal = diagonal

    def forward(self, batch: Batch) -> Tensor:
        """Mean over random windows of the train split."""
        states = self._training.windows(batch.noise(self._rows), self._frames)
        scaling, before = self.network.scaling, states[:, self._frames - 1]
        change = scaling.residual(before, states[:, self._frames]).flatten(1)
        law: LowRankNormal = self.network(states[:, : self._frames])
        if batch.done < self._diagonal:
            law = law._replace(factors=law.factors[..., :0])
        moving = scaling.moving.sum()
        known = (change.shape[1] - moving) * 0.5 * math.log(2 * math.pi)
        return (law.negative_log_likelihood(change).mean() - known) / moving
