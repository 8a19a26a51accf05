"""Everything that is asked of an ensemble's marginals, in one pass over its members.

Blocks of `LANES` points, members one above the other in the L1 cache, are sorted by a network of
comparators (Batcher, 1968), which LLVM vectorises. The fair CRPS of sorted members is a sum of
terms that are not negative, so nothing cancels: with d = x - y, a pair of members adds
|d_j| + |d_k| - |d_j - d_k|, which is 2 min(|d_j|, |d_k|) if both are on one side of y, and else 0.
So each member counts by how many members lie beyond it, and the last one on either side does not
count at all, however far away it is. Differences are taken in the precision of the data, where an
offset that is large beside the spread costs nothing; more than four terms, and squares, are summed
in double precision.

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
_FUSED = {"contract"}  # multiply-add
_SUMS = _FUSED | {"nsz"}  # and nothing that could reorder a sum
# Numbers of a lane, each a row of LANES: in the precision of the data, and in double precision.
_Y, _MIDDLE, _BELOW, _NEAREST, _LIMIT, _CUT, _ABOVE = (row * LANES for row in range(7))
_CRPS, _DEBIASED, _TOTAL, _SQUARE, _BIAS = (row * LANES for row in range(5))
_VARIANCE = _SQUARE  # once it is complete


class Marginals(NamedTuple):
    """Means over the points of each region, `(case, region, …)`; NaN where a value is not finite.

    crps: the fair CRPS, mean |x - y| less half the mean |x - x'| over pairs of members; of a single
    member, |x - y|.
    bias: ensemble mean less outcome. squared: its square. variance: over M - 1.
    debiased: squared less variance / M, what sampling adds to it; of a single member, squared.
    tail_crps `(…, threshold)`: the CRPS of max(x, t) and max(y, t), the CRPS above t (Gneiting &
    Ranjan, 2011, doi:10.1198/jbes.2010.08110).
    table `(…, threshold, M + 1, 2)`: shares of the points in which k members are above t, and the
    outcome is not (0) or is (1).
    ranks `(…, M + 1)`: shares of the points with so many members below the outcome; of members
    equal to it a random number counts.
    """

    crps: Array
    bias: Array
    squared: Array
    debiased: Array
    variance: Array
    tail_crps: Array
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
    depend on, and the place of the point. The variance of a single member is NaN, and so is
    everything in a region without points.
    """
    cases, count, points = members.shape
    if members.dtype not in (np.float32, np.float64):
        members = members.astype(np.float64)
    members = np.ascontiguousarray(members)
    outcome = np.ascontiguousarray(outcome, dtype=members.dtype)
    cells = np.nonzero((weights > 0).any(0))[0]
    cell_weights = np.ascontiguousarray(weights[:, cells], dtype=np.float64)
    total = cell_weights.sum(1)
    cell_weights /= np.where(total > 0, total, 1)[:, None]
    limits = np.ascontiguousarray(thresholds[:, cells], dtype=members.dtype)
    regions, levels = len(weights), len(limits)
    sums = np.zeros((cases, regions, 5))
    tails = np.zeros((cases, regions, levels))
    table = np.zeros((cases, regions, levels, count + 1, 2))
    ranks = np.zeros((cases, regions, count + 1))
    pairs = comparators(count)
    shares = beyond(count, members.dtype)

    def run(first: int, stop: int) -> None:
        block = scratch(count * LANES, members.dtype)
        single, double = scratch(7 * LANES, members.dtype), scratch(5 * LANES, np.float64)
        _cases(
            members.reshape(-1), outcome.reshape(-1), points, count, cells, cell_weights, limits,
            pairs, shares, keys, block, single, double, sums, tails, table, ranks, first, stop,
        )  # fmt: skip

    over_rows(run, cases)
    sums *= [per_pair(count), 1, 1, 1, 1 / (count - 1) if count > 1 else np.nan]
    tails *= per_pair(count)
    unknown = ~np.isfinite(sums[..., 0]) | (total == 0)
    for array in (sums, tails, table, ranks):
        array[unknown] = np.nan
    crps, bias, squared, debiased, variance = np.moveaxis(sums, -1, 0)
    summary = Marginals(crps, bias, squared, debiased, variance, tails, table, ranks)
    if members.dtype == np.float32:
        for case in np.nonzero(unknown[:, total > 0].any(1))[0]:
            one = slice(case, case + 1)
            x, y = members[one].astype(np.float64), outcome[one]
            if np.isfinite(x[..., cells]).all() and np.isfinite(y[:, cells]).all():
                # Differences were too large for single precision.
                for mine, exact in zip(
                    summary, marginals(x, y, weights, thresholds, keys[one]), strict=True
                ):
                    mine[one] = exact
    return summary


def beyond(count: int, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """How many members lie above each sorted one, and below it: `(2, count)`, by a power of two.

    So scaled that four terms of the CRPS are no larger than their differences. A single member
    counts on either side.
    """
    below = np.arange(count) if count > 1 else np.ones(1)
    scaled: npt.NDArray[np.floating] = (np.stack([below[::-1], below]) * _unit(count)).astype(dtype)
    return scaled


def _unit(count: int) -> float:
    return 2.0 ** -(count.bit_length() + 2)


def per_pair(count: int) -> float:
    """What a sum of `beyond` times distances is multiplied by, to be a mean over pairs."""
    return (2 / (count * (count - 1)) if count > 1 else 1.0) / _unit(count)


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


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _load(x, offsets, lanes, stride, count, block):
    """Members of each lane, one above the other; unused lanes are 0."""
    together = lanes == LANES and offsets[LANES - 1] - offsets[0] == LANES - 1
    for member in range(count):
        row = block[member * LANES : (member + 1) * LANES]
        if together:
            source = x[offsets[0] + member * stride : offsets[0] + member * stride + LANES]
            for lane in range(LANES):
                row[lane] = source[lane]
        else:
            for lane in range(lanes):
                row[lane] = x[offsets[lane] + member * stride]
            for lane in range(lanes, LANES):
                row[lane] = 0


# `x if x < y else y` put where x was is compiled to a store under a mask, which takes many times as
# long as any other on some processors (AMD's). Added to zero, it is a minimum and a store; a sum
# with zero must not be folded, so signed zeros count here.


@njit(forceinline=True, fastmath=_FUSED, cache=True)
def _sort(block, pairs):
    zero = block.dtype.type(0)
    for c in range(len(pairs)):
        a = block[pairs[c, 0] : pairs[c, 0] + LANES]
        b = block[pairs[c, 1] : pairs[c, 1] + LANES]
        for lane in range(LANES):
            one, two = a[lane], b[lane]
            a[lane] = (one if one < two else two) + zero
            b[lane] = two if one < two else one


# Sorted members are summed by fours, two from either end, and those left in the middle one by one.
# No term of the CRPS is negative, so four of them may be added in the precision of the data.


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _charged(d, above, below):
    """Distance times the number of members beyond: on the side on which the member is."""
    one, two = d * above, -d * below
    return one if one > two else two


@njit(forceinline=True, fastmath=_FUSED, cache=True)
def _moments(block, count, shares, lane_values, sums):
    """Of each lane: the CRPS, bias, M - 1 variances, debiased square of the bias, members below."""
    kind = block.dtype.type
    zero, pairs = kind(0), count // 4 * 2
    for lane in range(LANES):
        lane_values[_MIDDLE + lane] = block[count // 2 * LANES + lane]
        lane_values[_BELOW + lane] = 0
        lane_values[_NEAREST + lane] = np.inf
        for row in range(5):
            sums[row * LANES + lane] = 0
    for pair in range(0, pairs, 2):
        low = block[pair * LANES : (pair + 2) * LANES]
        high = block[(count - 2 - pair) * LANES : (count - pair) * LANES]
        few, less = shares[1, pair], shares[1, pair + 1]
        more, most = shares[0, pair + 1], shares[0, pair]
        for lane in range(LANES):
            y, middle = lane_values[_Y + lane], np.float64(lane_values[_MIDDLE + lane])
            a, b, c, d = low[lane], low[LANES + lane], high[lane], high[LANES + lane]
            lane_values[_BELOW + lane] += (kind(a < y) + kind(b < y)) + (kind(c < y) + kind(d < y))
            to_y = a - y, b - y, c - y, d - y
            nearest = min(min(abs(to_y[0]), abs(to_y[1])), min(abs(to_y[2]), abs(to_y[3])))
            lane_values[_NEAREST + lane] = min(lane_values[_NEAREST + lane], nearest) + zero
            outer = _charged(to_y[0], most, few) + _charged(to_y[3], few, most)
            inner = _charged(to_y[1], more, less) + _charged(to_y[2], less, more)
            sums[_CRPS + lane] += np.float64(outer + inner)
            a, b = np.float64(a) - middle, np.float64(b) - middle
            c, d = np.float64(c) - middle, np.float64(d) - middle
            sums[_TOTAL + lane] += (a + d) + (b + c)
            sums[_SQUARE + lane] += (a * a + b * b) + (c * c + d * d)
    for member in range(pairs, count - pairs):
        x = block[member * LANES : (member + 1) * LANES]
        above, below = shares[0, member], shares[1, member]
        for lane in range(LANES):
            y, middle = lane_values[_Y + lane], np.float64(lane_values[_MIDDLE + lane])
            to_y, distance = x[lane] - y, np.float64(x[lane]) - middle
            sums[_CRPS + lane] += np.float64(_charged(to_y, above, below))
            sums[_TOTAL + lane] += distance
            sums[_SQUARE + lane] += distance * distance
            lane_values[_BELOW + lane] += kind(x[lane] < y)
            lane_values[_NEAREST + lane] = min(lane_values[_NEAREST + lane], abs(to_y)) + zero
    sampled = 1 / (count * (count - 1)) if count > 1 else 0.0
    for lane in range(LANES):
        total, middle = sums[_TOTAL + lane], np.float64(lane_values[_MIDDLE + lane])
        bias = middle - np.float64(lane_values[_Y + lane]) + total / count
        variance = sums[_SQUARE + lane] - total * (total / count)
        sums[_CRPS + lane] += 0 * bias  # NaN if it is not finite
        sums[_BIAS + lane] = bias
        sums[_VARIANCE + lane] = variance
        sums[_DEBIASED + lane] = bias * bias - variance * sampled


@njit(nogil=True, cache=True)
def _added(high, low, x):
    """Sum in twice the precision (Knuth, 4.2.2, theorem B): nothing may reorder it."""
    total = high + x
    part = total - high
    return total, low + ((high - (total - part)) + (x - part))


@njit(nogil=True, cache=True)
def _differ(block, count, lane, y):
    """Bias, and its debiased square, of a lane whose members are far apart.

    The latter is the mean of (x_j - y) (x_k - y) over pairs of members, added up pair by pair from
    the members nearest to y to the farthest: a far one is multiplied by the sum of all others.
    """
    above = 0
    while above < count and np.float64(block[above * LANES + lane]) < y:
        above += 1
    below = above - 1
    high = low = products = 0.0
    for _ in range(count):
        if above == count:
            up = False
        elif below < 0:
            up = True
        else:
            up = block[above * LANES + lane] - y <= y - block[below * LANES + lane]
        x = np.float64(block[(above if up else below) * LANES + lane])
        if up:
            above += 1
        else:
            below -= 1
        products += (x - y) * (high + low)
        high, low = _added(high, low, x)
        high, low = _added(high, low, -y)
    return (high + low) / count, 2 * products / (count * (count - 1))


@njit(nogil=True, cache=True)
def _resolve(block, count, lane_values, lanes, sums):
    """Take bias and debiased square again where their parts cancel to little."""
    if count == 1:
        return
    for lane in range(lanes):
        squared = sums[_BIAS + lane] * sums[_BIAS + lane]
        lost = abs(sums[_DEBIASED + lane]) < 1e-4 * squared
        if lost or squared < 1e-8 * sums[_VARIANCE + lane]:
            y = np.float64(lane_values[_Y + lane])
            sums[_BIAS + lane], sums[_DEBIASED + lane] = _differ(block, count, lane, y)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _larger(x, limit):
    return x if x > limit else limit  # a limit that is NaN stays: max does not promise it


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _tail(block, count, shares, lane_values, sums):
    """Of each lane, cut off at its limit: the CRPS; members above it."""
    kind = block.dtype.type
    pairs = count // 4 * 2
    for lane in range(LANES):
        lane_values[_CUT + lane] = _larger(lane_values[_Y + lane], lane_values[_LIMIT + lane])
        lane_values[_ABOVE + lane] = 0
        sums[_CRPS + lane] = 0
    for pair in range(0, pairs, 2):
        low = block[pair * LANES : (pair + 2) * LANES]
        high = block[(count - 2 - pair) * LANES : (count - pair) * LANES]
        few, less = shares[1, pair], shares[1, pair + 1]
        more, most = shares[0, pair + 1], shares[0, pair]
        for lane in range(LANES):
            y, t = lane_values[_CUT + lane], lane_values[_LIMIT + lane]
            a, b, c, d = low[lane], low[LANES + lane], high[lane], high[LANES + lane]
            lane_values[_ABOVE + lane] += (kind(a > t) + kind(b > t)) + (kind(c > t) + kind(d > t))
            a, b, c, d = _larger(a, t), _larger(b, t), _larger(c, t), _larger(d, t)
            outer = _charged(a - y, most, few) + _charged(d - y, few, most)
            inner = _charged(b - y, more, less) + _charged(c - y, less, more)
            sums[_CRPS + lane] += np.float64(outer + inner)
    for member in range(pairs, count - pairs):
        x = block[member * LANES : (member + 1) * LANES]
        above, below = shares[0, member], shares[1, member]
        for lane in range(LANES):
            y, t = lane_values[_CUT + lane], lane_values[_LIMIT + lane]
            lane_values[_ABOVE + lane] += kind(x[lane] > t)
            sums[_CRPS + lane] += np.float64(_charged(_larger(x[lane], t) - y, above, below))


@njit(nogil=True, cache=True)
def _uniform(key, point):
    """A number in [0, 1) that depends on both (splitmix64)."""
    z = np.uint64(key) + np.uint64(point + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@njit(nogil=True, cache=True)
def _draw_ties(block, count, lane_values, lanes, keys, cells, first, begin):
    """Raise the number of members below the outcome by a random one of those equal to it."""
    for lane in range(lanes):
        if lane_values[_NEAREST + lane] == 0:
            ties = 0
            for member in range(count):
                ties += block[member * LANES + lane] == lane_values[_Y + lane]
            case, cell = first + (begin + lane) // len(cells), (begin + lane) % len(cells)
            lane_values[_BELOW + lane] += np.int64(_uniform(keys[case], cells[cell]) * (ties + 1))


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _add_moments(lane_values, sums, lanes, weights, into, ranks):
    """Add lanes `lanes[0]` to `lanes[1]`, of one case, one after the other."""
    crps, bias, squared, debiased, variance = into[0], into[1], into[2], into[3], into[4]
    for lane in range(lanes[0], lanes[1]):
        weight = weights[lane - lanes[0]]
        if weight == 0:
            continue
        crps += weight * sums[_CRPS + lane]
        bias += weight * sums[_BIAS + lane]
        squared += weight * (sums[_BIAS + lane] * sums[_BIAS + lane])
        debiased += weight * sums[_DEBIASED + lane]
        variance += weight * sums[_VARIANCE + lane]
        ranks[np.int64(lane_values[_BELOW + lane])] += weight
    into[0], into[1], into[2], into[3], into[4] = crps, bias, squared, debiased, variance


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _add_tail(lane_values, sums, lanes, weights, into, table):
    for lane in range(lanes[0], lanes[1]):
        weight = weights[lane - lanes[0]]
        if weight == 0:
            continue
        into[0] += weight * sums[_CRPS + lane]
        happened = np.int64(lane_values[_Y + lane] > lane_values[_LIMIT + lane])
        table[np.int64(lane_values[_ABOVE + lane]), happened] += weight


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _cases(
    x, outcome, points, count, cells, weights, limits, pairs,
    shares, keys, block, lane_values, of_lane, sums, tails, table, ranks, first, stop,
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
            lane_values[_Y + lane] = outcome[case * points + cells[cell]]
            cell += 1
            if cell == used:
                case, cell = case + 1, 0
        _load(x, offsets, lanes, points, count, block)
        _sort(block, pairs)
        _moments(block, count, shares, lane_values, of_lane)
        _resolve(block, count, lane_values, lanes, of_lane)
        _draw_ties(block, count, lane_values, lanes, keys, cells, first, begin)
        case, cell, lane = first + begin // used, begin % used, 0
        while lane < lanes:
            until = min(lanes, lane + used - cell)
            for region in range(regions):
                _add_moments(
                    lane_values, of_lane, (lane, until), weights[region, cell:],
                    sums[case, region], ranks[case, region],
                )  # fmt: skip
            case, cell, lane = case + 1, 0, until
        for level in range(levels):
            cell = begin % used
            for lane in range(lanes):
                lane_values[_LIMIT + lane] = limits[level, cell]
                cell = cell + 1 if cell + 1 < used else 0
            _tail(block, count, shares, lane_values, of_lane)
            case, cell, lane = first + begin // used, begin % used, 0
            while lane < lanes:
                until = min(lanes, lane + used - cell)
                for region in range(regions):
                    _add_tail(
                        lane_values, of_lane, (lane, until), weights[region, cell:],
                        tails[case, region, level:], table[case, region, level],
                    )  # fmt: skip
                case, cell, lane = case + 1, 0, until
