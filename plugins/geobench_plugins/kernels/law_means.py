"""Squared differences of the means of members and of draws, less what their sampling adds.

The sampling of a mean of n numbers adds their variance (over n - 1) by n. Nothing is taken off for
a single member, whose variance is not known.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

_SUMS = {"contract", "nsz"}
_LOST = 1e-4  # share of the squared difference that is left, below which digits are lost


def probabilities(members: Numbers, draws: Numbers, weights: Array, thresholds: Numbers) -> Array:
    """Squared difference of the probabilities to exceed a threshold, `(case, region, threshold)`.

    members `(case, M, point)`, draws `(case, K, point)`; weights `(region, point)` and thresholds
    `(threshold, point)` as of `kernels.marginals.marginals`. NaN where a value is.
    """
    x, y, point_weights = _prepared(members, draws, weights)
    limits = np.ascontiguousarray(thresholds, dtype=x.dtype)
    differences = np.zeros((len(x), len(point_weights), len(limits)))

    def run(first: int, stop: int) -> None:
        counts = np.zeros((2, len(limits) + 1, x.shape[2]), np.int32)
        _probabilities(x, y, point_weights, limits, counts, differences, first, stop)

    over_rows(run, len(x))
    return differences


def means(members: Numbers, draws: Numbers, weights: Array) -> tuple[Array, Array]:
    """Squared difference of the means, and variance of the draws, `(case, region)` each.

    Shapes as of `probabilities`. Differences are taken from the first draw. Members that
    are far away cost digits. There the middle draw is subtracted from all values first. The result
    is then the mean of x_j x_k over pairs of members, plus that of y_j y_k over pairs of draws,
    less twice the product of the means. A member far away is multiplied by small numbers alone.
    """
    x, y, point_weights = _prepared(members, draws, weights)
    statistics = np.zeros((len(x), len(point_weights), 2))

    def run(first: int, stop: int) -> None:
        sums = np.zeros((4, x.shape[2]))
        _means(x, y, point_weights, sums, statistics, first, stop)

    over_rows(run, len(x))
    return statistics[..., 0], statistics[..., 1]


def _prepared(members: Numbers, draws: Numbers, weights: Array) -> tuple[Numbers, Numbers, Array]:
    """Both in one precision, and each point's share of a region's mean; NaN without any point."""
    kind = np.result_type(members, draws)
    kind = kind if kind == np.float32 else np.dtype(np.float64)
    x, y = (np.ascontiguousarray(sample, dtype=kind) for sample in (members, draws))
    total = weights.sum(1, keepdims=True)
    return x, y, weights / np.where(total > 0, total, np.nan)


@njit(nogil=True, cache=True)
def _count(drawn, limits, counts):
    """Numbers above each threshold at every point; the last row: those that are NaN."""
    counts[:] = 0
    for member in range(len(drawn)):
        row = drawn[member]
        for level in range(len(limits)):
            limit, above = limits[level], counts[level]
            for point in range(len(row)):
                above[point] += row[point] > limit[point]
        failed = counts[len(limits)]
        for point in range(len(row)):
            failed[point] += row[point] != row[point]


@njit(nogil=True, cache=True)
def _probabilities(x, y, weights, limits, counts, differences, first, stop):
    m, k = x.shape[1], y.shape[1]
    failed = len(limits)
    for case in range(first, stop):
        _count(x[case], limits, counts[0])
        _count(y[case], limits, counts[1])
        for region in range(len(weights)):
            for point in range(x.shape[2]):
                weight = weights[region, point]
                if weight == 0:
                    continue
                if counts[0, failed, point] + counts[1, failed, point] > 0:
                    weight = np.nan
                for level in range(len(limits)):
                    p, q = counts[0, level, point] / m, counts[1, level, point] / k
                    noise = p * (1 - p) / max(1, m - 1) + q * (1 - q) / max(1, k - 1)
                    differences[case, region, level] += weight * ((p - q) ** 2 - noise)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _moments(drawn, origin, total, square):
    """Mean less the origin, and the sum of squares around it, at every point."""
    total[:] = 0
    square[:] = 0
    for member in range(len(drawn)):
        row = drawn[member]
        for point in range(len(row)):
            total[point] += np.float64(row[point]) - np.float64(origin[point])
    for point in range(len(total)):
        total[point] /= len(drawn)
    for member in range(len(drawn)):
        row = drawn[member]
        for point in range(len(row)):
            away = np.float64(row[point]) - np.float64(origin[point]) - total[point]
            square[point] += away * away


@njit(nogil=True, cache=True)
def _products(values):
    """Mean product of two different ones: each times the sum of nearer ones."""
    if len(values) == 1:
        return values[0] ** 2
    total = products = 0.0
    for index in np.argsort(np.abs(values)):
        products += values[index] * total
        total += values[index]
    return 2 * products / (len(values) * (len(values) - 1))


@njit(nogil=True, cache=True)
def _far_means(x, y):
    middle = np.sort(y)[len(y) // 2]
    a, b = x - middle, y - middle
    return _products(a) + _products(b) - 2 * a.mean() * b.mean()


@njit(nogil=True, cache=True)
def _means(x, y, weights, sums, statistics, first, stop):
    m, k = x.shape[1], y.shape[1]
    for case in range(first, stop):
        _moments(x[case], y[case, 0], sums[0], sums[1])
        _moments(y[case], y[case, 0], sums[2], sums[3])
        for point in range(x.shape[2]):
            apart = (sums[0, point] - sums[2, point]) ** 2
            noise = sums[1, point] / (m * max(1, m - 1)) + sums[3, point] / (k * max(1, k - 1))
            squared = apart - noise
            if abs(squared) < _LOST * apart:
                one, other = x[case, :, point], y[case, :, point]
                squared = _far_means(one.astype(np.float64), other.astype(np.float64))
            known = k > 1 and not np.isnan(squared)
            variance = sums[3, point] / (k - 1) if known else np.nan
            for region in range(len(weights)):
                if weights[region, point] != 0:
                    statistics[case, region, 0] += weights[region, point] * squared
                    statistics[case, region, 1] += weights[region, point] * variance
