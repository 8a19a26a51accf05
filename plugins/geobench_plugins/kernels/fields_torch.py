"""Energy and variogram scores of `kernels.fields` in torch, for accelerators."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geobench_plugins.kernels.fields import Array, Numbers

_SLAB = 2**24  # numbers at once


def energy_score(members: Numbers, outcome: Numbers, weights: Array, device: str) -> Array:
    """As `kernels.fields.energy_score`, on `device`, in double precision.

    In the form whose parts do not cancel: the mean over pairs of |x_j| + |x_k| - |x_j - x_k|, which
    is 2 (|x_j| |x_k| + x_j · x_k) / (|x_j| + |x_k| + |x_j - x_k|), fields less the outcome.
    """
    cells = np.nonzero(weights)[0]
    cell_weights = torch.from_numpy(weights[cells].astype(np.float64)).to(device)
    count = members.shape[1]
    scores = []
    block = max(1, _SLAB // max(1, count * len(cells)))
    for first in range(0, len(members), block):
        x, y = (
            _moved(array[first : first + block][..., cells], device) for array in (members, outcome)
        )
        away = (x - y[:, None]) * cell_weights
        norms = away.square().sum(-1).sqrt()
        if count == 1:
            scores.append(norms[:, 0])
            continue
        one, other = norms[:, :, None], norms[:, None]
        between = torch.cdist(away, away, compute_mode="donot_use_mm_for_euclid_dist")
        sides = one + other + between
        pairs = 2 * (one * other + away @ away.mT) / sides.where(sides != 0, 1.0)
        pairs.diagonal(dim1=1, dim2=2).zero_()
        failed = torch.zeros_like(norms[:, 0]).where(norms.isfinite().all(1), torch.nan)
        scores.append(pairs.sum((1, 2)) / (2 * count * (count - 1)) + failed)
    return _valid(torch.cat(scores))


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
    pair_weights = torch.from_numpy(weights.astype(np.float64)).to(device)
    plain, fair = [], []
    block = max(1, _SLAB // max(1, count * len(pairs)))
    for first in range(0, len(members), block):
        x, y = (_moved(array[first : first + block], device) for array in (members, outcome))
        drawn, seen = ((field[..., one] - field[..., two]).abs() ** power for field in (x, y))
        away = drawn - seen[:, None]
        plain.append(away.mean(1).square() @ pair_weights)
        if count == 1:
            fair.append(plain[-1])
            continue
        # The mean over pairs of members, each times the sum of those before: nothing cancels.
        before = torch.nn.functional.pad(away.cumsum(1)[:, :-1], (0, 0, 1, 0))
        fair.append((away * before).sum(1) @ pair_weights * (2 / (count * (count - 1))))
    return _valid(torch.cat(plain)), _valid(torch.cat(fair))


def _moved(values: Numbers, device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device).double()


def _valid(values: Tensor) -> Array:
    array: Array = values.where(values.isfinite(), torch.nan).cpu().numpy()
    return array
