"""The squared difference of two mean variograms, debiased: how far members are from draws."""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.threads import over_rows, scratch

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

_ANY_ORDER = {"contract", "nsz", "reassoc"}  # sums over members are vectorised


def law_variogram(
    members: Numbers, draws: Numbers, pairs: npt.NDArray[np.int64], weights: Array, power: float
) -> Array:
    """Excess of the fair variogram score of `members` over that of the law, `(case,)`.

    Sum over `pairs` of points `(pair, 2)` of weight (mean_j v_j - mean_k w_k)², less the sampling
    variance of both means; v_j = |x_ji - x_jl|^p of the members `(case, member, point)`, w_k of the
    draws of the law alike. NaN for a single draw, or where a value is not finite.

    With a = v - c, b = w - c for any c, that is the mean of a_j a_l over pairs of members, plus
    that of b_k b_l over pairs of draws, less twice the product of the mean a and b: no square of a
    single member enters, so that one far away costs the others no digits. A single member is a
    point mass: its variance is not known, and the square of its a counts.
    """
    members, draws = _same(members, draws)
    found = np.full(len(members), np.nan)
    if not len(pairs):
        return found
    places, own = np.ascontiguousarray(pairs), np.ascontiguousarray(weights, dtype=np.float64)
    points, sizes = members.shape[2], (members.shape[1], draws.shape[1])
    exponent = members.dtype.type(power)

    def run(first: int, stop: int) -> None:
        x, y = (scratch(points * size, members.dtype).reshape(points, size) for size in sizes)
        a, b = (scratch(size, np.float64) for size in sizes)
        _cases(members, draws, places, own, exponent, x, y, a, b, found, first, stop)

    over_rows(run, len(members))
    if members.dtype == np.float32:
        for case in np.nonzero(np.isnan(found))[0]:  # powers may have been too large for it
            one = slice(case, case + 1)
            larger = members[one].astype(float), draws[one].astype(float)
            found[one] = law_variogram(*larger, pairs, weights, power)
    return found


def _same(members: Numbers, draws: Numbers) -> tuple[Numbers, Numbers]:
    kind = np.result_type(members, draws)
    if kind not in (np.float32, np.float64):
        kind = np.dtype(np.float64)
    return np.ascontiguousarray(members, dtype=kind), np.ascontiguousarray(draws, dtype=kind)


@njit(nogil=True, fastmath=_ANY_ORDER, cache=True)
def _powers(one, two, power, into):
    """|one - two|^power, in double precision."""
    if power == 0.5:
        for place in range(len(into)):
            into[place] = math.sqrt(abs(one[place] - two[place]))
    elif power == 1:
        for place in range(len(into)):
            into[place] = abs(one[place] - two[place])
    else:
        for place in range(len(into)):
            into[place] = abs(one[place] - two[place]) ** power


@njit(nogil=True, fastmath={"contract", "nsz"}, cache=True)
def _centre(a, b):
    """The middle one of three values: an offset is taken off, one far away is not chosen."""
    one, two, three = a[0], b[0], b[len(b) - 1]
    return max(min(one, two), min(max(one, two), three))


@njit(nogil=True, fastmath=_ANY_ORDER, cache=True)
def _sums(values, centre):
    """Sum of values less the centre, and mean of their products over pairs of different ones.

    The largest one is multiplied with the sum of the others: it is never squared.
    """
    largest, place = -1.0, 0
    for k in range(len(values)):
        values[k] -= centre
        if abs(values[k]) > largest:
            largest, place = abs(values[k]), k
    far = values[place]
    values[place] = 0.0
    total, square = 0.0, 0.0
    for k in range(len(values)):
        total += values[k]
        square += values[k] * values[k]
    count = len(values)
    if count == 1:
        return far, far * far
    products = (total * total - square) + 2 * far * total
    return total + far, products / (count * (count - 1))


@njit(nogil=True, cache=True)
def _turned(fields, into):
    """Members side by side: `(member, point)` to `(point, member)`."""
    for member in range(fields.shape[0]):
        for point in range(fields.shape[1]):
            into[point, member] = fields[member, point]


@njit(nogil=True, cache=True)
def _cases(members, draws, pairs, weights, power, x, y, a, b, found, first, stop):
    for case in range(first, stop):
        _turned(members[case], x)
        _turned(draws[case], y)
        total = 0.0
        for pair in range(len(pairs)):
            one, two = pairs[pair, 0], pairs[pair, 1]
            _powers(x[one], x[two], power, a)
            _powers(y[one], y[two], power, b)
            centre = _centre(a, b)
            of_members, products = _sums(a, centre)
            of_draws, squared = _sums(b, centre)
            across = of_members / len(a) * (of_draws / len(b))
            total += weights[pair] * (products + squared - 2 * across)
        valid = np.isfinite(total) and len(b) > 1
        found[case] = total if valid else np.nan
