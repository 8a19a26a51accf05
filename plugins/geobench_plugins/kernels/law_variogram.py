"""The squared difference of two mean variograms, debiased: how far members are from draws.

Cases stand side by side, `CASES` of them, in the precision of the data, and each value is less that
of a middle draw. A case with members or draws far away is computed by itself in double precision,
in a form that multiplies them by small numbers alone.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.fields import CASES, _from_seen, _powers, _side_by_side
from geobench_plugins.kernels.law_fields import _middle, _squared
from geobench_plugins.kernels.threads import over_rows, scratch

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

_SUMS = {"contract", "nsz"}
_ANY_ORDER = _SUMS | {"reassoc"}  # sums over members are vectorised
_FAR = 8  # times the median distance from the middle draw


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
    excess = np.full(len(members), np.nan)
    if not len(pairs):
        return excess
    places = np.ascontiguousarray(pairs)
    pair_weights = np.ascontiguousarray(weights, dtype=np.float64)
    kind, points = members.dtype, members.shape[2]
    every = (members.shape[1], draws.shape[1])
    width = (sum(every) + 2) * CASES
    norms, origins = np.zeros((len(members), sum(every))), np.zeros(len(members), np.int64)

    def run(first: int, stop: int) -> None:
        single, scores = scratch((points + 1) * width + 2 * CASES, kind), np.zeros(CASES)
        _middle(draws, _all(points), np.ones(points, kind), origins, first, stop)
        _sizes(members, draws, origins, _all(points), np.ones(points, kind), norms, first, stop)
        _near_cases(
            members, draws, origins, places, pair_weights, kind.type(power), single, scores,
            excess, first, stop,
        )  # fmt: skip
        sizes = norms[first:stop]
        far = ~(sizes.max(1) <= _FAR**2 * np.median(sizes, 1)) | np.isnan(excess[first:stop])
        for case in first + np.nonzero(far)[0]:
            x, y = (sample[case].T.astype(np.float64) for sample in (members, draws))
            excess[case] = _far_case(x, y, places, pair_weights, float(power))

    over_rows(run, len(members), block=CASES)
    return excess if every[1] > 1 else np.full(len(members), np.nan)


def _all(points: int) -> npt.NDArray[np.int64]:
    return np.arange(points)


def _same(members: Numbers, draws: Numbers) -> tuple[Numbers, Numbers]:
    kind = np.result_type(members, draws)
    if kind not in (np.float32, np.float64):
        kind = np.dtype(np.float64)
    return np.ascontiguousarray(members, dtype=kind), np.ascontiguousarray(draws, dtype=kind)


@njit(nogil=True, cache=True)
def _sizes(members, draws, origins, points, weights, norms, first, stop):
    """Squared distances of members and draws from the middle draw."""
    for case in range(first, stop):
        origin = draws[case, origins[case]]
        for member in range(members.shape[1]):
            norms[case, member] = _squared(members[case, member], origin, points, weights)
        for draw in range(draws.shape[1]):
            index = members.shape[1] + draw
            norms[case, index] = _squared(draws[case, draw], origin, points, weights)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _add_pair(sums, others, counts, weight, scores):
    """Add the squared difference of the means of a pair of points, less its sampling variance."""
    m, k = counts
    of_m, of_k = 1.0 / m, 1.0 / k
    noise = of_m / (m - 1) if m > 1 else 0.0
    other_noise = of_k / (k - 1) if k > 1 else 0.0
    for lane in range(CASES):
        total, square = np.float64(sums[lane]), np.float64(sums[CASES + lane])
        other, squares = np.float64(others[lane]), np.float64(others[CASES + lane])
        apart = total * of_m - other * of_k
        sampled = noise * (square - of_m * (total * total))
        sampled += other_noise * (squares - of_k * (other * other))
        scores[lane] += weight * (apart * apart - sampled)


@njit(nogil=True, cache=True)
def _near_cases(
    members, draws, origins, pairs, weights, power, single, scores, excess, first, stop
):  # fmt: skip
    m, k, points = members.shape[1], draws.shape[1], members.shape[2]
    of_m, width = (m + 1) * CASES, (m + k + 2) * CASES
    x = single[: points * width].reshape(points, width)
    drawn, sums = single[points * width : (points + 1) * width], single[(points + 1) * width :]
    others, middle = np.zeros_like(sums), np.zeros((CASES, points), members.dtype)
    for begin in range(first, stop, CASES):
        size = min(CASES, stop - begin)
        for case in range(size):
            middle[case] = draws[begin + case, origins[begin + case]]
        _side_by_side(x[:, :of_m], members[begin : begin + size], middle)
        _side_by_side(x[:, of_m:], draws[begin : begin + size], middle)
        scores[:] = 0
        for pair in range(len(pairs)):
            _powers(x[pairs[pair, 0]], x[pairs[pair, 1]], power, drawn)
            _from_seen(drawn, m, sums)
            _from_seen(drawn[of_m:], k, others)
            _add_pair(sums, others, (m, k), weights[pair], scores)
        for case in range(size):
            excess[begin + case] = scores[case] if np.isfinite(scores[case]) else np.nan


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _centre(a, b):
    """The middle one of three values: an offset is taken off, one far away is not chosen."""
    one, two, three = a[0], b[0], b[len(b) - 1]
    return max(min(one, two), min(max(one, two), three))


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _sums(values, centre):
    """Sum of values less the centre, and mean of their products over pairs of different ones.

    The largest one is multiplied with the sum of the others: it is never squared.
    """
    largest, index = -1.0, 0
    for k in range(len(values)):
        values[k] -= centre
        if abs(values[k]) > largest:
            largest, index = abs(values[k]), k
    far = values[index]
    values[index] = 0.0
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
def _far_case(x, y, pairs, weights, power):
    """The excess of a case: members and draws `(point, member)` in double precision."""
    total = 0.0
    for pair in range(len(pairs)):
        one, two = pairs[pair, 0], pairs[pair, 1]
        a, b = np.abs(x[one] - x[two]) ** power, np.abs(y[one] - y[two]) ** power
        centre = _centre(a, b)
        of_members, products = _sums(a, centre)
        of_draws, squared = _sums(b, centre)
        across = of_members / len(a) * (of_draws / len(b))
        total += weights[pair] * (products + squared - 2 * across)
    return total if np.isfinite(total) and len(b) > 1 else np.nan
