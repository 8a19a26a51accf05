"""The marginals of `kernels.marginals` in torch, for accelerators: the same numbers."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geobench_plugins.kernels.marginals import Array, Marginals, Numbers, beyond, per_pair

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
    cell_weights = torch.from_numpy(weights[:, cells].astype(np.float64)).to(device)
    cell_weights = cell_weights / cell_weights.sum(1, keepdim=True).clamp(min=1e-300)
    limits = torch.from_numpy(thresholds[:, cells].astype(members.dtype)).to(device)
    places = torch.from_numpy(cells).to(device)
    block = max(1, _SLAB // max(1, members.shape[1] * len(cells)))
    parts = []
    for first in range(0, len(members), block):
        cases = slice(first, first + block)
        x, y = (
            torch.from_numpy(np.ascontiguousarray(array[cases][..., cells])).to(device)
            for array in (members, outcome)
        )
        parts.append(
            _slab(x, y, cell_weights, limits, torch.from_numpy(keys[cases]).to(device), places)
        )
    arrays = [torch.cat(tensors).cpu().numpy() for tensors in zip(*parts, strict=True)]
    for array in arrays:
        array[:, weights.sum(1) == 0] = np.nan
    return Marginals(*arrays)


def _slab(
    x: Tensor, y: Tensor, weights: Tensor, limits: Tensor, keys: Tensor, places: Tensor
) -> list[Tensor]:
    """Of members `(case, member, point)` and outcomes; in the order of `Marginals`."""
    count = x.shape[1]
    valid = x.isfinite().all(1) & y.isfinite()
    ordered = x.sort(1).values
    away = (ordered - ordered[:, count // 2, None]).double()
    variance = away.square().sum(1) - away.sum(1).square() / count
    variance = variance / (count - 1 if count > 1 else torch.nan)
    bias, debiased = _differ(ordered.double(), y.double())
    sums = [_crps(ordered, y), bias, bias.square(), debiased, variance]
    tails: list[list[Tensor]] = [[], []]
    for limit in limits:
        score = _crps(torch.maximum(ordered, limit), torch.maximum(y, limit))
        tails[0].append(_mean(score, weights, valid))
        above = (x > limit).sum(1) * 2 + (y > limit)
        table = _histogram(above, 2 * (count + 1), weights, valid)
        tails[1].append(table.unflatten(-1, (count + 1, 2)))
    below, equal = (x < y[:, None]).sum(1), (x == y[:, None]).sum(1)
    rank = below + (_uniform(keys, places) * (equal + 1)).long()
    shape = len(x), len(weights), 0
    empty = x.new_zeros(shape).double(), x.new_zeros((*shape, count + 1, 2)).double()
    return [
        *(_mean(values, weights, valid) for values in sums),
        *(
            torch.stack(levels, 2) if levels else no
            for levels, no in zip(tails, empty, strict=True)
        ),
        _histogram(rank, count + 1, weights, valid),
    ]


def _crps(ordered: Tensor, y: Tensor) -> Tensor:
    """Each member counts by how many are beyond it: see `kernels.marginals`."""
    count = ordered.shape[1]
    above, below = torch.from_numpy(beyond(count, np.float64)).to(y.device)[..., None]
    away = ordered.double() - y.double()[:, None]
    return torch.maximum(away * above, -away * below).sum(1) * per_pair(count)


def _differ(ordered: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Bias and its debiased square, as `kernels.marginals._differ`, at every point."""
    count = ordered.shape[1]
    away = ordered - y[:, None]
    nearest = away.abs().argsort(1)
    high, low, products = torch.zeros_like(y), torch.zeros_like(y), torch.zeros_like(y)
    for member in nearest.unbind(1):
        difference, x = (values.gather(1, member[:, None])[:, 0] for values in (away, ordered))
        products += difference * (high + low)
        for part in (x, -y):
            total = high + part
            added = total - high
            low += (high - (total - added)) + (part - added)
            high = total
    bias = (high + low) / count
    if count == 1:
        return bias, bias.square()
    return bias, 2 * products / (count * (count - 1))


def _mean(values: Tensor, weights: Tensor, valid: Tensor) -> Tensor:
    """`(case, region)`; NaN where a value that has weight is not valid."""
    means = values.where(valid, 0.0) @ weights.T
    return means.where(~_failed(weights, valid), torch.nan)


def _failed(weights: Tensor, valid: Tensor) -> Tensor:
    return (~valid).double() @ (weights > 0).double().T > 0


def _histogram(places: Tensor, bins: int, weights: Tensor, valid: Tensor) -> Tensor:
    """Weight of the points at each place `(case, region, bin)`."""
    histogram = torch.zeros(
        len(places), len(weights), bins, dtype=torch.float64, device=places.device
    )
    for region, region_weights in enumerate(weights):
        histogram[:, region].scatter_add_(
            1, places, region_weights.expand(len(places), -1).contiguous()
        )
    return histogram.where(~_failed(weights, valid)[..., None], torch.nan)


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
