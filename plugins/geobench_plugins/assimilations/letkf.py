"""The local ensemble transform Kalman filter."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Assimilation, Filter, Network, StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise

BLOCK = 2**23  # float64 numbers of one intermediate result


class LETKF(Assimilation):
    """Local ensemble transform Kalman filter: an ETKF at every cell, of the observations around it.

    Around each cell R^-1 is multiplied by a Gaspari-Cohn taper of the distance: about
    exp(-d² / 2 radius²), 0 beyond 3.65 `radius`; below 1e-3 an observation is left out. Distances
    are in grid cells, along periodic dims the shorter way. All channels of a cell share weights.
    Anomalies are inflated where an observation reaches, and rotated everywhere by one matrix;
    land stays as it is. DAPPER's `loc_rad` is the same radius.

    With `step` > 1 the weights are computed at every n-th cell along each dim and interpolated
    linearly (Yang et al., 2009, doi:10.1002/qj.353): n times fewer analyses in each dim. Keep it
    below the radius. `relaxation` a draws the spread back to the forecast's: after inflation, the
    anomalies of each number are multiplied by 1 + a (σ_f - σ_a) / σ_a (Whitaker and Hamill, 2012,
    doi:10.1175/MWR-D-11-00276.1).

    Hunt, Kostelich and Szunyogh (2007, doi:10.1016/j.physd.2006.11.008).
    """

    name = "letkf"

    members: int = Field(7, ge=2, description="states it carries for each experiment")
    radius: float | None = Field(
        4.0, gt=0, description="of the localisation, grid cells; null: none"
    )
    inflation: float = Field(1.04, gt=0, description="factor on the anomalies of each analysis")
    rotation: bool = Field(True, description="rotate the anomalies of each analysis at random")
    relaxation: float = Field(0.0, ge=0, le=1, description="share of the lost spread given back")
    step: int = Field(1, gt=0, description="cells between two local analyses along each dim")
    single: bool = Field(
        False,
        description="float32: faster, for observations not far better than forecasts",
    )

    def filter(self, network: Network, spec: StateSpec, climate: "Tensor") -> Filter:
        """Find the observations around each cell."""
        return _LETKF(self, network, spec)


class _LETKF(Filter):
    def __init__(self, recipe: LETKF, network: Network, spec: StateSpec) -> None:
        import torch

        from geobench_plugins.assimilations.coarse_grid import CoarseGrid
        from geobench_plugins.assimilations.localisation import Neighbours

        self.recipe, self.network = recipe, network
        self.cells, self.channels = spec.sea.size, len(spec.variables)
        self.sea = torch.from_numpy(spec.sea.ravel())
        self.coarse = CoarseGrid.of(spec.dims, recipe.step)
        self.near = Neighbours.near(self.coarse.cells, network, spec, recipe.radius)

    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        import torch

        from geobench_plugins.assimilations.ensemble_space import centred, normalised, rotation

        dtype = torch.float32 if self.recipe.single else torch.float64
        mean, anomalies = centred(forecast, self.recipe.name, dtype)
        members = forecast.shape[1]
        scaled, innovations = normalised(self.network, mean, anomalies, observed)
        turn = rotation(noise, members).to(mean) if self.recipe.rotation else None
        result = []
        for rows in self._blocks(len(forecast), len(self.coarse.cells), members):
            # (row, cell, channel, member): what one local analysis needs lies together.
            local = anomalies[rows].view(-1, members, self.channels, self.cells).permute(0, 3, 2, 1)
            shift, moved = self._local(local, scaled[rows], innovations[rows])
            if turn is not None:
                moved = moved @ turn[rows, None].mT
            change = (shift[..., None] + moved).permute(0, 3, 2, 1).flatten(2)
            result.append(mean[rows] + change)
        analysis = torch.cat(result).to(forecast.dtype).view_as(forecast)
        sea = self.sea.to(forecast.device).view(forecast.shape[3:])
        return torch.where(sea, analysis, forecast)

    def _blocks(self, count: int, others: int, members: int) -> Iterator[slice]:
        """Cut `count` into slices, each times `others` small enough to be held at once."""
        width = members * max(members, self.near.which.shape[1])
        size = max(1, BLOCK // (others * width))
        return (slice(first, first + size) for first in range(0, count, size))

    def _local(
        self, anomalies: "Tensor", scaled: "Tensor", innovations: "Tensor"
    ) -> "tuple[Tensor, Tensor]":
        """Increments `(row, cell, channel)` and new anomalies `(row, cell, channel, member)`."""
        import torch

        members = anomalies.shape[-1]
        whole = None
        if self.recipe.step > 1:
            blocks = self._blocks(len(self.coarse.cells), len(anomalies), members)
            parts = [self._weights(scaled, innovations, block) for block in blocks]
            whole = tuple(torch.cat(part, 1) for part in zip(*parts, strict=True))
        shifts, moved = [], []
        for block in self._blocks(self.cells, len(anomalies), members):
            if whole is None:
                weights, root = self._weights(scaled, innovations, block)
            else:
                weights, root = (self.coarse.interpolate(transform, block) for transform in whole)
            local = anomalies[:, block]
            shifts.append((local @ weights)[..., 0])
            moved.append(self._relaxed(local, local @ root))
        return torch.cat(shifts, 1), torch.cat(moved, 1)

    def _weights(
        self, scaled: "Tensor", innovations: "Tensor", block: slice
    ) -> "tuple[Tensor, Tensor]":
        """Weights `(row, cell, member, 1)` and transforms `(row, cell, member, member)`."""
        from geobench_plugins.assimilations.ensemble_space import Posterior

        which = self.near.which[block].to(scaled.device)
        strength = self.near.strength[block].to(scaled)
        root = strength.sqrt()
        local = scaled.mT[:, which].mT * root[:, None]
        posterior = Posterior(local)
        weights = posterior.weights((innovations[:, 0][:, which] * root)[..., None])
        reached = (strength > 0).any(1).to(root)[:, None, None]
        inflation = 1 + (self.recipe.inflation - 1) * reached
        return weights / (scaled.shape[1] - 1) ** 0.5, inflation * posterior.root()

    def _relaxed(self, before: "Tensor", after: "Tensor") -> "Tensor":
        if not self.recipe.relaxation:
            return after
        was, now = (
            anomalies.square().sum(-1, keepdim=True).sqrt() for anomalies in (before, after)
        )
        return after * (1 + self.recipe.relaxation * (was - now) / now.clamp(min=1e-30))
