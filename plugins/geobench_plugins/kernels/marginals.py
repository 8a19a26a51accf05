"""Everything that is asked of an ensemble's marginals, in one pass over its members.

Blocks of `LANES` points, members one above the other in the L1 cache, are sorted by a network of
comparators (Batcher, 1968), which LLVM vectorises. Of sorted members mean |x - x'| is a weighted
sum, and stays one where they are cut off at a threshold. Differences are taken in the precision of
the data, after sorting, where an offset that is large beside the spread costs nothing; more than
four of them, and squares, are summed in double precision.

What a block needs are rows of `LANES` in few arrays: of more, LLVM cannot tell that they do not
overlap, and gives up on vectors.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows, scratch

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

LANES = 64
_SUMS = {"contract", "nsz"}  # fused multiply-add; nothing that could reorder a sum
# Numbers of a lane, each a row of LANES: in the precision of the data, and in double precision.
_Y, _MIDDLE, _BELOW, _NEAREST, _LIMIT, _CUT, _ABOVE = (row * LANES for row in range(7))
_ERROR, _SPREAD, _TOTAL, _SQUARE, _BIAS = (row * LANES for row in range(5))
_VARIANCE = _SQUARE  # once it is complete


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
    limits = np.ascontiguousarray(thresholds[:, cells], dtype=members.dtype)
    regions, levels = len(weights), len(limits)
    sums = np.zeros((cases, regions, 5))
    tails = np.zeros((cases, regions, levels, 2))
    table = np.zeros((cases, regions, levels, count + 1, 2))
    ranks = np.zeros((cases, regions, count + 1))
    pairs = comparators(count)

    def run(first: int, stop: int) -> None:
        block = scratch(count * LANES, members.dtype)
        single, double = scratch(7 * LANES, members.dtype), scratch(5 * LANES, np.float64)
        _cases(
            members.reshape(-1), outcome.reshape(-1), points, count, cells, own, limits, pairs,
            keys, block, single, double, sums, tails, table, ranks, first, stop,
        )  # fmt: skip

    over_rows(run, cases)
    per_pair = 1 / (count * (count - 1)) if count > 1 else np.nan
    sums *= [1 / count, per_pair, 1, 1, 1 / (count - 1) if count > 1 else np.nan]
    tails *= [1 / count, per_pair]
    unknown = np.isnan(sums[..., 0]) | (total == 0)
    for each in (sums, tails, table, ranks):
        each[unknown] = np.nan
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
def _load(x, offsets, lanes, stride, count, block):
    """Members of each lane, one above the other; unused lanes are 0."""
    together = lanes == LANES and offsets[LANES - 1] - offsets[0] == LANES - 1
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


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _sort(block, pairs):
    for c in range(len(pairs)):
        a = block[pairs[c, 0] : pairs[c, 0] + LANES]
        b = block[pairs[c, 1] : pairs[c, 1] + LANES]
        for lane in range(LANES):
            one, two = a[lane], b[lane]
            a[lane] = one if one < two else two
            b[lane] = two if one < two else one


# Sorted members are summed by fours, two from either end, and those left in the middle one by one.
# Σ (2 j - M + 1) x_j is Σ (M - 1 - 2 j) (x_{M-1-j} - x_j) over the lower half: no term of it is
# negative, nor one of Σ |x - y|, so four of them may be added in the precision of the data.


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _moments(block, count, own, sums):
    """Of each lane: sums for mean |x - y| and |x - x'|, bias, M - 1 variances, members below y."""
    kind = block.dtype.type
    pairs = count // 4 * 2
    for lane in range(LANES):
        own[_MIDDLE + lane] = block[count // 2 * LANES + lane]
        own[_BELOW + lane] = 0
        own[_NEAREST + lane] = np.inf
        for row in range(4):
            sums[row * LANES + lane] = 0
    for pair in range(0, pairs, 2):
        low = block[pair * LANES : (pair + 2) * LANES]
        high = block[(count - 2 - pair) * LANES : (count - pair) * LANES]
        outer, inner = kind(count - 1 - 2 * pair), kind(count - 3 - 2 * pair)
        for lane in range(LANES):
            y, middle = own[_Y + lane], own[_MIDDLE + lane]
            a, b, c, d = low[lane], low[LANES + lane], high[lane], high[LANES + lane]
            sums[_SPREAD + lane] += np.float64(outer * (d - a) + inner * (c - b))
            own[_BELOW + lane] += (kind(a < y) + kind(b < y)) + (kind(c < y) + kind(d < y))
            to_y = abs(a - y), abs(b - y), abs(c - y), abs(d - y)
            sums[_ERROR + lane] += np.float64((to_y[0] + to_y[1]) + (to_y[2] + to_y[3]))
            nearest = min(min(to_y[0], to_y[1]), min(to_y[2], to_y[3]))
            own[_NEAREST + lane] = min(own[_NEAREST + lane], nearest)
            a, b, c, d = a - middle, b - middle, c - middle, d - middle
            sums[_TOTAL + lane] += np.float64((a + b) + (c + d))
            a, b, c, d = np.float64(a), np.float64(b), np.float64(c), np.float64(d)
            sums[_SQUARE + lane] += (a * a + b * b) + (c * c + d * d)
    for member in range(pairs, count - pairs):
        x = block[member * LANES : (member + 1) * LANES]
        for lane in range(LANES):
            y, middle = own[_Y + lane], own[_MIDDLE + lane]
            distance = np.float64(x[lane] - middle)
            sums[_ERROR + lane] += np.float64(abs(x[lane] - y))
            sums[_SPREAD + lane] += (2 * member - count + 1) * distance
            sums[_TOTAL + lane] += distance
            sums[_SQUARE + lane] += distance * distance
            own[_BELOW + lane] += kind(x[lane] < y)
            own[_NEAREST + lane] = min(own[_NEAREST + lane], abs(x[lane] - y))
    for lane in range(LANES):
        total = sums[_TOTAL + lane]
        bias = np.float64(own[_MIDDLE + lane] - own[_Y + lane]) + total / count
        sums[_ERROR + lane] += 0 * (sums[_ERROR + lane] + total)  # NaN if it is not finite
        sums[_BIAS + lane] = bias
        sums[_VARIANCE + lane] = sums[_SQUARE + lane] - total * (total / count)


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _larger(x, limit):
    return x if x > limit else limit  # a limit that is NaN stays: max does not promise it


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _tail(block, count, own, sums):
    """Of each lane, cut off at its limit: sums for mean |x - y| and |x - x'|; members above it."""
    kind = block.dtype.type
    pairs = count // 4 * 2
    for lane in range(LANES):
        own[_CUT + lane] = _larger(own[_Y + lane], own[_LIMIT + lane])
        own[_ABOVE + lane] = 0
        sums[_ERROR + lane] = 0
        sums[_SPREAD + lane] = 0
    for pair in range(0, pairs, 2):
        low = block[pair * LANES : (pair + 2) * LANES]
        high = block[(count - 2 - pair) * LANES : (count - pair) * LANES]
        outer, inner = kind(count - 1 - 2 * pair), kind(count - 3 - 2 * pair)
        for lane in range(LANES):
            y, t = own[_CUT + lane], own[_LIMIT + lane]
            a, b, c, d = low[lane], low[LANES + lane], high[lane], high[LANES + lane]
            own[_ABOVE + lane] += (kind(a > t) + kind(b > t)) + (kind(c > t) + kind(d > t))
            a, b, c, d = _larger(a, t), _larger(b, t), _larger(c, t), _larger(d, t)
            error = (abs(a - y) + abs(b - y)) + (abs(c - y) + abs(d - y))
            sums[_ERROR + lane] += np.float64(error)
            sums[_SPREAD + lane] += np.float64(outer * (d - a) + inner * (c - b))
    for member in range(pairs, count - pairs):
        x = block[member * LANES : (member + 1) * LANES]
        for lane in range(LANES):
            y, t = own[_CUT + lane], own[_LIMIT + lane]
            cut, middle = _larger(x[lane], t), _larger(own[_MIDDLE + lane], t)
            own[_ABOVE + lane] += kind(x[lane] > t)
            sums[_ERROR + lane] += np.float64(abs(cut - y))
            sums[_SPREAD + lane] += (2 * member - count + 1) * np.float64(cut - middle)


@njit(nogil=True, cache=True)
def _uniform(key, place):
    """A number in [0, 1) that depends on both (splitmix64)."""
    z = np.uint64(key) + np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@njit(nogil=True, cache=True)
def _draw_ties(block, count, own, lanes, keys, cells, first, place):
    """Raise the number of members below the outcome by a random one of those equal to it."""
    for lane in range(lanes):
        if own[_NEAREST + lane] == 0:
            ties = 0
            for member in range(count):
                ties += block[member * LANES + lane] == own[_Y + lane]
            case, cell = first + (place + lane) // len(cells), (place + lane) % len(cells)
            own[_BELOW + lane] += np.int64(_uniform(keys[case], cells[cell]) * (ties + 1))


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _add_moments(own, sums, lanes, weights, into, ranks):
    """Add lanes `lanes[0]` to `lanes[1]`, of one case, one after the other."""
    error, spread, bias, squared, variance = into[0], into[1], into[2], into[3], into[4]
    for lane in range(lanes[0], lanes[1]):
        weight = weights[lane - lanes[0]]
        if weight == 0:
            continue
        error += weight * sums[_ERROR + lane]
        spread += weight * sums[_SPREAD + lane]
        bias += weight * sums[_BIAS + lane]
        squared += weight * (sums[_BIAS + lane] * sums[_BIAS + lane])
        variance += weight * sums[_VARIANCE + lane]
        ranks[np.int64(own[_BELOW + lane])] += weight
    into[0], into[1], into[2], into[3], into[4] = error, spread, bias, squared, variance


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _add_tail(own, sums, lanes, weights, into, table):
    error, spread = into[0], into[1]
    for lane in range(lanes[0], lanes[1]):
        weight = weights[lane - lanes[0]]
        if weight == 0:
            continue
        error += weight * sums[_ERROR + lane]
        spread += weight * sums[_SPREAD + lane]
        happened = np.int64(own[_Y + lane] > own[_LIMIT + lane])
        table[np.int64(own[_ABOVE + lane]), happened] += weight
    into[0], into[1] = error, spread


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _cases(
    x, outcome, points, count, cells, weights, limits, pairs,
    keys, block, own, of_lane, sums, tails, table, ranks, first, stop,
):  # fmt: skip
    """Fill the results of cases `first` to `stop`; a case is summed in the order of its points."""
    regions, used, levels = weights.shape[0], len(cells), len(limits)
    offsets = np.zeros(LANES, np.int64)
    end = (stop - first) * used
    for begin in range(0, end, LANES):
        lanes = min(LANES, end - begin)
        case, cell = first + begin // used, begin % used
        for lane in range(lanes):
            offsets[lane] = case * count * points + cells[cell]
            own[_Y + lane] = outcome[case * points + cells[cell]]
            cell += 1
            if cell == used:
                case, cell = case + 1, 0
        _load(x, offsets, lanes, points, count, block)
        _sort(block, pairs)
        _moments(block, count, own, of_lane)
        _draw_ties(block, count, own, lanes, keys, cells, first, begin)
        case, cell, lane = first + begin // used, begin % used, 0
        while lane < lanes:
            until = min(lanes, lane + used - cell)
            for region in range(regions):
                _add_moments(
                    own, of_lane, (lane, until), weights[region, cell:],
                    sums[case, region], ranks[case, region],
                )  # fmt: skip
            case, cell, lane = case + 1, 0, until
        for level in range(levels):
            cell = begin % used
            for lane in range(lanes):
                own[_LIMIT + lane] = limits[level, cell]
                cell = cell + 1 if cell + 1 < used else 0
            _tail(block, count, own, of_lane)
            case, cell, lane = first + begin // used, begin % used, 0
            while lane < lanes:
                until = min(lanes, lane + used - cell)
                for region in range(regions):
                    _add_tail(
                        own, of_lane, (lane, until), weights[region, cell:],
                        tails[case, region, level], table[case, region, level],
                    )  # fmt: skip
                case, cell, lane = case + 1, 0, until
