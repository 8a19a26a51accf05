"""Distances and variograms of `kernels.fields` in torch, for accelerators."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geobench_plugins.kernels.fields import Array, Numbers

_SLAB = 2**24  # numbers at once


def distances(
    members: Numbers, outcome: Numbers, weights: Array, device: str
) -> tuple[Array, Array]:
    """As `kernels.fields.distances`, on `device`, in double precision."""
    cells = np.nonzero(weights)[0]
    own = torch.from_numpy(weights[cells].astype(np.float64)).to(device)
    count = members.shape[1]
    between = count * (count - 1)
    error, spread = [], []
    block = max(1, _SLAB // max(1, count * len(cells)))
    for first in range(0, len(members), block):
        x, y = (
            _moved(each[first : first + block][..., cells], device) for each in (members, outcome)
        )
        away = (x - y[:, None]) * own
        error.append(away.square().sum(-1).sqrt().mean(1))
        pairs = torch.cdist(away, away, compute_mode="donot_use_mm_for_euclid_dist")
        spread.append(pairs.sum((1, 2)) / (2 * between if between else torch.nan))
    return _valid(torch.cat(error), torch.cat(spread))


def variogram(
    members: Numbers,
    outcome: Numbers,
    pairs: npt.NDArray[np.int64],
    weights: Array,
    power: float,
    device: str,
) -> tuple[Array, Array]:
    """As `kernels.fields.variogram`, on `device`, in double precision."""
    count = members.shape[1]
    one, two = torch.from_numpy(pairs.T.copy()).to(device)
    own = torch.from_numpy(weights.astype(np.float64)).to(device)
    plain, fair = [], []
    block = max(1, _SLAB // max(1, count * len(pairs)))
    for first in range(0, len(members), block):
        x, y = (_moved(each[first : first + block], device) for each in (members, outcome))
        drawn, seen = ((each[..., one] - each[..., two]).abs() ** power for each in (x, y))
        away = drawn - seen[:, None]
        square = away.mean(1).square()
        variance = away.var(1, correction=1) if count > 1 else square * torch.nan
        plain.append(square @ own)
        fair.append((square - variance / count) @ own)
    return _valid(torch.cat(plain), torch.cat(fair))


def _moved(values: Numbers, device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device).double()


def _valid(one: Tensor, other: Tensor) -> tuple[Array, Array]:
    """Both NaN where either is not finite; of a single member the second one is NaN anyway."""
    finite = one.isfinite()
    found = [each.where(finite, torch.nan).cpu().numpy() for each in (one, other)]
    return found[0], found[1]
