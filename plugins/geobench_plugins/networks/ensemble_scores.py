"""Scores of small ensembles that gradients go through; see `objectives`.

Ensembles are `(row, member, *grid, channel)`, outcomes `(row, *grid, channel)`; `periodic` says of
each grid dim whether it goes around, and defaults to all.
"""

import functools
import itertools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from geobench import GeobenchError


def check(ensemble: Tensor, target: Tensor) -> None:
    """Raise `ValueError` for shapes that would broadcast to a loss of something else."""
    if ensemble.ndim != target.ndim + 1 or ensemble[:, 0].shape != target.shape:
        raise ValueError(
            f"the ensemble is {tuple(ensemble.shape)} and the outcome {tuple(target.shape)}; "
            f"expected (row, member, …) and (row, …)"
        )


def crps(ensemble: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    """Mean of the (almost) fair CRPS over everything but members.

    In all-positive form, so that nothing cancels in single precision: with d = x - y, a pair adds
    |d_j| + |d_k| - |d_j - d_k| = 2 min(|d_j|, |d_k|) if both are on one side of y, else nothing.
    """
    check(ensemble, target)
    if ensemble.shape[1] == 1:
        return (_single(ensemble) - _single(target)[:, None]).abs().mean()
    with torch.autocast(target.device.type, enabled=False):  # its matrix products would be halves
        score: Tensor = _CRPS.apply(  # type: ignore[no-untyped-call] # torch leaves it so
            _single(ensemble), _single(target), alpha
        )
    return score


@functools.cache
def _pairs_of(
    members: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The members of each pair, `(pair,)` twice, and +1 and -1 for them, `(member, pair)`."""
    one, other = torch.triu_indices(members, members, 1, device=device)
    signs = torch.zeros(members, len(one), dtype=dtype, device=device)
    pairs = torch.arange(len(one), device=device)
    signs[one, pairs], signs[other, pairs] = 1, -1
    return one, other, signs


class _CRPS(torch.autograd.Function):
    """The CRPS with its derivative, which is known as soon as it is."""

    @staticmethod
    def forward(ctx: Any, ensemble: Tensor, target: Tensor, alpha: float) -> Tensor:
        members = ensemble.shape[1]
        epsilon = (1 - alpha) / members
        outcome = target[:, None]
        one, other, incidence = _pairs_of(members, target.dtype, target.device)
        first, second = ensemble.index_select(1, one), ensemble.index_select(1, other)
        below = torch.minimum(first, second).sub_(outcome).clamp_min_(0)
        above = torch.maximum(first, second).sub_(outcome).clamp_max_(0)
        total = 2 * below.sub_(above).sum()
        # Of the members themselves: those of a new network differ by less than x - y is rounded by.
        apart = first.sub_(second)
        if epsilon:
            total += epsilon * apart.abs().sum()
        # (M-1) sign(d_j) - (1-ε) Σ_k sign(d_j - d_k)
        slope = (ensemble - outcome).sign_().flatten(2)
        slope = torch.baddbmm(
            slope,
            incidence.expand(len(slope), -1, -1),
            apart.sign_().flatten(2),
            beta=members - 1,
            alpha=epsilon - 1,
        ).view_as(ensemble)
        scale = 1 / (members * (members - 1) * target.numel())
        ctx.save_for_backward(slope.mul_(scale))
        return total * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (slope,) = ctx.saved_tensors
        gradient = slope * upstream
        return gradient, -gradient.sum(1) if ctx.needs_input_grad[1] else None, None


def energy(
    ensemble: Tensor,
    target: Tensor,
    patch: int | None = None,
    *,
    periodic: tuple[bool, ...] | None = None,
    area: Tensor | None = None,
) -> Tensor:
    """Mean fair energy score of whole fields, or of windows; norms are root mean squares.

    Squares of cells count by `area` `(*grid, 1)`, and windows by the mean of it.
    """
    check(ensemble, target)
    goes_around = _around(target, periodic)
    difference = ensemble - target[:, None]
    if area is not None:
        difference = difference * area.sqrt()
    far = _norms(difference, 2, patch, goes_around).mean(1)
    pairs = itertools.combinations(difference.unbind(1), 2)
    near = torch.stack([_norms(a - b, 1, patch, goes_around) for a, b in pairs]).mean(0)
    score = far - 0.5 * near
    if area is not None and patch is not None:
        # A window's norm is the root of (mean of area x square): times the root of its mean area
        # it is the mean area times the root of the weighted mean square.
        score = score * _pooled(area[None], patch, 1, goes_around).sqrt()
    return score.mean()


def variogram(
    ensemble: Tensor,
    target: Tensor,
    order: float,
    reach: int,
    *,
    periodic: tuple[bool, ...] | None = None,
    area: Tensor | None = None,
) -> Tensor:
    """Mean fair variogram score of pairs up to `reach` cells apart along each grid dim.

    A pair counts by the product of the areas of its cells.
    """
    check(ensemble, target)
    terms = []
    for axis, around in enumerate(_around(target, periodic)):
        _check_fits("a reach", reach, target.shape[1 + axis] - 1)
        for step in range(1, reach + 1):
            drawn = _power(_increments(ensemble, step, 2 + axis, around), order)
            seen = _power(_increments(target, step, 1 + axis, around), order)
            score = (seen - drawn.mean(1)) ** 2 - drawn.var(1) / drawn.shape[1]
            if area is not None:
                both = _products(area, step, axis, around)
                score = score * (both / both.mean())
            terms.append(score.mean())
    return torch.stack(terms).mean()


def multi_scale(
    ensemble: Tensor,
    target: Tensor,
    windows: tuple[int, ...],
    *,
    periodic: tuple[bool, ...] | None = None,
    weights: tuple[float, ...] | None = None,
    bands: bool = False,
    area: Tensor | None = None,
) -> Tensor:
    """Weighted mean over windows of the fair CRPS of means over them, or of their differences.

    Cells count by `area` `(*grid, 1)` in the means, and windows by the mean of it.
    """
    check(ensemble, target)
    goes_around = _around(target, periodic)
    areas = [
        None if area is None else _pooled(area[None], window, 1, goes_around) for window in windows
    ]
    drawn, seen = (
        [
            _means(x, window, lead, goes_around, area, pooled_area)
            for window, pooled_area in zip(windows, areas, strict=True)
        ]
        for x, lead in ((ensemble, 2), (target, 1))
    )
    if bands:
        drawn, seen = _bands(drawn), _bands(seen)
    scores = torch.stack(
        [
            crps(x, y)
            if pooled_area is None
            else crps(x * _cut(pooled_area, y), y * _cut(pooled_area, y))
            for x, y, pooled_area in zip(drawn, seen, areas, strict=True)
        ]
    )
    weight = scores.new_tensor(weights or [1.0] * len(windows))
    return (scores * weight).sum() / weight.sum()


def spectral(
    ensemble: Tensor, target: Tensor, *, periodic: tuple[bool, ...] | None = None
) -> Tensor:
    """Mean fair CRPS of the magnitudes of Fourier coefficients (orthonormal)."""
    check(ensemble, target)
    goes_around = _around(target, periodic)
    return crps(_magnitudes(ensemble, 2, goes_around), _magnitudes(target, 1, goes_around))


def _single(field: Tensor) -> Tensor:
    """At least single precision: half loses the small differences between members."""
    return field.float() if field.dtype in (torch.float16, torch.bfloat16) else field


def _around(target: Tensor, periodic: tuple[bool, ...] | None) -> tuple[bool, ...]:
    dims = target.ndim - 2
    if periodic is None:
        return (True,) * dims
    if len(periodic) != dims:
        raise ValueError(f"periodic tells of {len(periodic)} grid dims, and there are {dims}")
    return periodic


def _check_fits(what: str, cells: int, most: int) -> None:
    if cells > most:
        raise GeobenchError(
            f"objective: {what} of {cells} cells, and the grid has room for {most}. Use less."
        )


def _norms(difference: Tensor, lead: int, patch: int | None, periodic: tuple[bool, ...]) -> Tensor:
    """Root mean square over a field or over each window; `lead` dims come before the grid's."""
    square = difference.square().mean(-1, keepdim=True)
    if patch is None:
        return _root(square.flatten(lead).mean(-1))
    return _root(_pooled(square, patch, lead, periodic))


def _root(square: Tensor) -> Tensor:
    """Square root, with a gradient of zero at zero: equal members."""
    return square.clamp_min(1e-12).sqrt()


def _power(difference: Tensor, order: float) -> Tensor:
    """|difference|^order, with a finite gradient at zero."""
    return (difference.square() + 1e-8) ** (order / 2)


def _increments(field: Tensor, step: int, dim: int, periodic: bool) -> Tensor:
    """Differences of cells `step` apart."""
    if periodic:
        return field - field.roll(step, dim)
    return field.narrow(dim, step, field.shape[dim] - step) - field.narrow(
        dim, 0, field.shape[dim] - step
    )


def _pooled(field: Tensor, window: int, lead: int, periodic: tuple[bool, ...]) -> Tensor:
    """Means over windows that start at every cell, or that end inside where there are walls."""
    for dim, around in enumerate(periodic, lead):
        size = field.shape[dim]
        _check_fits("a window", window, size)
        if around:
            parts = [field.roll(-step, dim) for step in range(window)]
        else:
            parts = [field.narrow(dim, step, size - window + 1) for step in range(window)]
        field = torch.stack(parts).mean(0)
    return field


def _means(
    field: Tensor,
    window: int,
    lead: int,
    periodic: tuple[bool, ...],
    area: Tensor | None,
    pooled_area: Tensor | None,
) -> Tensor:
    """Means over windows, by area."""
    if area is None or pooled_area is None:
        return _pooled(field, window, lead, periodic)
    return _pooled(field * area, window, lead, periodic) / pooled_area.clamp_min(1e-12)


def _cut(pooled_area: Tensor, field: Tensor) -> Tensor:
    """Areas of the windows of a field `(row, *grid, channel)`; bands have fewer than means."""
    return pooled_area[(slice(None), *(slice(size) for size in field.shape[1:-1]))]


def _products(area: Tensor, step: int, dim: int, periodic: bool) -> Tensor:
    """Products of the areas of cells `step` apart, laid out as `_increments`."""
    if periodic:
        return area * area.roll(step, dim)
    size = area.shape[dim] - step
    return area.narrow(dim, step, size) * area.narrow(dim, 0, size)


def _bands(means: list[Tensor]) -> list[Tensor]:
    """What each window's means add to those of the next window that starts at the same cell."""
    starts = (tuple(slice(size) for size in wider.shape) for wider in means[1:])
    pairs = zip(means, starts, means[1:], strict=False)
    return [*(mean[cells] - wider for mean, cells, wider in pairs), means[-1]]


def _magnitudes(field: Tensor, lead: int, periodic: tuple[bool, ...]) -> Tensor:
    """Magnitudes of the Fourier coefficients over the grid dims."""
    field = _single(field)
    for dim, around in enumerate(periodic, lead):
        if not around:
            waves = _cosines(field.shape[dim], field.dtype, field.device)
            with torch.autocast(field.device.type, enabled=False):
                field = (field.movedim(dim, -1) @ waves).movedim(-1, dim)
    dims = tuple(dim for dim, around in enumerate(periodic, lead) if around)
    if not dims:
        return _root(field.square())
    coefficients = torch.fft.rfftn(field, dim=dims, norm="ortho")
    return _root(coefficients.real.square() + coefficients.imag.square())


@functools.cache
def _cosines(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Orthonormal DCT-II, `(cell, wavenumber)`: the waves of a field mirrored at its walls."""
    cells = torch.arange(size, dtype=torch.float64)
    waves = (torch.pi / size * torch.outer(cells + 0.5, cells)).cos()
    scaled: Tensor = waves / waves.norm(dim=0)
    return scaled.to(device, dtype)
