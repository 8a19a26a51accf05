"""Distances on a grid, the taper that lets far observations fade, and who is near to whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from geobench import Dimension, Network, StateSpec

NEGLIGIBLE = 1e-3  # observations with less weight are left out
SUPPORT = (10 / 3) ** 0.5  # half the support of the taper, in radii
BLOCK = 2**22  # distances that are held at once


def coordinates(cells: Tensor, dims: "Sequence[Dimension]") -> Tensor:
    """Indices along each dim `(cell, dim)` of flat (C order) indices `(cell,)`."""
    places = torch.unravel_index(cells, [dim.size for dim in dims])
    return torch.stack(places, -1)


def distances(cells: Tensor, others: Tensor, dims: "Sequence[Dimension]") -> Tensor:
    """Distances `(cell, other)` between cells given by flat index, in grid cells.

    The shorter way around along periodic dims. Staggering is left out of account.
    """
    away = (coordinates(cells, dims)[:, None] - coordinates(others, dims)).abs()
    for axis, dim in enumerate(dims):
        if dim.periodic:
            away[..., axis] = torch.minimum(away[..., axis], dim.size - away[..., axis])
    return away.double().square().sum(-1).sqrt()


def gaspari_cohn(distance: Tensor, radius: float) -> Tensor:
    """Taper from 1 to 0, Gaspari and Cohn (1999, doi:10.1002/qj.49712555417), equation 4.10.

    Near to exp(-d² / 2 radius²), and exactly 0 from d = 2 sqrt(10/3) radius = 3.65 radius on.
    """
    z = distance / (SUPPORT * radius)
    near = 1 + z**2 * (-(z**3) / 4 + z**2 / 2 + 5 / 8 * z - 5 / 3)
    far = z**2 * (z**3 / 12 - z**2 / 2 + 5 / 8 * z + 5 / 3) - 5 * z + 4 - 2 / (3 * z.clamp(min=1))
    return torch.where(z <= 1, near, torch.where(z < 2, far, 0)).clamp(min=0)


@dataclass(frozen=True)
class Neighbours:
    """The observations that reach each cell: which ones `(cell, k)`, how strongly `(cell, k)`.

    k is the greatest number that reaches one cell; those that reach others less often are filled
    with strength 0.
    """

    which: Tensor
    strength: Tensor

    @classmethod
    def near(
        cls, cells: Tensor, network: "Network", spec: "StateSpec", radius: float | None
    ) -> "Neighbours":
        """Observations by their taper around `cells` (flat indices); radius None reaches all."""
        seen = network.places.cpu() % spec.sea.size
        parts = []
        for some in torch.split(cells, max(1, BLOCK // max(1, len(seen)))):
            away = distances(some, seen, spec.dims)
            taper = torch.ones_like(away) if radius is None else gaspari_cohn(away, radius)
            taper[taper <= NEGLIGIBLE] = 0
            reach = int((taper > 0).sum(1).max())
            parts.append(taper.topk(reach, dim=1))
        width = max(part.values.shape[1] for part in parts)
        wide = [
            [torch.nn.functional.pad(tensor, (0, width - tensor.shape[1])) for tensor in part]
            for part in parts
        ]
        strength, which = (torch.cat([part[k] for part in wide]) for k in range(2))
        return cls(which, strength)
