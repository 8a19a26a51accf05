"""Energy and variogram scores: distances of whole fields, and differences between their points.

Both subtract first and in the precision of the data, so that an offset costs nothing. Few terms are
added in that precision, the squares of a piece of the field or the members of a pair of points; the
rest is summed in double precision. Where members are so far apart that the score is small beside
its parts, the case is scored again in a form whose parts do not cancel, in double precision.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows, scratch

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

CACHE = 24 * 1024  # bytes: a piece of the field, of all members, stays in the L1 cache
UNIT = 64  # numbers: pieces are multiples, so that nothing is left over from the widest registers
CASES = 32  # side by side
_SUMS = {"contract", "nsz"}
_ANY_ORDER = {"contract", "nsz", "reassoc"}  # a sum over a piece: so that it is vectorised


_FAR = 16  # times the score: members so far from the outcome would cost digits
SMALL = 1e-15  # distances whose squares single precision may not hold


def energy_score(members: Numbers, outcome: Numbers, weights: Array) -> Array:
    """Mean |x - y|, less half the mean |x - x'| over pairs of members: `(case,)`.

    `members` is `(case, member, point)`, `outcome` `(case, point)`; |·|² is the sum of weights²
    times squares; of points without weight nothing is read. Of a single member, |x - y|. NaN where
    a value is not finite.
    """
    members, outcome = _same(members, outcome)
    cells = np.nonzero(weights)[0]
    members, outcome, cell_weights = weighted(members, outcome, weights[cells])
    score, farthest = np.zeros((2, len(members)))
    even = (members.shape[1] + 2) // 2 * 2
    room = CACHE // (members.itemsize * even * UNIT)
    piece = UNIT * min(max(2, room), -(-max(1, len(cells)) // UNIT))

    def run(first: int, stop: int) -> None:
        rows = scratch(even * piece, members.dtype).reshape(even, piece)
        _energy_score(members, outcome, cells, cell_weights, rows, score, farthest, first, stop)
        size = farthest[first:stop]
        lost = ~((size <= _FAR * score[first:stop]) & (size > SMALL))
        for case in first + np.nonzero(lost)[0]:
            seen = outcome[case, cells].astype(np.float64)
            with np.errstate(invalid="ignore"):
                away = members[case][:, cells].astype(np.float64) - seen
                score[case] = _far_score(away * weights[cells])

    over_rows(run, len(members))
    score[~np.isfinite(score)] = np.nan
    return score


def weighted(
    members: Numbers, outcome: Numbers, weights: Array
) -> tuple[Numbers, Numbers, Numbers]:
    """Fields and weights in the precision of the data, or double if single has not the range."""
    used = weights[np.isfinite(weights)]
    if used.min(initial=1) < 1e-30 or used.max(initial=1) > 1e30:
        members, outcome = members.astype(np.float64), outcome.astype(np.float64)
    return members, outcome, np.ascontiguousarray(weights, dtype=members.dtype)


def _same(members: Numbers, outcome: Numbers) -> tuple[Numbers, Numbers]:
    if members.dtype not in (np.float32, np.float64):
        members = members.astype(np.float64)
    members = np.ascontiguousarray(members)
    return members, np.ascontiguousarray(outcome, dtype=members.dtype)


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _squared(one, two):
    total = one.dtype.type(0)
    for point in range(len(one)):
        difference = one[point] - two[point]
        total += difference * difference
    return np.float64(total)


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _four_squared(a, b, c, d):
    """|a - c|², |a - d|², |b - c|², |b - d|²: a number that is loaded is used twice."""
    ac = ad = bc = bd = a.dtype.type(0)
    for point in range(len(a)):
        a_c, a_d = a[point] - c[point], a[point] - d[point]
        b_c, b_d = b[point] - c[point], b[point] - d[point]
        ac += a_c * a_c
        ad += a_d * a_d
        bc += b_c * b_c
        bd += b_d * b_d
    return np.float64(ac), np.float64(ad), np.float64(bc), np.float64(bd)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _weighed(rows, fields, origin, cells, weights):
    """A piece of each field, (x - origin) * weights."""
    size, start = len(cells), cells[0]
    together = cells[size - 1] - start == size - 1
    for field in range(len(fields)):
        x, row = fields[field], rows[field]
        if together:
            values, zero = x[start : start + size], origin[start : start + size]
            for point in range(len(weights)):
                row[point] = (values[point] - zero[point]) * weights[point]
        else:
            for point in range(len(weights)):
                row[point] = (x[cells[point]] - origin[cells[point]]) * weights[point]


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _energy_score(members, outcome, cells, weights, rows, score, farthest, first, stop):
    """Score, and largest distance of a member from the outcome; differences are taken from it."""
    count, used = members.shape[1], len(cells)
    even, piece = rows.shape  # row `count` is the outcome; one behind it is not used
    squares = np.zeros((even, even))
    for case in range(first, stop):
        squares[:] = 0
        origin = outcome[case]
        for begin in range(0, used, piece):
            part_cells = cells[begin : begin + piece]
            part_weights = weights[begin : begin + piece]
            _weighed(rows, members[case], origin, part_cells, part_weights)
            _weighed(rows[count:], outcome[case : case + 1], origin, part_cells, part_weights)
            if len(part_cells) < piece:
                rows[:, len(part_cells) :] = 0
            for j in range(0, even, 2):
                for k in range(0, j, 2):
                    ac, ad, bc, bd = _four_squared(rows[j], rows[j + 1], rows[k], rows[k + 1])
                    squares[j, k] += ac
                    squares[j, k + 1] += ad
                    squares[j + 1, k] += bc
                    squares[j + 1, k + 1] += bd
                squares[j + 1, j] += _squared(rows[j + 1], rows[j])
        near = far = largest = 0.0
        for j in range(count):
            to_outcome = np.sqrt(squares[count, j])
            far += to_outcome
            largest = max(largest, to_outcome)
            for k in range(j):
                near += np.sqrt(squares[j, k])
        between = count * (count - 1)
        score[case] = far / count - (near / between if between else 0.0)
        farthest[case] = largest if np.isfinite(score[case]) else np.inf


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _beside(large, small):
    """|large - small|², and |large|² - |large - small|² without taking the difference."""
    squared = product = 0.0
    for point in range(len(large)):
        difference = large[point] - small[point]
        squared += difference * difference
        product += small[point] * (large[point] + difference)
    return squared, product


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _turned(one, other):
    """|one|² |other|² - (one · other)² of fields that are nearly opposite.

    Of what is left of one less a multiple of the other that is equal where the other is largest.
    """
    pivot = 0
    for point in range(len(other)):
        if abs(other[point]) > abs(other[pivot]):
            pivot = point
    factor = one[pivot] / other[pivot]
    squared = product = size = 0.0
    for point in range(len(one)):
        left = one[point] - factor * other[point] if point != pivot else 0.0
        squared += left * left
        product += left * other[point]
        size += other[point] * other[point]
    return squared * size - product * product


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def sizes_of(away):
    """|x| of each field."""
    norms = np.zeros(len(away))
    for field in range(len(away)):
        norms[field] = np.sqrt(_beside(away[field], away[field])[1])
    return norms


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def saved(away, norms, j, k):
    """|x_j| + |x_k| - |x_j - x_k| of fields less a near one: nothing that is large is subtracted.

    With |x_j| the larger, |x_j| - |x_j - x_k| is x_k · (2 x_j - x_k) / (|x_j| + |x_j - x_k|). Of
    fields on opposite sides it is nearly -|x_k|; then it is 2 (|x_j| |x_k| + x_j · x_k) over the
    sum of the three, by (|x_j| |x_k|)² - (x_j · x_k)².
    """
    if norms[j] < norms[k]:
        j, k = k, j
    squared, product = _beside(away[j], away[k])
    sides = norms[j] + np.sqrt(squared)
    if sides == 0:
        return 0.0
    difference = norms[k] + product / sides
    if difference < 1e-6 * norms[k]:
        across = (product + norms[k] * norms[k]) / 2  # x_j · x_k
        apart = norms[j] * norms[k] - across
        return 2 * _turned(away[j], away[k]) / (apart * (sides + norms[k]))
    return difference


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _far_score(away):
    """Energy score of fields less the outcome: Σ |x_j| + |x_k| - |x_j - x_k| over pairs."""
    count, norms = len(away), sizes_of(away)
    if count == 1:
        return norms[0]
    total = 0.0
    for j in range(count):
        for k in range(j):
            total += saved(away, norms, j, k)
    return total / (count * (count - 1))


def variogram(
    members: Numbers, outcome: Numbers, pairs: npt.NDArray[np.int64], weights: Array, power: float
) -> tuple[Array, Array]:
    """Plain and fair variogram score (Scheuerer & Hamill, 2015, doi:10.1175/MWR-D-14-00269.1).

    Sums over `pairs` of points `(pair, 2)` of weight (|y_i - y_k|^p - mean_j |x_ji - x_jk|^p)²,
    `(case,)`. The fair one is less the sampling variance of that mean, variance_j / M; of a single
    member it is the plain one. Both are NaN where a value is not finite, and without pairs.
    """
    members, outcome = _same(members, outcome)
    plain, fair = np.full((2, len(members)), np.nan)
    if not len(pairs):
        return plain, fair
    pair_weights = np.ascontiguousarray(weights, dtype=np.float64)
    places = np.ascontiguousarray(pairs)
    exponent = members.dtype.type(power)

    def run(first: int, stop: int) -> None:
        single = scratch(
            (members.shape[2] + 1) * (members.shape[1] + 1) * CASES + 2 * CASES, members.dtype
        )
        double = scratch(2 * CASES, np.float64)
        _variogram(
            members, outcome, places, pair_weights, exponent, single, double, plain, fair, first,
            stop,
        )  # fmt: skip

    over_rows(run, len(members), block=CASES)
    for case in np.nonzero(~(np.abs(fair) >= plain / 8))[0]:  # parts cancel, or overflow
        x, y = members[case].astype(np.float64), outcome[case].astype(np.float64)
        if np.isfinite(x).all() and np.isfinite(y).all():
            plain[case], fair[case] = _far_variogram(x, y, places, pair_weights, power)
    return plain, fair


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _side_by_side(x, members, outcome):
    """Cases to `x[point, member * CASES + case]`, the outcome last."""
    cases, count, points = members.shape
    for case in range(cases):
        for member in range(count):
            for point in range(points):
                x[point, member * CASES + case] = members[case, member, point]
        for point in range(points):
            x[point, count * CASES + case] = outcome[case, point]


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _powers(one, two, power, into):
    """|one - two|^power; the usual powers are quick."""
    if power == 0.5:
        for index in range(len(into)):
            into[index] = math.sqrt(abs(one[index] - two[index]))  # np.sqrt would be a call
    elif power == 1:
        for index in range(len(into)):
            into[index] = abs(one[index] - two[index])
    else:
        for index in range(len(into)):
            into[index] = abs(one[index] - two[index]) ** power


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _from_seen(drawn, count, sums):
    """Sums over members of differences from the outcome, which stands last, and of their squares.

    Members by fours, then by twos; an odd last one goes with the outcome, which adds nothing.
    """
    seen = drawn[count * CASES : (count + 1) * CASES]
    for lane in range(len(seen)):
        sums[lane] = 0
        sums[CASES + lane] = 0
    fours = count // 4 * 4
    for member in range(0, fours, 4):
        members = drawn[member * CASES : (member + 4) * CASES]
        for lane in range(len(seen)):
            y = seen[lane]
            a, b = members[lane] - y, members[CASES + lane] - y
            c, d = members[2 * CASES + lane] - y, members[3 * CASES + lane] - y
            sums[lane] += (a + b) + (c + d)
            sums[CASES + lane] += (a * a + b * b) + (c * c + d * d)
    for member in range(fours, count, 2):
        members = drawn[member * CASES : (member + 2) * CASES]
        for lane in range(len(seen)):
            a, b = members[lane] - seen[lane], members[CASES + lane] - seen[lane]
            sums[lane] += a + b
            sums[CASES + lane] += a * a + b * b


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _add_pair(sums, count, weight, scores):
    """Add weight mean² and the weighted sum of (x - mean)² of a pair of points."""
    share, of_square = 1 / count, weight / count**2
    for lane in range(len(sums) // 2):
        total, square = np.float64(sums[lane]), np.float64(sums[CASES + lane])
        scores[lane] += of_square * (total * total)
        scores[CASES + lane] += weight * (square - share * (total * total))


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _variogram(
    members, outcome, pairs, weights, power, single, scores, plain, fair, first, stop
):  # fmt: skip
    count, points = members.shape[1], members.shape[2]
    width = (count + 1) * CASES
    x = single[: points * width].reshape(points, width)
    drawn, sums = single[points * width : (points + 1) * width], single[(points + 1) * width :]
    per_case = 1.0 / (count - 1) / count if count > 1 else 0.0
    for begin in range(first, stop, CASES):
        size = min(CASES, stop - begin)
        _side_by_side(x, members[begin : begin + size], outcome[begin : begin + size])
        scores[:] = 0
        for pair in range(len(pairs)):
            _powers(x[pairs[pair, 0]], x[pairs[pair, 1]], power, drawn)
            _from_seen(drawn, count, sums)
            _add_pair(sums, count, weights[pair], scores)
        for lane in range(size):
            valid = np.isfinite(scores[lane])
            plain[begin + lane] = scores[lane] if valid else np.nan
            sampled = per_case * scores[CASES + lane]
            fair[begin + lane] = scores[lane] - sampled if valid else np.nan


@njit(nogil=True, cache=True)
def _far_variogram(x, y, pairs, weights, power):
    """Plain and fair score of a case whose members differ so much that the parts cancel.

    With d_j = |x_ji - x_jk|^p - |y_i - y_k|^p, the fair one is the mean of d_j d_l over pairs of
    members: each is multiplied by the sum of those before it.
    """
    count = len(x)
    plain = fair = 0.0
    for pair in range(len(pairs)):
        i, k = pairs[pair, 0], pairs[pair, 1]
        seen = abs(y[i] - y[k]) ** power
        total = products = 0.0
        for member in range(count):
            d = abs(x[member, i] - x[member, k]) ** power - seen
            products += d * total
            total += d
        plain += weights[pair] * (total / count) ** 2
        fair += weights[pair] * (2 * products / (count * max(1, count - 1)))
    return plain, fair if count > 1 else plain
