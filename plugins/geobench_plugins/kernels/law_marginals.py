"""Excess of the CRPS over that of the true distribution, by draws of it, at every point.

E|x - y| - E|x - x'| / 2 - E|y - y'| / 2 of members x and draws y, each mean over all pairs, is half
the energy distance of the marginals (Székely & Rizzo, 2013, doi:10.1016/j.jspi.2013.03.018).
Members and draws are sorted by networks of comparators and merged by another (Batcher, 1968), as
in `kernels.marginals`; of sorted numbers a sum over pairs is a weighted sum. Where some numbers are
far from the others the three sums cancel. There the excess is a sum over the gaps of members and
draws together, with weights that are whole numbers: with n members and k draws below a gap,
F = n / M and G = k / K, the gap counts (F - G)² - F (1 - F) / (M - 1) - G (1 - G) / (K - 1). A
weight of 0 cancels any gap, however large.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.marginals import (
    _SUMS,
    LANES,
    Array,
    Numbers,
    _larger,
    _load,
    _sort,
    comparators,
)
from geobench_plugins.kernels.threads import over_rows, scratch

Places = npt.NDArray[np.int64]

_MEMBERS, _DRAWS, _ALL = (row * LANES for row in range(3))
_ROOM = {np.dtype(np.float32): 4.0, np.dtype(np.float64): 100.0}
"""Mean distance of pairs over the middle half's width, above which gaps are summed."""


def excess(
    members: Numbers, draws: Numbers, weights: Array, thresholds: Numbers
) -> tuple[Array, Array]:
    """Excess of each case `(case, region)`, and of max(x, t) and max(y, t) `(…, threshold)`.

    members `(case, M, point)`, draws `(case, K, point)`; weights `(region, point)` and thresholds
    `(threshold, point)` as of `kernels.marginals.marginals`. A single member is a point mass. NaN
    where a value is not finite, and with a single draw.
    """
    kind = np.result_type(members, draws)
    kind = kind if kind == np.float32 else np.dtype(np.float64)
    x, y = (np.ascontiguousarray(sample, dtype=kind) for sample in (members, draws))
    cells, cell_weights, total = _weights_of(weights)
    limits = np.ascontiguousarray(thresholds[:, cells], dtype=kind)
    counts = x.shape[1], y.shape[1]
    merge, order = merging(*counts)
    networks = comparators(counts[0]), comparators(counts[1]), merge
    excesses = np.zeros((len(x), len(cell_weights), 1 + len(limits)))

    def run(first: int, stop: int) -> None:
        block = scratch(sum(counts) * LANES, kind)
        _cases(
            x.reshape(-1), y.reshape(-1), x.shape[2], counts, cells, cell_weights, limits, networks,
            order, _ROOM[kind], block, excesses, first, stop,
        )  # fmt: skip

    over_rows(run, len(x))
    excesses[~np.isfinite(excesses[..., 0]) | (total == 0)] = np.nan
    if counts[1] == 1:
        excesses[:] = np.nan
    return excesses[..., 0], excesses[..., 1:]


def spread(members: Numbers, weights: Array) -> Array:
    """Half the mean |x - x'| over pairs of members, `(case, region)`; NaN for a single one."""
    count = members.shape[1]
    kind = np.dtype(np.float32 if members.dtype == np.float32 else np.float64)
    x = np.ascontiguousarray(members, dtype=kind)
    cells, cell_weights, total = _weights_of(weights)
    spreads = np.zeros((len(x), len(cell_weights)))
    order = np.arange(count) * LANES
    pairs = comparators(count)

    def run(first: int, stop: int) -> None:
        block = scratch(count * LANES, kind)
        _spreads(
            x.reshape(-1), x.shape[2], cells, cell_weights, pairs, order, block, spreads,
            first, stop,
        )  # fmt: skip

    over_rows(run, len(x))
    spreads /= count * (count - 1) if count > 1 else np.nan
    spreads[~np.isfinite(spreads) | (total == 0)] = np.nan
    return spreads


def _weights_of(weights: Array) -> tuple[Places, Array, Array]:
    """Points that have weight, their share of each region's, and each region's sum."""
    cells = np.nonzero((weights > 0).any(0))[0]
    cell_weights = np.ascontiguousarray(weights[:, cells], dtype=np.float64)
    total = cell_weights.sum(1)
    return cells, cell_weights / np.where(total > 0, total, 1)[:, None], total


@cache
def merging(one: int, other: int) -> tuple[Places, Places]:
    """Comparators that merge two sorted runs that follow each other, and where the order is then.

    Odd-even merge (Batcher, 1968; Knuth, 5.3.4): 385 comparators for two runs of 64.
    """
    pairs: list[tuple[int, int]] = []

    def merged(a: list[int], b: list[int]) -> list[int]:
        if not a or not b:
            return a + b
        if len(a) == len(b) == 1:
            pairs.append((a[0], b[0]))
            return a + b
        odd, even = merged(a[::2], b[::2]), merged(a[1::2], b[1::2])
        for low, high in zip(even, odd[1:], strict=False):
            pairs.append((low, high))
        both = [index for two in zip(even, odd[1:], strict=False) for index in two]
        return [odd[0], *both, *odd[1 + len(even) :], *even[len(odd) - 1 :]]

    order = merged(list(range(one)), list(range(one, one + other)))
    return np.array(pairs, np.int64).reshape(-1, 2) * LANES, np.array(order, np.int64) * LANES


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _apart(block, order, sums):
    """Of each lane, Σ |x_j - x_k| over pairs: sorted numbers, two from either end at a time."""
    count = len(order)
    middle = block[order[count // 2] : order[count // 2] + LANES]
    for lane in range(LANES):
        sums[lane] = 0 * np.float64(middle[lane])  # NaN if it is not finite
    pairs = count // 4 * 2
    for pair in range(0, pairs, 2):
        a = block[order[pair] : order[pair] + LANES]
        b = block[order[pair + 1] : order[pair + 1] + LANES]
        c = block[order[count - 2 - pair] : order[count - 2 - pair] + LANES]
        d = block[order[count - 1 - pair] : order[count - 1 - pair] + LANES]
        outer, inner = np.float64(count - 1 - 2 * pair), np.float64(count - 3 - 2 * pair)
        for lane in range(LANES):
            far, near = np.float64(d[lane]) - a[lane], np.float64(c[lane]) - b[lane]
            sums[lane] += outer * far + inner * near
    for pair in range(pairs, count // 2):
        a = block[order[pair] : order[pair] + LANES]
        d = block[order[count - 1 - pair] : order[count - 1 - pair] + LANES]
        for lane in range(LANES):
            sums[lane] += (count - 1 - 2 * pair) * (np.float64(d[lane]) - a[lane])


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _apart_above(block, order, limit, sums):
    """As `_apart`, of numbers that are raised to the limit."""
    count = len(order)
    sums[:LANES] = 0
    pairs = count // 4 * 2
    for pair in range(0, pairs, 2):
        a = block[order[pair] : order[pair] + LANES]
        b = block[order[pair + 1] : order[pair + 1] + LANES]
        c = block[order[count - 2 - pair] : order[count - 2 - pair] + LANES]
        d = block[order[count - 1 - pair] : order[count - 1 - pair] + LANES]
        outer, inner = np.float64(count - 1 - 2 * pair), np.float64(count - 3 - 2 * pair)
        for lane in range(LANES):
            t = limit[lane]
            far = np.float64(_larger(d[lane], t)) - _larger(a[lane], t)
            near = np.float64(_larger(c[lane], t)) - _larger(b[lane], t)
            sums[lane] += outer * far + inner * near
    for pair in range(pairs, count // 2):
        a = block[order[pair] : order[pair] + LANES]
        d = block[order[count - 1 - pair] : order[count - 1 - pair] + LANES]
        for lane in range(LANES):
            far = np.float64(_larger(d[lane], limit[lane])) - _larger(a[lane], limit[lane])
            sums[lane] += (count - 1 - 2 * pair) * far


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _combine(sums, counts, into):
    """E|x - y| - E|x - x'| / 2 - E|y - y'| / 2 by sums over pairs of x, of y and of all."""
    m, k = counts
    both = 1 / (m * k)
    one = both + (1 / (m * (m - 1)) if m > 1 else 0.0)
    other = both + (1 / (k * (k - 1)) if k > 1 else 0.0)
    for lane in range(LANES):
        into[lane] = (
            both * sums[_ALL + lane] - one * sums[_MEMBERS + lane] - other * sums[_DRAWS + lane]
        )


@njit(nogil=True, cache=True)
def _over_gaps(x, y, limit):
    """The excess of sorted members and draws, raised to the limit, as a sum over their gaps."""
    m, k = len(x), len(y)
    if not np.isfinite(x[0] + x[m - 1]) or not np.isfinite(y[0] + y[k - 1]):
        return np.nan
    i = j = 0
    total = 0.0
    before = limit
    while i < m or j < k:
        is_member = j == k or (i < m and x[i] <= y[j])
        value = max(x[i] if is_member else y[j], limit)
        # In units of 1 / (M K (M - 1) (K - 1)), whole numbers: 0 is 0.
        f, g = max(m - 1, 1), max(k - 1, 1)
        weight = (i * (k - j) + j * (m - i)) * f * g
        weight -= i * (m - i) * k * g + j * (k - j) * m * f if m > 1 else j * (k - j) * f
        if weight != 0 and i + j > 0:
            total += weight * (value - before)
        before = value
        if is_member:
            i += 1
        else:
            j += 1
    return total / (np.float64(m * k) * f * g)


@njit(nogil=True, cache=True)
def _far_lanes(x, y, offsets, points, counts, order, room, block, sums, lanes):
    """Lanes whose sums cancel: their numbers, sorted, `(lane, M + K)`, and which they are."""
    m, k = counts
    n = m + k
    places = np.zeros(lanes, np.int64)
    count = 0
    for lane in range(lanes):
        high, low = block[order[3 * n // 4] + lane], block[order[n // 4] + lane]
        width = np.float64(high) - np.float64(low)
        if not sums[_ALL + lane] <= room * n * n * width:
            places[count] = lane
            count += 1
    values = np.zeros((count, n))
    for row in range(count):
        case, cell = offsets[0, places[row]], offsets[1, places[row]]
        for member in range(m):
            values[row, member] = x[(case * m + member) * points + cell]
        for member in range(k):
            values[row, m + member] = y[(case * k + member) * points + cell]
        values[row, :m].sort()
        values[row, m:].sort()
    return places[:count], values


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _add(values, begin, lanes, weights, into, first):
    """Add lanes to the regions of their cases `(case, region)`, from the place of the first."""
    used = weights.shape[1]
    case, cell = first + begin // used, begin % used
    for lane in range(lanes):
        for region in range(len(weights)):
            if weights[region, cell] != 0:
                into[case, region] += weights[region, cell] * values[lane]
        cell += 1
        if cell == used:
            case, cell = case + 1, 0


@njit(nogil=True, cache=True)
def _cases(
    x, y, points, counts, cells, weights, limits, networks, order, room, block, excesses,
    first, stop,
):  # fmt: skip
    """Fill the results of cases `first` to `stop`; a case is summed in the order of its points."""
    m, k = counts
    used = len(cells)
    offsets = np.arange(max(m, k)) * LANES
    of_x, of_y = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    places = np.zeros((2, LANES), np.int64)
    sums = np.zeros((1 + len(limits), 3 * LANES))
    values, limit = np.zeros(LANES), np.zeros((len(limits), LANES), block.dtype)
    draws = block[m * LANES :]
    end = (stop - first) * used
    for begin in range(0, end, LANES):
        lanes = min(LANES, end - begin)
        case, cell = first + begin // used, begin % used
        for lane in range(lanes):
            places[0, lane], places[1, lane] = case, cells[cell]
            of_x[lane] = case * m * points + cells[cell]
            of_y[lane] = case * k * points + cells[cell]
            for level in range(len(limits)):
                limit[level, lane] = limits[level, cell]
            cell += 1
            if cell == used:
                case, cell = case + 1, 0
        _load(x, of_x, lanes, points, m, block)
        _load(y, of_y, lanes, points, k, draws)
        _sort(block, networks[0])
        _sort(draws, networks[1])
        _apart(block, offsets[:m], sums[0, _MEMBERS:])
        _apart(draws, offsets[:k], sums[0, _DRAWS:])
        for level in range(len(limits)):
            _apart_above(block, offsets[:m], limit[level], sums[1 + level, _MEMBERS:])
            _apart_above(draws, offsets[:k], limit[level], sums[1 + level, _DRAWS:])
        _sort(block, networks[2])
        _apart(block, order, sums[0, _ALL:])
        for level in range(len(limits)):
            _apart_above(block, order, limit[level], sums[1 + level, _ALL:])
        far, numbers = _far_lanes(
            x, y, places, points, counts, order, room, block, sums[0], lanes
        )  # fmt: skip
        for level in range(1 + len(limits)):
            _combine(sums[level], counts, values)
            for row in range(len(far)):
                lane = far[row]
                lowest = -np.inf if level == 0 else np.float64(limit[level - 1, lane])
                values[lane] = _over_gaps(numbers[row, :m], numbers[row, m:], lowest)
            _add(values, begin, lanes, weights, excesses[:, :, level], first)


@njit(nogil=True, cache=True)
def _spreads(x, points, cells, weights, pairs, order, block, spreads, first, stop):
    used, count = len(cells), len(order)
    offsets, sums = np.zeros(LANES, np.int64), np.zeros(LANES)
    end = (stop - first) * used
    for begin in range(0, end, LANES):
        lanes = min(LANES, end - begin)
        case, cell = first + begin // used, begin % used
        for lane in range(lanes):
            offsets[lane] = case * count * points + cells[cell]
            cell += 1
            if cell == used:
                case, cell = case + 1, 0
        _load(x, offsets, lanes, points, count, block)
        _sort(block, pairs)
        _apart(block, order, sums)
        _add(sums, begin, lanes, weights, spreads, first)
