"""Scores of small ensembles that gradients go through; see `objectives`.

Ensembles are `(row, member, *grid, channel)`, outcomes `(row, *grid, channel)`; grid dims are
periodic.
"""

import functools
import itertools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
    found: Tensor = _CRPS.apply(  # type: ignore[no-untyped-call] # torch leaves it so
        _single(ensemble), _single(target), alpha
    )
    return found


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
        own = slope * upstream
        return own, -own.sum(1) if ctx.needs_input_grad[1] else None, None


def energy(ensemble: Tensor, target: Tensor, patch: int | None = None) -> Tensor:
    """Mean fair energy score of whole fields, or of windows; norms are root mean squares."""
    check(ensemble, target)
    difference = ensemble - target[:, None]
    far = _norms(difference, 2, patch).mean(1)
    near = torch.stack([_norms(a - b, 1, patch) for a, b in _pairs(difference)]).mean(0)
    return (far - 0.5 * near).mean()


def variogram(ensemble: Tensor, target: Tensor, order: float, reach: int) -> Tensor:
    """Mean fair variogram score of pairs up to `reach` cells apart along each grid dim."""
    check(ensemble, target)
    terms = []
    for dim, step in itertools.product(range(2, ensemble.ndim - 1), range(1, reach + 1)):
        drawn = _power(ensemble - ensemble.roll(step, dim), order)
        seen = _power(target - target.roll(step, dim - 1), order)
        terms.append(((seen - drawn.mean(1)) ** 2 - drawn.var(1) / drawn.shape[1]).mean())
    return torch.stack(terms).mean()


def multi_scale(ensemble: Tensor, target: Tensor, windows: tuple[int, ...]) -> Tensor:
    """Mean over windows of the fair CRPS of means over them."""
    check(ensemble, target)
    scores = [crps(_pooled(ensemble, each, 2), _pooled(target, each, 1)) for each in windows]
    return torch.stack(scores).mean()


def spectral(ensemble: Tensor, target: Tensor) -> Tensor:
    """Mean fair CRPS of the magnitudes of Fourier coefficients (orthonormal)."""
    check(ensemble, target)
    return crps(_magnitudes(ensemble, 2), _magnitudes(target, 1))


def _single(field: Tensor) -> Tensor:
    """At least single precision: half loses the small differences between members."""
    return field.float() if field.dtype in (torch.float16, torch.bfloat16) else field


def _pairs(ensemble: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(itertools.combinations(ensemble.unbind(1), 2))


def _norms(difference: Tensor, lead: int, patch: int | None) -> Tensor:
    """Root mean square over a field or over each window; `lead` dims come before the grid's."""
    square = difference.square().mean(-1, keepdim=True)
    if patch is None:
        return _root(square.flatten(lead).mean(-1))
    return _root(_pooled(square, patch, lead))


def _root(square: Tensor) -> Tensor:
    """Square root, with a gradient of zero at zero: equal members."""
    return square.clamp_min(1e-12).sqrt()


def _power(difference: Tensor, order: float) -> Tensor:
    """|difference|^order, with a finite gradient at zero."""
    return (difference.square() + 1e-8) ** (order / 2)


def _pooled(field: Tensor, window: int, lead: int) -> Tensor:
    """Means over windows that start at every cell, around the periodic grid."""
    for dim in range(lead, field.ndim - 1):
        if window > field.shape[dim]:
            raise ValueError(f"a window of {window} cells, and the grid has {field.shape[dim]}")
        field = torch.stack([field.roll(-step, dim) for step in range(window)]).mean(0)
    return field


def _magnitudes(field: Tensor, lead: int) -> Tensor:
    """Magnitudes of the Fourier coefficients over the grid dims."""
    dims = tuple(range(lead, field.ndim - 1))
    coefficients = torch.fft.rfftn(_single(field), dim=dims, norm="ortho")
    return _root(coefficients.real.square() + coefficients.imag.square())
