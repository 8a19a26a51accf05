"""Every n-th cell of a grid, with linear interpolation between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from geobench import Dimension


@dataclass(frozen=True)
class CoarseGrid:
    """The chosen `cells` (flat indices), and for every cell the corners around it.

    `corners` `(cell, 2^dims)` index `cells`; `shares` say how much each counts.
    """

    cells: Tensor
    corners: Tensor
    shares: Tensor

    @classmethod
    def of(cls, dims: "Sequence[Dimension]", step: int) -> "CoarseGrid":
        """Choose every `step`-th cell along each dim, and the last one along a closed dim."""
        cells = corners = torch.zeros(1, 1, dtype=torch.int64)
        shares = torch.ones(1, 1, dtype=torch.float64)
        for dim in dims:
            chosen, ends, share = _along(dim, step)
            cells = (cells.view(-1, 1) * dim.size + chosen).view(-1, 1)
            pair = corners[:, None, :, None] * len(chosen) + ends[:, None, :]
            corners = pair.flatten(2).flatten(0, 1)
            shares = (shares[:, None, :, None] * share[:, None, :]).flatten(2).flatten(0, 1)
        return cls(cells[:, 0], corners, shares)

    def interpolate(self, values: Tensor, block: slice) -> Tensor:
        """Bring `(row, chosen cell, …)` to the cells of `block`."""
        corners, shares = self.corners[block], self.shares[block]
        here = torch.arange(len(corners)).repeat_interleave(corners.shape[1])
        # Sparse: gathering the corners moves the values four times in two dims.
        matrix = torch.sparse_coo_tensor(
            torch.stack([here, corners.flatten()]),
            shares.flatten().to(values.dtype),
            (len(corners), len(self.cells)),
            check_invariants=True,
        ).to(values.device)
        rows = [torch.sparse.mm(matrix, row.flatten(1)) for row in values]
        return torch.stack(rows).view(len(rows), len(corners), *values.shape[2:])


def _along(dim: "Dimension", step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Chosen indices along one dim; for every index both ends around it, and their shares."""
    every = torch.arange(dim.size)
    chosen = every[::step]
    if not dim.periodic and chosen[-1] != dim.size - 1:
        chosen = torch.cat([chosen, every[-1:]])
    ends = torch.cat([chosen, torch.tensor([dim.size])])
    below = torch.searchsorted(ends, every, right=True) - 1
    share = (every - ends[below]).double() / (ends[below + 1] - ends[below])
    return (
        chosen,
        torch.stack([below, (below + 1) % len(chosen)], 1),
        torch.stack([1 - share, share], 1),
    )
