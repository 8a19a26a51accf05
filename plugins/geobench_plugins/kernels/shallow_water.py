"""The shallow-water step in numba, one row of a state at a time, in short slabs that stay in cache.

A field is one flat array of n + 3 padded rows of p = n + 2 numbers: cell (j, i) stands at
(j + 1) p + i + 1, with the ghosts of the walls around it. Every loop is one long contiguous run
over a slab of whole padded rows; what it leaves in the ghosts is put right afterwards, or never
read.
Equations and boundary conditions are those of `shallow_water_torch`.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# (numba has no type hints; what it compiles is typed by the arrays it is called with)

import numpy as np
from numba import njit

SCHEMES = ("een", "energy", "enstrophy")
SLAB = 128 * 1024  # bytes that the fields of one slab may take

# An index that may be negative would be wrapped around, at a cost: offsets are unsigned.
U = np.uint64
ONE = U(1)

# NaN and infinity keep their meaning: a run that blows up has to show it. The "numpy" error model
# divides without asking whether to raise, which would keep a loop from being vectorised.
_options = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
_compiled = njit(forceinline=True, **_options)

# Names in the loops: h thickness, e displacement, b Bernoulli head, q potential vorticity,
# mu, mv transports h u and h v, fu, fv their vorticity fluxes, lu, lv Laplacians times dx^2.


@_compiled
def _thickness(start, stop, depth, e, h):
    for k in range(start, stop):
        h[k] = depth[k] + e[k]


@_compiled
def _potential_vorticity(start, stop, p, per_dx, f, h, u, v, mu, mv, q):
    half = f.dtype.type(0.5)
    quarter = f.dtype.type(0.25)
    for k in range(start, stop):
        here, west, south = h[k], h[k - ONE], h[k - p]
        mu[k] = half * u[k] * (here + west)
        mv[k] = half * v[k] * (here + south)
        zeta = per_dx * ((v[k] - v[k - ONE]) - (u[k] - u[k - p]))
        q[k] = (f[k] + zeta) / (quarter * ((here + west) + (south + h[k - p - ONE])))


@_compiled
def _head(start, stop, p, gravity, e, u, v, b):
    quarter = e.dtype.type(0.25)
    for k in range(start, stop):
        square = (u[k] * u[k] + u[k + ONE] * u[k + ONE]) + (v[k] * v[k] + v[k + p] * v[k + p])
        b[k] = gravity * e[k] + quarter * square


@_compiled
def _laplacians(start, stop, p, u, v, lu, lv):
    four = u.dtype.type(4)
    for k in range(start, stop):
        lu[k] = (u[k - ONE] + u[k + ONE]) + (u[k - p] + u[k + p]) - four * u[k]
        lv[k] = (v[k - ONE] + v[k + ONE]) + (v[k - p] + v[k + p]) - four * v[k]


@_compiled
def _een(start, stop, p, q, mu, mv, fu, fv):
    twelfth = q.dtype.type(1 / 12)
    for k in range(start, stop):
        q0, qe, qn = q[k], q[k + ONE], q[k + p]
        west = (mv[k] + mv[k - ONE]) + (mv[k + p] + mv[k + p - ONE])
        sides = (qe * mv[k] + q[k + p + ONE] * mv[k + p]) + (
            q[k - ONE] * mv[k - ONE] + q[k + p - ONE] * mv[k + p - ONE]
        )
        fu[k] = twelfth * ((q0 + qn) * west + sides)
        south = (mu[k] + mu[k + ONE]) + (mu[k - p] + mu[k - p + ONE])
        sides = (qn * mu[k] + q[k + p + ONE] * mu[k + ONE]) + (
            q[k - p] * mu[k - p] + q[k - p + ONE] * mu[k - p + ONE]
        )
        fv[k] = -twelfth * ((q0 + qe) * south + sides)


@_compiled
def _energy(start, stop, p, q, mu, mv, fu, fv):
    quarter = q.dtype.type(0.25)
    for k in range(start, stop):
        q0 = q[k]
        fu[k] = quarter * (q0 * (mv[k] + mv[k - ONE]) + q[k + p] * (mv[k + p] + mv[k + p - ONE]))
        fv[k] = -quarter * (q0 * (mu[k] + mu[k - p]) + q[k + ONE] * (mu[k + ONE] + mu[k - p + ONE]))


@_compiled
def _enstrophy(start, stop, p, q, mu, mv, fu, fv):
    eighth = q.dtype.type(0.125)
    for k in range(start, stop):
        q0 = q[k]
        west = (mv[k] + mv[k - ONE]) + (mv[k + p] + mv[k + p - ONE])
        south = (mu[k] + mu[k + ONE]) + (mu[k - p] + mu[k - p + ONE])
        fu[k] = eighth * (q0 + q[k + p]) * west
        fv[k] = -eighth * (q0 + q[k + ONE]) * south


@_compiled
def _momentum(start, stop, step, numbers, shifts, flux, b, h, stress, lap, x, base, out):
    """One Runge-Kutta stage of a velocity; `back` is one cell west for u, one south for v."""
    old, new, dt = step
    per_dx, drag, nu2, nu4 = numbers
    back, p = shifts
    two, four = x.dtype.type(2), x.dtype.type(4)
    for k in range(start, stop):
        lap2 = (lap[k - ONE] + lap[k + ONE]) + (lap[k - p] + lap[k + p]) - four * lap[k]
        push = two * stress[k] / (h[k] + h[k - back]) - per_dx * (b[k] - b[k - back])
        rate = flux[k] + push - drag * x[k] + (nu2 * lap[k] - nu4 * lap2)
        out[k] = old * base[k] + new * (x[k] + dt * rate)


@_compiled
def _continuity(start, stop, p, step, per_dx, mu, mv, x, base, out):
    old, new, dt = step
    for k in range(start, stop):
        rate = per_dx * ((mu[k] - mu[k + ONE]) + (mv[k] - mv[k + p]))
        out[k] = old * base[k] + new * (x[k] + dt * rate)


@_compiled
def _walls(first, last, n, slip, u, v, e):
    """Put right the ghosts of u, v and e, or of two Laplacians (which have no e), in some rows."""
    p = n + 2
    zero = u.dtype.type(0)
    for j in range(first, last):
        k = j * p
        u[k + 1] = zero
        u[k + n + 1] = zero
        v[k] = slip * v[k + 1]
        v[k + n + 1] = slip * v[k + n]
        e[k] = e[k + 1]
        e[k + n + 1] = e[k + n]
    if first == 1:
        for k in range(p):
            u[k] = slip * u[k + p]
            v[k + p] = zero
            e[k] = e[k + p]
    if last > n:
        for k in range((n + 1) * p, (n + 2) * p):
            u[k] = slip * u[k - p]
            v[k] = zero
            e[k] = e[k - p]


@_compiled
def _stage(n, scheme, slip, step, numbers, gravity, slab, fixed, work, now, base, out):
    """One stage of SSP-RK3: out = old base + new (now + dt d(now)/dt)."""
    p = n + 2
    w = U(p)
    depth, f, su, sv = fixed[0], fixed[1], fixed[2], fixed[3]
    h, q, b, mu, mv = work[0], work[1], work[2], work[3], work[4]
    fu, fv, lu, lv, spare = work[5], work[6], work[7], work[8], work[9]
    u, v, e = now[0], now[1], now[2]
    _thickness(U(0), U(p), depth, e, h)
    for first in range(1, n + 2, slab):
        last = min(first + slab, n + 2)
        start, stop = U(first * p), U(last * p)
        _thickness(start, stop, depth, e, h)
        _potential_vorticity(start + ONE, stop, w, numbers[0], f, h, u, v, mu, mv, q)
        _head(start, stop, w, gravity, e, u, v, b)
        _laplacians(start, stop, w, u, v, lu, lv)
        _walls(first, last, n, slip, lu, lv, spare)
        # These rows need their northern neighbours: they stay one row behind.
        start, stop = U(max(first - 1, 1) * p), U((last - 1) * p)
        if scheme == 0:
            _een(start, stop, w, q, mu, mv, fu, fv)
        elif scheme == 1:
            _energy(start, stop, w, q, mu, mv, fu, fv)
        else:
            _enstrophy(start, stop, w, q, mu, mv, fu, fv)
        _momentum(start, stop, step, numbers, (ONE, w), fu, b, h, su, lu, u, base[0], out[0])
        _momentum(start, stop, step, numbers, (w, w), fv, b, h, sv, lv, v, base[1], out[1])
        _continuity(start, stop, w, step, numbers[0], mu, mv, e, base[2], out[2])
    _walls(1, n + 1, n, slip, out[0], out[1], out[2])


@_compiled
def _pad(n, field, padded):
    for j in range(n):
        k = (j + 1) * (n + 2) + 1
        padded[k : k + n] = field[j]


@njit(nogil=True, cache=True, **_options)
def advance(state, stress, depth, coriolis, numbers, steps, scheme, slip):
    """Take `steps` steps of SSP-RK3, in place, of `state` `(row, 3, n, n)`.

    `stress` is the force per area over the density `(row, 2, n, n)`, held for all steps; `depth`
    `(n, n)`; `coriolis` `(n + 1,)` at rows of corners. `numbers`: dt, dx, g', drag, nu2, nu4.
    """
    T = state.dtype.type  # noqa: N806
    n = state.shape[-1]
    p = n + 2
    size = (n + 3) * p
    slab = max(1, SLAB // (20 * p * state.itemsize))
    fixed = np.zeros((4, size), state.dtype)
    work = np.zeros((10, size), state.dtype)
    stages = np.zeros((3, 3, size), state.dtype)
    dt, dx, gravity, drag, nu2, nu4 = numbers
    rates = (T(1 / dx), T(drag), T(nu2 / dx**2), T(nu4 / dx**4))
    dt = T(dt)
    _pad(n, depth, fixed[0])
    _walls(1, n + 1, n, T(slip), work[0], work[1], fixed[0])
    for j in range(n + 1):
        fixed[1][(j + 1) * p : (j + 2) * p] = coriolis[j]
    # SSP-RK3: out = old base + new (now + dt d(now)/dt), from buffer to buffer.
    shares = ((T(0), T(1)), (T(0.75), T(0.25)), (T(1 / 3), T(2 / 3)))
    for row in range(len(state)):
        _pad(n, stress[row, 0], fixed[2])
        _pad(n, stress[row, 1], fixed[3])
        base = 0
        for variable in range(3):
            _pad(n, state[row, variable], stages[base, variable])
        _walls(1, n + 1, n, T(slip), stages[0, 0], stages[0, 1], stages[0, 2])
        for _ in range(steps):
            now = base
            for k in range(3):
                out = (base + 1 + k % 2) % 3
                step = (shares[k][0], shares[k][1], dt)
                _stage(
                    n, scheme, T(slip), step, rates, T(gravity), slab,
                    fixed, work, stages[now], stages[base], stages[out],
                )  # fmt: skip
                now = out
            base = now
        for variable in range(3):
            for j in range(n):
                k = (j + 1) * p + 1
                state[row, variable, j] = stages[base, variable, k : k + n]
