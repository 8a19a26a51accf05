"""Wasserstein-1 distances of members from draws, by all groups that either can be cut into."""

from functools import cache
from itertools import accumulate
from math import comb

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows

Array = npt.NDArray[np.float64]


def excess(members: Array, draws: Array) -> Array:
    """E W(X, Y) - E W(X, X') / 2 - E W(Y, Y') / 2 at every point: `(case, point)`.

    `members` `(case, member, point)`, `draws` alike. X and X' are two groups of the members without
    a member in common, Y and Y' of the draws, all of n: half as many as there are of the fewer. The
    means are over all such groups. W is the area between distribution functions, so each gap
    between neighbours of the sorted values counts by how many members and draws are left of it,
    by `gap_weights`: no group is formed. NaN where a value is.
    """
    x, y = (np.sort(np.ascontiguousarray(sample, np.float64), 1) for sample in (members, draws))
    weights = gap_weights(x.shape[1], y.shape[1])
    excesses = np.empty((x.shape[0], x.shape[2]))
    over_rows(lambda first, stop: _excess(x, y, weights, excesses, first, stop), len(x))
    return excesses


@cache
def gap_weights(members: int, draws: int) -> Array:
    """What a gap counts with i members and j draws left of it: `(members + 1, draws + 1)`.

    E|a - b| - E|a - a'| / 2 - E|b - b'| / 2 of the shares a and b of two groups that are left of
    it: an energy distance of shares. So in expectation nothing is below 0. A single member is a
    point mass: its groups are all alike.
    """
    size = (draws if members == 1 else min(members, draws)) // 2
    (left, within), (other_left, other_within) = (
        _of_groups(count, size) for count in (members, draws)
    )
    apart = left @ (1 - other_left).T + (1 - left) @ other_left.T
    weights: Array = apart / size - (within[:, None] + other_within) / 2
    weights[abs(weights) < 1e-12] = 0  # but for rounding: a far value is not to count by that
    return weights


def _of_groups(count: int, size: int) -> tuple[Array, Array]:
    """Of groups of `size` out of `count`, of which i are left: how many of a group are.

    The chance that no more than k are, `(i, k)`, and the mean |a - a'| of the shares of two groups
    without a member in common, `(i,)`.
    """
    if count == 1:
        return np.array([[1.0] * size, [0.0] * size]), np.zeros(2)
    chances = _chances(count, size)
    both, halves = _chances(count, 2 * size), _chances(2 * size, size)
    apart = [
        sum(abs(2 * a - s) * chance for a, chance in enumerate(row)) / (comb(2 * size, size) * size)
        for s, row in enumerate(halves)
    ]
    total = comb(count, size)
    left = [[ways / total for ways in list(accumulate(row))[:size]] for row in chances]
    pairs = np.array([[chance / comb(count, 2 * size) for chance in row] for row in both])
    return np.array(left), pairs @ np.array(apart)


def _chances(count: int, size: int) -> list[list[int]]:
    """In how many ways a group of `size` holds a of the i marked ones among `count`: `[i][a]`."""
    return [
        [comb(i, a) * comb(count - i, size - a) for a in range(size + 1)] for i in range(count + 1)
    ]


@njit(nogil=True, cache=True)
def _excess(x, y, weights, excesses, first, stop):
    m, k = x.shape[1], y.shape[1]
    for case in range(first, stop):
        for point in range(x.shape[2]):
            i = j = 0
            total, before = 0.0, min(x[case, 0, point], y[case, 0, point])
            while i < m or j < k:
                if j == k or (i < m and x[case, i, point] <= y[case, j, point]):
                    here = x[case, i, point]
                    total += weights[i, j] * (here - before)
                    i += 1
                else:
                    here = y[case, j, point]
                    total += weights[i, j] * (here - before)
                    j += 1
                before = here
            bad = np.isnan(x[case, m - 1, point]) or np.isnan(y[case, k - 1, point])
            excesses[case, point] = np.nan if bad else total
