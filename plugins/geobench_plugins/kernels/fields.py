"""Distances between whole fields, and differences between their points, member by member.

Distances are summed in double precision, over pieces of the field that fit in the L1 cache with all
members; of a variogram the sums over members are in the precision of the data.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

PIECE = 64  # points of a field at once
CASES = 32  # side by side
_SUMS = {"contract", "nsz"}
_ANY_ORDER = {"contract", "nsz", "reassoc"}  # a sum over a piece: so that it is vectorised


def distances(members: Numbers, outcome: Numbers, weights: Array) -> tuple[Array, Array]:
    """Mean |x - y|, and half the mean |x - x'| over pairs of members: `(case,)` each.

    `members` is `(case, member, point)`, `outcome` `(case, point)`; |·|² is the sum of weights²
    times squares; of points without weight nothing is read. The spread of a single member is NaN,
    and both are where a value is not finite.
    """
    members, outcome = _same(members, outcome)
    cells = np.nonzero(weights)[0]
    own = np.ascontiguousarray(weights[cells], dtype=np.float64)
    error, spread = np.zeros((2, len(members)))

    def run(first: int, stop: int) -> None:
        _distances(members, outcome, cells, own, error, spread, first, stop)

    over_rows(run, len(members))
    return error, spread


def _same(members: Numbers, outcome: Numbers) -> tuple[Numbers, Numbers]:
    if members.dtype not in (np.float32, np.float64):
        members = members.astype(np.float64)
    members = np.ascontiguousarray(members)
    return members, np.ascontiguousarray(outcome, dtype=members.dtype)


@njit(nogil=True, fastmath=_ANY_ORDER, cache=True)
def _squared(one, two):
    total = 0.0
    for point in range(PIECE):
        total += (one[point] - two[point]) ** 2
    return total


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _distances(members, outcome, cells, weights, error, spread, first, stop):
    count, used = members.shape[1], len(cells)
    rows = np.zeros((count + 1, PIECE))  # the last one stays 0: the outcome
    pairs = np.zeros((count + 1) * count // 2)
    for case in range(first, stop):
        pairs[:] = 0
        for begin in range(0, used, PIECE):
            size = min(PIECE, used - begin)
            own = cells[begin : begin + size]
            together = own[size - 1] - own[0] == size - 1
            for member in range(count):
                row = rows[member]
                if together:
                    x = members[case, member, own[0] : own[0] + size]
                    y = outcome[case, own[0] : own[0] + size]
                    for point in range(size):
                        difference = np.float64(x[point]) - np.float64(y[point])
                        row[point] = difference * weights[begin + point]
                else:
                    for point in range(size):
                        x_at = np.float64(members[case, member, own[point]])
                        difference = x_at - np.float64(outcome[case, own[point]])
                        row[point] = difference * weights[begin + point]
                row[size:] = 0
            place = 0
            for one in range(1, count + 1):
                for two in range(one):
                    pairs[place] += _squared(rows[one], rows[two])
                    place += 1
        # Row `count` is the outcome: its pairs stand last.
        between = count * (count - 1) // 2
        near = far = 0.0
        for place in range(between):
            near += np.sqrt(pairs[place])
        for place in range(between, between + count):
            far += np.sqrt(pairs[place])
        valid = np.isfinite(near) and np.isfinite(far)
        error[case] = far / count if valid else np.nan
        spread[case] = near / between / 2 if valid and between else np.nan


def variogram(
    members: Numbers, outcome: Numbers, pairs: npt.NDArray[np.int64], weights: Array, power: float
) -> tuple[Array, Array]:
    """Plain and fair variogram score (Scheuerer & Hamill, 2015, doi:10.1175/MWR-D-14-00269.1).

    Sums over `pairs` of points `(pair, 2)` of weight (|y_i - y_k|^p - mean_j |x_ji - x_jk|^p)²,
    `(case,)`. The fair one is less the sampling variance of that mean, variance_j / M; NaN for a
    single member. Both are NaN where a value is not finite, and without pairs.
    """
    members, outcome = _same(members, outcome)
    plain, fair = np.full((2, len(members)), np.nan)
    if not len(pairs):
        return plain, fair
    own = np.ascontiguousarray(weights, dtype=np.float64)
    places = np.ascontiguousarray(pairs)
    exponent = members.dtype.type(power)

    def run(first: int, stop: int) -> None:
        _variogram(members, outcome, places, own, exponent, plain, fair, first, stop)

    over_rows(run, len(members), block=CASES)
    return plain, fair


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _power(difference, power):
    """|difference|^power; the usual powers are quick."""
    if power == 0.5:
        return np.sqrt(abs(difference))
    if power == 1:
        return abs(difference)
    return abs(difference) ** power


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _variogram(members, outcome, pairs, weights, power, plain, fair, first, stop):
    """Cases side by side: `x[(member * points + point) * CASES + case]`, the outcome last."""
    count, points = members.shape[1], members.shape[2]
    x = np.zeros((count + 1) * points * CASES, members.dtype)
    total, square = np.zeros((2, CASES), members.dtype)
    seen = np.zeros(CASES, members.dtype)
    of_mean, of_variance = np.zeros((2, CASES))
    ddof = 1.0 / (count - 1) if count > 1 else np.nan
    for begin in range(first, stop, CASES):
        size = min(CASES, stop - begin)
        of_mean[:], of_variance[:] = 0, 0
        for lane in range(size):
            for member in range(count):
                for point in range(points):
                    x[(member * points + point) * CASES + lane] = members[
                        begin + lane, member, point
                    ]
            for point in range(points):
                x[(count * points + point) * CASES + lane] = outcome[begin + lane, point]
        for pair in range(len(pairs)):
            one, two = pairs[pair, 0] * CASES, pairs[pair, 1] * CASES
            base = count * points * CASES
            for lane in range(CASES):
                seen[lane] = _power(x[base + one + lane] - x[base + two + lane], power)
                total[lane] = 0
                square[lane] = 0
            for member in range(count):
                base = member * points * CASES
                for lane in range(CASES):
                    drawn = _power(x[base + one + lane] - x[base + two + lane], power)
                    from_seen = drawn - seen[lane]
                    total[lane] += from_seen
                    square[lane] += from_seen * from_seen
            weight = weights[pair]
            for lane in range(CASES):
                mean = np.float64(total[lane]) / count
                variance = (np.float64(square[lane]) - total[lane] * mean) * ddof
                of_mean[lane] += weight * mean * mean
                of_variance[lane] += weight * variance
        for lane in range(size):
            valid = np.isfinite(of_mean[lane])
            plain[begin + lane] = of_mean[lane] if valid else np.nan
            fair[begin + lane] = of_mean[lane] - of_variance[lane] / count if valid else np.nan
