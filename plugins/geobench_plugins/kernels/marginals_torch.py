"""The marginals of `kernels.marginals` in torch, for accelerators: the same numbers."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geobench_plugins.kernels.marginals import Array, Marginals, Numbers

_SLAB = 2**25  # values of members at once


def marginals(
    members: Numbers,
    outcome: Numbers,
    weights: Array,
    thresholds: Numbers,
    keys: npt.NDArray[np.int64],
    device: str,
) -> Marginals:
    """Summarise cases on `device`: arguments and results as of `kernels.marginals.marginals`."""
    cells = np.nonzero((weights > 0).any(0))[0]
    own = torch.from_numpy(weights[:, cells].astype(np.float64)).to(device)
    own = own / own.sum(1, keepdim=True).clamp(min=1e-300)
    limits = torch.from_numpy(thresholds[:, cells].astype(members.dtype)).to(device)
    places = torch.from_numpy(cells).to(device)
    block = max(1, _SLAB // max(1, members.shape[1] * len(cells)))
    parts = []
    for first in range(0, len(members), block):
        cases = slice(first, first + block)
        x, y = (
            torch.from_numpy(np.ascontiguousarray(each[cases][..., cells])).to(device)
            for each in (members, outcome)
        )
        parts.append(_slab(x, y, own, limits, torch.from_numpy(keys[cases]).to(device), places))
    found = [torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True)]
    for each in found:
        each[:, weights.sum(1) == 0] = np.nan
    return Marginals(*found)


def _slab(
    x: Tensor, y: Tensor, weights: Tensor, limits: Tensor, keys: Tensor, places: Tensor
) -> list[Tensor]:
    """Of members `(case, member, point)` and outcomes; in the order of `Marginals`."""
    count = x.shape[1]
    valid = x.isfinite().all(1) & y.isfinite()
    ordered = x.sort(1).values
    middle = ordered[:, count // 2]
    away = (ordered - middle[:, None]).double()
    mean = away.mean(1)
    bias = (middle - y).double() + mean
    variance = (away.square().sum(1) - count * mean.square()) / (count - 1 if count > 1 else np.nan)
    sums = [_error(x, y), _spread(away), bias, bias.square(), variance]
    tails: list[list[Tensor]] = [[], [], []]
    for limit in limits:
        cut, seen = torch.maximum(ordered, limit), torch.maximum(y, limit)
        tails[0].append(_mean(_error(cut, seen), weights, valid))
        tails[1].append(_mean(_spread((cut - cut[:, count // 2, None]).double()), weights, valid))
        above = (x > limit).sum(1) * 2 + (y > limit)
        table = _histogram(above, 2 * (count + 1), weights, valid)
        tails[2].append(table.unflatten(-1, (count + 1, 2)))
    below, equal = (x < y[:, None]).sum(1), (x == y[:, None]).sum(1)
    rank = below + (_uniform(keys, places) * (equal + 1)).long()
    shape = len(x), len(weights), 0
    empty = (x.new_zeros(shape).double(),) * 2 + (x.new_zeros((*shape, count + 1, 2)).double(),)
    return [
        *(_mean(each, weights, valid) for each in sums),
        *(torch.stack(own, 2) if own else no for own, no in zip(tails, empty, strict=True)),
        _histogram(rank, count + 1, weights, valid),
    ]


def _error(x: Tensor, y: Tensor) -> Tensor:
    return (x - y[:, None]).abs().double().mean(1)


def _spread(away: Tensor) -> Tensor:
    """Half the mean distance of pairs, of members in order less the middle one."""
    count = away.shape[1]
    order = 2.0 * torch.arange(count, device=away.device, dtype=away.dtype) - count + 1
    total = (away * order[:, None]).sum(1)
    return total / (count * (count - 1) if count > 1 else np.nan)


def _mean(values: Tensor, weights: Tensor, valid: Tensor) -> Tensor:
    """`(case, region)`; NaN where a value that has weight is not valid."""
    found = values.where(valid, 0.0) @ weights.T
    return found.where(~_failed(weights, valid), torch.nan)


def _failed(weights: Tensor, valid: Tensor) -> Tensor:
    return (~valid).double() @ (weights > 0).double().T > 0


def _histogram(places: Tensor, bins: int, weights: Tensor, valid: Tensor) -> Tensor:
    """Weight of the points at each place `(case, region, bin)`."""
    found = torch.zeros(len(places), len(weights), bins, dtype=torch.float64, device=places.device)
    for region, own in enumerate(weights):
        found[:, region].scatter_add_(1, places, own.expand(len(places), -1).contiguous())
    return found.where(~_failed(weights, valid)[..., None], torch.nan)


def _uniform(keys: Tensor, places: Tensor) -> Tensor:
    """As `kernels.marginals._uniform` (splitmix64): `(case, point)`; integers wrap."""
    z = keys[:, None] + (places + 1) * _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    z = z ^ _shifted(z, 31)
    return _shifted(z, 11).double() * 2.0**-53


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift right, zeros coming in."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
