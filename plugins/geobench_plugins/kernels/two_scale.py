"""Two-scale Lorenz95 compiled for a CPU; blocks as in `geobench_plugins.kernels.lorenz95`."""

import numpy as np
from numba import njit

from geobench import LANES, normal_lanes
from geobench_plugins.kernels.lorenz95 import aligned, close_ring

_SUMS = {"contract", "nsz"}


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _close_fast(y, sites, fast):
    """Fill the margins: before the first of a site stands the last of the site before, and so on.

    `y` is `(fast + 3, sites * LANES)`, flat; fast variable e stands in line e + 1.
    """
    line, ring = sites * LANES, (sites - 1) * LANES
    last, first, second = fast * line, line, 2 * line
    for j in range(ring):
        y[LANES + j] = y[last + j]
        y[(fast + 1) * line + j] = y[first + LANES + j]
        y[(fast + 2) * line + j] = y[second + LANES + j]
    for j in range(LANES):
        y[j] = y[last + ring + j]
        y[(fast + 1) * line + ring + j] = y[first + j]
        y[(fast + 2) * line + ring + j] = y[second + j]


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _stage(x, y, s, f, out_x, out_y, pull, sites, fast, numbers, step):
    """Set (out_x, out_y) to (x, y) + step (dX/dt, dY/dt)(s, f)."""
    forcing, coupling, advection, damping = numbers[0], numbers[1], numbers[2], numbers[3]
    line = sites * LANES
    for j in range(line):
        pull[j] = f[line + j]
    for index in range(2, fast + 1):
        one = f[index * line : (index + 1) * line]
        for j in range(line):
            pull[j] += one[j]
    for index in range(1, fast + 1):
        # Slices, so that numba sees no index that might be negative, and LLVM vectorises.
        here = index * line
        before, current = f[here - line : here], f[here : here + line]
        after, second = f[here + line : here + 2 * line], f[here + 2 * line : here + 3 * line]
        start, result = y[here : here + line], out_y[here : here + line]
        for j in range(line):
            change = advection * after[j] * (before[j] - second[j])
            change += coupling * s[j + 2 * LANES] - damping * current[j]
            result[j] = start[j] + step * change
    for j in range(line):
        change = (s[j + 3 * LANES] - s[j]) * s[j + LANES] - s[j + 2 * LANES] + forcing
        out_x[j + 2 * LANES] = x[j + 2 * LANES] + step * (change - coupling * pull[j])
    close_ring(out_x, sites)
    _close_fast(out_y, sites, fast)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _combine(x, a, b, c, d, sixth):
    """Set x to x + dt/6 (k1 + 2 k2 + 2 k3 + k4), from the states a, b, c and d = x + dt k4."""
    third = sixth + sixth
    for j in range(x.size):
        start, twice = x[j], b[j] - x[j]
        x[j] = (
            start
            + third * ((a[j] - start) + (twice + twice) + (c[j] - start))
            + sixth * (d[j] - start)
        )


@njit(nogil=True, fastmath=_SUMS, cache=True)
def advance(state, out, numbers, steps, substeps, init, member, lead, k0, k1, first, stop):
    """Rows `first` to `stop` of `state` `(row, 1 + fast, site)`, into `out`.

    `numbers` holds F, hc/b, cb, c, dt/2, dt, 1/6 and the size of the kicks on X.
    """
    fast, sites = state.shape[1] - 1, state.shape[2]
    half, dt, sixth, size = numbers[4], numbers[5], numbers[6], numbers[7]
    slow, quick = (sites + 3) * LANES, (fast + 3) * sites * LANES
    x, xa, xb = aligned(slow, state), aligned(slow, state), aligned(slow, state)
    xc, xd = aligned(slow, state), aligned(slow, state)
    y, ya, yb = aligned(quick, state), aligned(quick, state), aligned(quick, state)
    yc, yd = aligned(quick, state), aligned(quick, state)
    pull, z = aligned(sites * LANES, state), aligned(sites * LANES, state)
    own_init, own_member = np.empty(LANES, np.uint32), np.empty(LANES, np.uint32)
    for block in range(first, stop, LANES):
        for lane in range(LANES):
            row = min(block + lane, stop - 1)
            own_init[lane], own_member[lane] = init[row], member[row]
            for site in range(sites):
                x[(site + 2) * LANES + lane] = state[row, 0, site]
                for index in range(fast):
                    y[((index + 1) * sites + site) * LANES + lane] = state[row, 1 + index, site]
        close_ring(x, sites)
        _close_fast(y, sites, fast)
        for step in range(steps * substeps):
            _stage(x, y, x, y, xa, ya, pull, sites, fast, numbers, half)
            _stage(x, y, xa, ya, xb, yb, pull, sites, fast, numbers, half)
            _stage(x, y, xb, yb, xc, yc, pull, sites, fast, numbers, dt)
            _stage(x, y, xc, yc, xd, yd, pull, sites, fast, numbers, dt)
            _combine(x, xa, xb, xc, xd, sixth)
            _combine(y, ya, yb, yc, yd, sixth)
            if size != 0:
                when = np.uint32(lead + np.uint32(step // substeps))
                normal_lanes(z, step % substeps * sites, own_init, own_member, when, k0, k1)
                for j in range(sites * LANES):
                    x[j + 2 * LANES] += size * z[j]
                close_ring(x, sites)
        for lane in range(min(LANES, stop - block)):
            for site in range(sites):
                out[block + lane, 0, site] = x[(site + 2) * LANES + lane]
                for index in range(fast):
                    out[block + lane, 1 + index, site] = y[
                        ((index + 1) * sites + site) * LANES + lane
                    ]
