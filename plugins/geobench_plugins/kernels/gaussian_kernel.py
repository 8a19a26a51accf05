"""Means of Gaussian kernels between whole fields, of one or several widths."""

from functools import partial

import numpy as np
import numpy.typing as npt

from geobench_plugins.kernels.pairs import among, of_cases, squared_distances

Array = npt.NDArray[np.float64]
Widths = tuple[float, ...]


def within(widths: Widths, x: Array) -> Array:
    """Mean k(x, x') over pairs of members `(case, member, point)`: `(case,)`."""
    return of_cases(partial(_within, widths), x)


def from_zero(widths: Widths, x: Array) -> Array:
    """Mean k(x, 0) over members `(case, member, point)`: `(case,)`."""
    mean: Array = _kernel((x**2).sum(-1), widths).mean(-1)
    return mean


def discrepancy(widths: Widths, x: Array, y: Array) -> Array:
    """E k(x, x') + E k(y, y') - 2 E k(x, y) by all pairs `(case,)`."""
    return of_cases(partial(_discrepancy, widths), x, y)


def _within(widths: Widths, x: Array) -> Array:
    apart = _kernel(squared_distances(x, x), widths)
    if x.shape[1] == 1:  # a point mass: x' is x
        itself: Array = apart[:, 0, 0]
        return itself
    return among(apart)


def _discrepancy(widths: Widths, x: Array, y: Array) -> Array:
    across: Array = _kernel(squared_distances(x, y), widths).mean((1, 2))
    return _within(widths, x) + _within(widths, y) - 2 * across


def _kernel(squared: Array, widths: Widths) -> Array:
    kernel: Array = np.mean([np.exp(squared / (-2 * width**2)) for width in widths], 0)
    return kernel
