"""Excess of the energy score over that of the true distribution, by draws of it.

E|x - y| - E|x - x'| / 2 - E|y - y'| / 2 of fields, members x and draws y, each mean over all pairs.
All fields of a case are put point by point beside each other, so that the distances from one of
them to many others are summed at once. Few squares are added in the precision of the data, the rest
in double precision. Where fields are far apart the three means cancel; such a case is taken again
as E b(x, x') / 2 + E b(y, y') / 2 - E b(x, y), with b(u, v) = |u| + |v| - |u - v| of fields less the
outcome, which is at most twice the smaller of |u| and |v|.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from geobench_plugins.kernels.fields import _beside, _same
from geobench_plugins.kernels.threads import over_rows, scratch

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]

_TILE = 16  # fields side by side
_POINTS = 64  # of all fields at once, in the cache; a multiple of _STEP
_STEP = 8  # squares that are added in the precision of the data
_FAR = 64  # times the middle distance from the outcome
_SUMS = {"contract", "nsz"}
_ANY_ORDER = {"contract", "nsz", "reassoc"}


def excess_energy(members: Numbers, draws: Numbers, outcome: Numbers, weights: Array) -> Array:
    """Excess of each case, `(case,)`: members `(case, M, point)`, draws `(case, K, point)`.

    outcome `(case, point)` is where fields are measured from, and decides nothing else; weights as
    of `kernels.fields.energy_score`. A single member is a point mass. NaN where a value is not
    finite, and with a single draw.
    """
    members, outcome = _same(members, outcome)
    draws, _ = _same(draws, outcome)
    cells = np.nonzero(weights)[0]
    of_cells = weights[cells].astype(np.float64)
    scale = of_cells.max(initial=0) or 1.0
    with np.errstate(invalid="ignore"):  # of a variable that never changes: infinite
        own = of_cells / scale
    if own.min(initial=1) < 1e-30 or draws.dtype != members.dtype:
        members, draws, outcome = (each.astype(np.float64) for each in (members, draws, outcome))
    own = np.ascontiguousarray(own, dtype=members.dtype)
    count, every = members.shape[1], members.shape[1] + draws.shape[1]
    tiles = -(-every // _TILE)
    found, squares = np.zeros(len(members)), np.zeros((len(members), every))

    def run(first: int, stop: int) -> None:
        rows = scratch(tiles * _POINTS * _TILE, members.dtype)
        _excess_energy(members, draws, outcome, cells, own, rows, found, squares, first, stop)
        norms = np.sqrt(squares[first:stop])
        lost = ~(norms.max(1) <= _FAR * np.median(norms, 1)) | ~np.isfinite(found[first:stop])
        for case in first + np.nonzero(lost)[0]:
            fields = np.concatenate([each[case][:, cells] for each in (members, draws)])
            with np.errstate(invalid="ignore"):
                away = fields.astype(np.float64) - outcome[case, cells].astype(np.float64)
                found[case] = _far_excess(away * (of_cells / scale), count)

    over_rows(run, len(members))
    found[~np.isfinite(found)] = np.nan
    return found * (scale if draws.shape[1] > 1 else np.nan)


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _tiled(fields, origin, cells, weights, rows, first, norms):
    """A piece of each field, (x - origin) * weights, to `rows[tile, point, field of the tile]`."""
    for field in range(len(fields)):
        tile, lane = (first + field) // _TILE, (first + field) % _TILE
        row = rows[tile * _POINTS * _TILE + lane :]
        x = fields[field]
        total = norms[first + field] * 0
        for point in range(len(cells)):
            value = (x[cells[point]] - origin[cells[point]]) * weights[point]
            row[point * _TILE] = value
            total += np.float64(value) * np.float64(value)
        norms[first + field] += total


@njit(nogil=True, fastmath=_ANY_ORDER, cache=True)
def _to_two(tile, one, other, sums):
    """Add squared distances, over some points, from two numbers each to all fields of a tile."""
    a, b, c, d, e, f, g, h = one
    i, j, k, l, m, n, o, p = other  # noqa: E741 # eight points
    for lane in range(_TILE):
        q, r = tile[lane], tile[_TILE + lane]
        s, t = tile[2 * _TILE + lane], tile[3 * _TILE + lane]
        u, v = tile[4 * _TILE + lane], tile[5 * _TILE + lane]
        w, x = tile[6 * _TILE + lane], tile[7 * _TILE + lane]
        near = ((q - a) ** 2 + (r - b) ** 2) + ((s - c) ** 2 + (t - d) ** 2)
        far = ((u - e) ** 2 + (v - f) ** 2) + ((w - g) ** 2 + (x - h) ** 2)
        sums[lane] += near + far
        near = ((q - i) ** 2 + (r - j) ** 2) + ((s - k) ** 2 + (t - l) ** 2)
        far = ((u - m) ** 2 + (v - n) ** 2) + ((w - o) ** 2 + (x - p) ** 2)
        sums[_TILE + lane] += near + far


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _eight(column):
    """Numbers of a field at eight points."""
    return (
        column[0], column[_TILE], column[2 * _TILE], column[3 * _TILE],
        column[4 * _TILE], column[5 * _TILE], column[6 * _TILE], column[7 * _TILE],
    )  # fmt: skip


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _add_squares(rows, points, every, sums, squares):
    """Add squared distances over a piece, of each field to those of its tile and later ones."""
    size = _POINTS * _TILE
    for j in range(0, every, 2):
        own = rows[j // _TILE * size + j % _TILE :]
        for tile in range(j // _TILE, -(-every // _TILE)):
            sums[:] = 0
            others = rows[tile * size : (tile + 1) * size]
            for point in range(0, points, _STEP):
                column = own[point * _TILE :]
                block = others[point * _TILE : (point + _STEP) * _TILE]
                _to_two(block, _eight(column), _eight(column[1:]), sums)
            for two in range(2):
                into = squares[j + two, tile * _TILE : (tile + 1) * _TILE]
                of = sums[two * _TILE : (two + 1) * _TILE]
                for lane in range(_TILE):
                    into[lane] += np.float64(of[lane])


@njit(nogil=True, fastmath=_ANY_ORDER, cache=True)
def _roots(squares):
    total = 0.0
    for place in range(len(squares)):
        total += math.sqrt(squares[place])
    return total


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _excess_energy(
    members, draws, outcome, cells, weights, rows, found, norms, first, stop
):  # fmt: skip
    m, k = members.shape[1], draws.shape[1]
    every, used = m + k, len(cells)
    width = -(-every // _TILE) * _TILE
    squares = np.zeros((width, width))
    sums = np.zeros(2 * _TILE, rows.dtype)
    for case in range(first, stop):
        squares[:] = 0
        for begin in range(0, used, _POINTS):
            own, of_own = cells[begin : begin + _POINTS], weights[begin : begin + _POINTS]
            points = -(-len(own) // _STEP) * _STEP
            if len(own) < points:
                rows[:] = 0
            _tiled(members[case], outcome[case], own, of_own, rows, 0, norms[case])
            _tiled(draws[case], outcome[case], own, of_own, rows, m, norms[case])
            _add_squares(rows, points, every, sums, squares)
        within = across = between = 0.0
        for j in range(m):
            within += _roots(squares[j, j + 1 : m])
            across += _roots(squares[j, m:every])
        for j in range(m, every):
            between += _roots(squares[j, j + 1 : every])
        found[case] = across / (m * k)
        found[case] -= within / (m * max(1, m - 1)) + between / (k * max(1, k - 1))


@njit(nogil=True, fastmath=_SUMS, cache=True)
def _far_excess(away, m):
    """The excess of fields less the outcome, the first `m` of them members."""
    every = len(away)
    k = every - m
    norms = np.zeros(every)
    for j in range(every):
        norms[j] = math.sqrt(_beside(away[j], away[j])[1])
    within = across = between = 0.0
    for j in range(every):
        for i in range(j):
            large, small = (j, i) if norms[j] >= norms[i] else (i, j)
            squared, product = _beside(away[large], away[small])
            sides = norms[large] + math.sqrt(squared)
            both = norms[small] + (product / sides if sides != 0 else sides)
            if j < m:
                within += both
            elif i < m:
                across += both
            else:
                between += both
    found = within / (m * max(1, m - 1)) + between / (k * max(1, k - 1)) - across / (m * k)
    return found + norms[0] if m == 1 else found
