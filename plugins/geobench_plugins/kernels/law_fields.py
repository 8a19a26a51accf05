"""Excess of the energy score over that of the true distribution, by draws of it.

E|x - y| - E|x - x'| / 2 - E|y - y'| / 2 of fields, members x and draws y, each mean over all pairs.
Squares of a piece of the field are added in the precision of the data, eight pairs of fields at a
time, so that a number that is loaded is used often; the rest is summed in double precision. Where
fields are far apart the three means cancel. Such a case is computed again as
E b(x, x') / 2 + E b(y, y') / 2 - E b(x, y), with b(u, v) = |u| + |v| - |u - v| of fields less one
draw: b is at most twice the smaller of |u| and |v|.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.fields import SMALL, _same, saved, sizes_of, weighted
from geobench_plugins.kernels.threads import over_rows, scratch

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

_POINTS = 128  # of all fields at once
_UNIT = 8  # numbers: pieces are multiples, so that nothing is left over from wide registers
_ROWS = 4  # fields: their number is rounded up to a multiple
_FEW = 16  # points, of which the rounding of single precision does not average out
_FAR = 64  # times the middle distance from that draw
_SUMS = {"contract", "nsz"}
_ANY_ORDER = {"contract", "nsz", "reassoc"}


def excess_energy(members: Numbers, draws: Numbers, weights: Array) -> Array:
    """Excess of each case, `(case,)`: members `(case, M, point)`, draws `(case, K, point)`.

    weights as of `kernels.fields.energy_score`. A single member is a point mass. NaN where a value
    is not finite, and with a single draw.
    """
    if members.dtype != draws.dtype:
        members, draws = members.astype(np.float64), draws.astype(np.float64)
    members, draws = _same(members, draws)
    cells = np.nonzero(weights)[0]
    members, draws, cell_weights = weighted(members, draws, weights[cells])
    if len(cells) < _FEW and members.dtype == np.float32:
        members, draws, cell_weights = (
            array.astype(np.float64) for array in (members, draws, weights[cells])
        )
    count, every = members.shape[1], members.shape[1] + draws.shape[1]
    rounded = -(-every // _ROWS) * _ROWS
    piece = min(_POINTS, -(-max(1, len(cells)) // _UNIT) * _UNIT)
    excess, squares = np.zeros(len(members)), np.zeros((len(members), every))
    origins = np.zeros(len(members), np.int64)

    def run(first: int, stop: int) -> None:
        rows = scratch(rounded * piece, members.dtype).reshape(rounded, piece)
        _middle(draws, cells, cell_weights, origins, first, stop)
        _excess_energy(
            members, draws, origins, cells, cell_weights, rows, excess, squares, first, stop
        )
        norms = np.sqrt(squares[first:stop])
        middle = np.median(norms, 1)
        near = (norms.max(1) <= _FAR * middle) & (middle > SMALL)
        lost = ~(near & np.isfinite(excess[first:stop]))
        for case in first + np.nonzero(lost)[0]:
            fields = np.concatenate([sample[case][:, cells] for sample in (members, draws)])
            fields = fields.astype(np.float64)
            with np.errstate(invalid="ignore"):
                away = fields - fields[count + origins[case]]
                excess[case] = _far_excess(away * weights[cells], count)

    over_rows(run, len(members))
    excess[~np.isfinite(excess)] = np.nan
    return excess if draws.shape[1] > 1 else np.full(len(excess), np.nan)


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _squared(x, origin, cells, weights):
    total = 0.0
    for point in range(len(cells)):
        difference = np.float64((x[cells[point]] - origin[cells[point]]) * weights[point])
        total += difference * difference
    return total


@njit(nogil=True, cache=True)
def _middle(draws, cells, weights, origins, first, stop):
    """Draw of median distance from the first: none of a few that are far away."""
    sizes = np.zeros(draws.shape[1])
    for case in range(first, stop):
        for draw in range(len(sizes)):
            sizes[draw] = _squared(draws[case, draw], draws[case, 0], cells, weights)
        origins[case] = np.argsort(sizes)[(len(sizes) - 1) // 2]


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _weighed(fields, origin, cells, weights, rows, norms):
    """A piece of each field, (x - origin) * weights, and the sums of their squares."""
    for field in range(len(fields)):
        x, row = fields[field], rows[field]
        total = 0.0
        for point in range(len(cells)):
            row[point] = (x[cells[point]] - origin[cells[point]]) * weights[point]
            total += np.float64(row[point]) * np.float64(row[point])
        row[len(cells) :] = 0
        norms[field] += total


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _eight_squared(a, b, c, d, e, f):
    """|a - c|² to |a - f|², and |b - c|² to |b - f|²."""
    ac = ad = ae = af = bc = bd = be = bf = a.dtype.type(0)
    for point in range(len(a)):
        one, two = a[point], b[point]
        a_c, b_c = one - c[point], two - c[point]
        a_d, b_d = one - d[point], two - d[point]
        a_e, b_e = one - e[point], two - e[point]
        a_f, b_f = one - f[point], two - f[point]
        ac += a_c * a_c
        bc += b_c * b_c
        ad += a_d * a_d
        bd += b_d * b_d
        ae += a_e * a_e
        be += b_e * b_e
        af += a_f * a_f
        bf += b_f * b_f
    return (ac, ad, ae, af), (bc, bd, be, bf)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _add_squares(rows, squares):
    """Add squared distances over a piece, of each two fields to those before and beside them."""
    for j in range(0, len(rows), 2):
        for k in range(0, j + 1, _ROWS):
            one, other = _eight_squared(
                rows[j], rows[j + 1], rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
            )
            for index in range(_ROWS):
                squares[j, k + index] += np.float64(one[index])
                squares[j + 1, k + index] += np.float64(other[index])


@njit(forceinline=True, fastmath=_ANY_ORDER, cache=True)
def _roots(squares):
    total = 0.0
    for index in range(len(squares)):
        total += math.sqrt(squares[index])
    return total


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _excess_energy(
    members, draws, origins, cells, weights, rows, excess, norms, first, stop
):  # fmt: skip
    m, k = members.shape[1], draws.shape[1]
    every, piece = m + k, rows.shape[1]
    squares = np.zeros((len(rows), len(rows)))
    for case in range(first, stop):
        squares[:] = 0
        origin = draws[case, origins[case]]
        for begin in range(0, len(cells), piece):
            part_cells, part_weights = cells[begin : begin + piece], weights[begin : begin + piece]
            _weighed(members[case], origin, part_cells, part_weights, rows, norms[case])
            _weighed(draws[case], origin, part_cells, part_weights, rows[m:], norms[case, m:])
            _add_squares(rows, squares)
        within = across = between = 0.0
        for j in range(m):
            within += _roots(squares[j, :j])
        for j in range(m, every):
            across += _roots(squares[j, :m])
            between += _roots(squares[j, m:j])
        excess[case] = across / (m * k)
        excess[case] -= within / (m * max(1, m - 1)) + between / (k * max(1, k - 1))


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _far_excess(away, m):
    """The excess of fields less one of them, the first `m` of them members."""
    every, norms = len(away), sizes_of(away)
    k = every - m
    within = across = between = 0.0
    for j in range(every):
        for i in range(j):
            both = saved(away, norms, j, i)
            if j < m:
                within += both
            elif i < m:
                across += both
            else:
                between += both
    excess = within / (m * max(1, m - 1)) + between / (k * max(1, k - 1)) - across / (m * k)
    return excess + norms[0] if m == 1 else excess
