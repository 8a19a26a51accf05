"""Everything that is asked of an ensemble's marginals, in one pass over its members.

Blocks of `LANES` points, members one above the other in the L1 cache, are sorted by a network of
comparators (Batcher, 1968), which LLVM vectorises. Of sorted members mean |x - x'| is a weighted
sum, and stays one where they are cut off at a threshold. Differences are taken in the precision of
the data, after sorting, and summed in double precision: an offset that is large beside the spread
costs nothing.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

LANES = 64
_SUMS = {"contract", "nsz"}  # fused multiply-add; nothing that could reorder a sum


class Marginals(NamedTuple):
    """Means over the points of each region, `(case, region, …)`; NaN where a value is not finite.

    error: mean |x - y|. spread: half the mean |x - x'| over pairs of members. So the fair CRPS is
    error - spread, the plain one error - (M - 1) / M spread.
    bias: ensemble mean less outcome. squared: its square. variance: over M - 1.
    tail_error, tail_spread `(…, threshold)`: error and spread of max(x, t) and max(y, t), whose
    difference is the CRPS above t (Gneiting & Ranjan, 2011, doi:10.1198/jbes.2010.08110).
    table `(…, threshold, M + 1, 2)`: shares of the points in which k members are above t, and the
    outcome is not (0) or is (1).
    ranks `(…, M + 1)`: shares of the points with so many members below the outcome; of members
    equal to it a random number counts.
    """

    error: Array
    spread: Array
    bias: Array
    squared: Array
    variance: Array
    tail_error: Array
    tail_spread: Array
    table: Array
    ranks: Array


def marginals(
    members: Numbers,
    outcome: Numbers,
    weights: Array,
    thresholds: Numbers,
    keys: npt.NDArray[np.int64],
) -> Marginals:
    """Summarise cases: members `(case, member, point)`, outcome `(case, point)`.

    weights `(region, point)` are not negative; of a point without any nothing is read. thresholds
    `(threshold, point)`. keys `(case,)`: a number for each case, which the random ranks of ties
    depend on, and the place of the point. Variance and spread of a single member are NaN, and so
    is everything in a region without points.
    """
    cases, count, points = members.shape
    if members.dtype not in (np.float32, np.float64):
        members = members.astype(np.float64)
    members = np.ascontiguousarray(members)
    outcome = np.ascontiguousarray(outcome, dtype=members.dtype)
    cells = np.nonzero((weights > 0).any(0))[0]
    own = np.ascontiguousarray(weights[:, cells], dtype=np.float64)
    total = own.sum(1)
    own /= np.where(total > 0, total, 1)[:, None]
    limits = np.ascontiguousarray(thresholds, dtype=members.dtype)
    regions, levels = len(weights), len(limits)
    sums = np.zeros((cases, regions, 5))
    tails = np.zeros((cases, regions, levels, 2))
    table = np.zeros((cases, regions, levels, count + 1, 2))
    ranks = np.zeros((cases, regions, count + 1))
    pairs = comparators(count)

    def run(first: int, stop: int) -> None:
        _cases(
            members.reshape(-1), outcome.reshape(-1), points, count, cells, own, limits, pairs,
            keys, sums, tails, table, ranks, first, stop,
        )  # fmt: skip

    over_rows(run, cases)
    for each in (sums, tails, table, ranks):
        each[:, total == 0] = np.nan
    error, spread, bias, squared, variance = np.moveaxis(sums, -1, 0)
    return Marginals(
        error, spread, bias, squared, variance, tails[..., 0], tails[..., 1], table, ranks
    )


@cache
def comparators(count: int) -> npt.NDArray[np.int64]:
    """Places that are compared, one after the other, to sort `count` numbers: `(comparator, 2)`.

    Odd-even merge sort (Batcher, 1968; Knuth, 5.3.4, algorithm M): 403 of them for 50.
    """
    pairs = []
    top = 1 << max(0, count - 1).bit_length() >> 1
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while d > 0:
            pairs += [(i, i + d) for i in range(count - d) if i & p == r]
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return np.array(pairs, dtype=np.int64).reshape(-1, 2) * LANES


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _load(x, offsets, lanes, stride, count, block, failed):
    """Members of each lane, one above the other; unused lanes are 0."""
    together = lanes == LANES and offsets[LANES - 1] - offsets[0] == LANES - 1
    for lane in range(LANES):
        failed[lane] = 0
    for member in range(count):
        own = block[member * LANES : (member + 1) * LANES]
        if together:
            source = x[offsets[0] + member * stride : offsets[0] + member * stride + LANES]
            for lane in range(LANES):
                own[lane] = source[lane]
        else:
            for lane in range(lanes):
                own[lane] = x[offsets[lane] + member * stride]
            for lane in range(lanes, LANES):
                own[lane] = 0
        for lane in range(LANES):
            failed[lane] += own[lane] * 0  # NaN if it is not finite


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _sort(block, pairs):
    for c in range(len(pairs)):
        a = block[pairs[c, 0] : pairs[c, 0] + LANES]
        b = block[pairs[c, 1] : pairs[c, 1] + LANES]
        for lane in range(LANES):
            one, two = a[lane], b[lane]
            a[lane] = one if one < two else two
            b[lane] = two if one < two else one


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _moments(block, count, y, error, spread, total, square, below, equal):
    middle = block[count // 2 * LANES : (count // 2 + 1) * LANES]
    error[:], spread[:], total[:], square[:], below[:], equal[:] = 0, 0, 0, 0, 0, 0
    for member in range(count):
        own = block[member * LANES : (member + 1) * LANES]
        weight = 2.0 * member - count + 1
        for lane in range(LANES):
            distance = np.float64(own[lane] - middle[lane])
            error[lane] += np.float64(abs(own[lane] - y[lane]))
            spread[lane] += weight * distance
            total[lane] += distance
            square[lane] += distance * distance
        for lane in range(LANES):
            below[lane] += 1 if own[lane] < y[lane] else 0
            equal[lane] += 1 if own[lane] == y[lane] else 0


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _tail(block, count, y, limit, error, spread, above):
    middle = block[count // 2 * LANES : (count // 2 + 1) * LANES]
    error[:], spread[:], above[:] = 0, 0, 0
    for member in range(count):
        own = block[member * LANES : (member + 1) * LANES]
        weight = 2.0 * member - count + 1
        for lane in range(LANES):
            t = limit[lane]
            cut = own[lane] if own[lane] > t else t
            of_outcome = y[lane] if y[lane] > t else t
            of_middle = middle[lane] if middle[lane] > t else t
            error[lane] += np.float64(abs(cut - of_outcome))
            spread[lane] += weight * np.float64(cut - of_middle)
        for lane in range(LANES):
            above[lane] += 1 if own[lane] > limit[lane] else 0


@njit(nogil=True, cache=True)
def _uniform(key, place):
    """A number in [0, 1) that depends on both (splitmix64)."""
    z = np.uint64(key) + np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _cases(
    x, outcome, points, count, cells, weights, limits, pairs,
    keys, sums, tails, table, ranks, first, stop,
):  # fmt: skip
    """Fill the results of cases `first` to `stop`; a case is summed in the order of its points."""
    regions, used, levels = weights.shape[0], len(cells), len(limits)
    block = np.empty(count * LANES, x.dtype)
    y, limit, failed = np.zeros((3, LANES), x.dtype)
    below, equal, above = np.zeros((3, LANES), x.dtype)
    error, spread, total, square = np.zeros((4, LANES))
    offsets = np.zeros(LANES, np.int64)
    case_of, cell_of = np.zeros((2, LANES), np.int64)
    middle = count // 2 * LANES
    pair = 1.0 / (count * (count - 1)) if count > 1 else np.nan
    ddof = 1.0 / (count - 1) if count > 1 else np.nan
    end = (stop - first) * used
    for begin in range(0, end, LANES):
        lanes = min(LANES, end - begin)
        for lane in range(lanes):
            case, cell = first + (begin + lane) // used, (begin + lane) % used
            case_of[lane], cell_of[lane] = case, cell
            offsets[lane] = case * count * points + cells[cell]
            y[lane] = outcome[case * points + cells[cell]]
        _load(x, offsets, lanes, points, count, block, failed)
        _sort(block, pairs)
        _moments(block, count, y, error, spread, total, square, below, equal)
        for lane in range(lanes):
            case, cell = case_of[lane], cell_of[lane]
            valid = failed[lane] == 0 and np.isfinite(y[lane])
            mean = total[lane] / count
            bias = np.float64(block[middle + lane] - y[lane]) + mean
            variance = (square[lane] - total[lane] * mean) * ddof
            rank = np.int64(0)
            if valid:
                ties = np.int64(equal[lane])
                rank = np.int64(below[lane])
                if ties:
                    rank += np.int64(_uniform(keys[case], cells[cell]) * (ties + 1))
            for region in range(regions):
                weight = weights[region, cell]
                if weight == 0:
                    continue
                if not valid:
                    sums[case, region, :] = np.nan
                    tails[case, region, :, :] = np.nan
                    table[case, region, :, :, :] = np.nan
                    ranks[case, region, :] = np.nan
                    continue
                sums[case, region, 0] += weight * error[lane] / count
                sums[case, region, 1] += weight * spread[lane] * pair
                sums[case, region, 2] += weight * bias
                sums[case, region, 3] += weight * bias * bias
                sums[case, region, 4] += weight * variance
                ranks[case, region, rank] += weight
        for level in range(levels):
            for lane in range(lanes):
                limit[lane] = limits[level, cells[cell_of[lane]]]
            _tail(block, count, y, limit, error, spread, above)
            for lane in range(lanes):
                case, cell = case_of[lane], cell_of[lane]
                if failed[lane] == 0 and np.isfinite(y[lane]):
                    happened = 1 if y[lane] > limit[lane] else 0
                    members = np.int64(above[lane])
                    for region in range(regions):
                        weight = weights[region, cell]
                        if weight == 0:
                            continue
                        tails[case, region, level, 0] += weight * error[lane] / count
                        tails[case, region, level, 1] += weight * spread[lane] * pair
                        table[case, region, level, members, happened] += weight
