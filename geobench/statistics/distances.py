"""Mean distances between draws: cell by cell, of means over patches, of whole states, along a line.

Half a mean distance within draws is the score of their law in expectation, and twice that between
two sets, less those within both, is their energy distance (Székely and Rizzo, 2013).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from geobench.contracts.state import by_area


@dataclass(frozen=True)
class View:
    """What scores look at: the cells at sea, patches of them, and one direction.

    `weights` `(*grid)` are the areas of sea cells over their mean, 0 on land; None: all alike.
    """

    sea: Tensor
    weights: Tensor | None
    direction: Tensor

    def distances(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Mean distance between members `x` and `y`, or within `x`, in each view: `(view,)`."""
        cells = self.sea.flatten().repeat(x.shape[1])
        every = [x] if y is None else [x, y]
        flat = [members.flatten(1)[:, cells] for members in every]
        roots = [by_root(members, self.weights).flatten(1)[:, cells] for members in every]
        pools = [pooled(members, self.sea, self.weights) for members in every]
        along = [self._along(members) for members in every]
        of_cells, of_patches = self._areas(x.shape[1])
        return torch.stack(
            [
                _marginal(flat, of_cells),
                _joint(roots),
                _marginal(pools, of_patches),
                _marginal(along),
            ]
        )

    def _areas(self, channels: int) -> tuple[Tensor | None, Tensor | None]:
        """Areas of the cells and of the patches of all channels, over their means."""
        if self.weights is None:
            return None, None
        cells = self.weights[self.sea]
        patches = _patches(self.weights[None, None], _side(self.sea)).flatten()
        patches = patches[patches > 0]
        return cells.repeat(channels), (patches / patches.mean()).repeat(channels)

    def _along(self, x: Tensor) -> Tensor:
        return (by_root(x, self.weights).flatten(1) @ self.direction)[:, None]


def by_root(x: Tensor, weights: Tensor | None) -> Tensor:
    """States times the roots of the weights: squares of differences are then weighed."""
    return x if weights is None else x * weights.sqrt()


def _joint(sets: list[Tensor]) -> Tensor:
    """Mean Euclidean distance of pairs of rows of `(member, number)`, per root of a number.

    Pairs are of both sets, or of two members of the only one.
    """
    x, y = sets[0], sets[-1]
    far = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    pairs = len(x) * (len(x) - 1) if len(sets) == 1 else far.numel()
    mean: Tensor = far.sum() / (pairs * x.shape[1] ** 0.5)
    return mean


def _marginal(sets: list[Tensor], areas: Tensor | None = None) -> Tensor:
    """Mean |x - y| over pairs as of `_joint`, averaged over the numbers, by area."""
    x, y = sets[0], sets[-1]
    if len(sets) == 1:
        return by_area(pair_sum(x, 0) / (len(x) * (len(x) - 1) / 2), areas).mean()
    cross = pair_sum(torch.cat([x, y]), 0) - pair_sum(x, 0) - pair_sum(y, 0)
    return by_area(cross / (len(x) * len(y)), areas).mean()


def pair_sum(x: Tensor, dim: int) -> Tensor:
    """Sum of |x_j - x_k| over pairs j < k along `dim`, by sorting."""
    count = x.shape[dim]
    order = 2.0 * torch.arange(1, count + 1, device=x.device) - count - 1
    return (x.sort(dim).values * order.view(-1, *[1] * (x.ndim - 1 - dim))).sum(dim)


def pooled(x: Tensor, sea: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average over patches of 5 cells in one dim, 4 x 4 in two: `(member, patch)`.

    Patches do not overlap; those at the end of a dim, and at a coast, may hold fewer cells.
    """
    side = _side(sea)
    weights = sea.double() if weights is None else weights
    sums, total = _patches(x * weights, side), _patches(weights[None, None], side)
    averages = sums / torch.where(total > 0, total, 1)
    return averages.flatten(2)[:, :, (total > 0).flatten()].flatten(1)


def _side(sea: Tensor) -> int:
    return 5 if sea.ndim == 1 else 4


def _patches(x: Tensor, side: int) -> Tensor:
    """Sums of `(member, channel, *grid)` over patches."""
    for dim in range(2, x.ndim):
        after = [0, 0] * (x.ndim - 1 - dim) + [0, -x.shape[dim] % side]
        padded = pad(x, after)
        shape = (*padded.shape[:dim], -1, side, *padded.shape[dim + 1 :])
        x = padded.reshape(shape).sum(dim + 1)
    return x
