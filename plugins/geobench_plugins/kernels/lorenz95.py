"""Lorenz95 compiled for a CPU: blocks of rows side by side, all steps of a block in the L1 cache.

A block is `LANES` rows, members last: `x[(site + 2) * LANES + row]`, with two sites of the ring's
end before the first and one of its beginning after the last. Every loop is over one flat run of
numbers, which LLVM vectorises. A block has its own noise, so nothing is made for all rows at once.
"""

import numpy as np
from numba import njit

from geobench import LANES, normal_lanes

_SUMS = {"contract", "nsz"}  # fused multiply-add; nothing that could reorder a sum


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def aligned(size, like):
    """A flat array of the type of `like` that starts at a cache line."""
    raw = np.empty(size + 64 // like.itemsize, like.dtype)
    start = ((64 - raw.ctypes.data % 64) % 64) // raw.itemsize
    return raw[start : start + size]


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def close_ring(x, sites):
    """Copy the ends of the ring into the margins."""
    for j in range(2 * LANES):
        x[j] = x[sites * LANES + j]
    for j in range(LANES):
        x[(sites + 2) * LANES + j] = x[2 * LANES + j]


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _stage(x, s, y, sites, forcing, step):
    """Set y to x + step dX/dt(s)."""
    for j in range(sites * LANES):
        change = (s[j + 3 * LANES] - s[j]) * s[j + LANES] - s[j + 2 * LANES] + forcing
        y[j + 2 * LANES] = x[j + 2 * LANES] + step * change
    close_ring(y, sites)


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _finish(x, a, b, c, sites, forcing, sixth, third):
    """Set x to x + dt/6 (k1 + 2 k2 + 2 k3 + k4), from the states of the stages a, b, c."""
    for j in range(sites * LANES):
        change = (c[j + 3 * LANES] - c[j]) * c[j + LANES] - c[j + 2 * LANES] + forcing
        p = j + 2 * LANES
        x[p] = ((a[p] - x[p]) + (b[p] + b[p]) + c[p]) * third + sixth * change


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _shape(z, tails, scale):
    """Set z to (z + tails z³) scale."""
    for j in range(z.size):
        z[j] = (z[j] + tails * z[j] * z[j] * z[j]) * scale


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _mix(z, kicks, mixing):
    """Set kicks to mixing · z."""
    sites, rank = mixing.shape
    for site in range(sites):
        for row in range(LANES):
            kicks[site * LANES + row] = mixing[site, 0] * z[row]
        for mode in range(1, rank):
            for row in range(LANES):
                kicks[site * LANES + row] += mixing[site, mode] * z[mode * LANES + row]


@njit(forceinline=True, fastmath=_SUMS, cache=True)
def _finish_and_kick(x, a, b, c, kicks, sites, numbers):
    """`_finish`, then add (size + slope |x|) kicks to x where x > threshold."""
    forcing, sixth, third = numbers[0], numbers[3], numbers[4]
    size, slope, threshold = numbers[5], numbers[6], numbers[7]
    plain = slope == 0 and threshold == -np.inf
    for j in range(sites * LANES):
        change = (c[j + 3 * LANES] - c[j]) * c[j + LANES] - c[j + 2 * LANES] + forcing
        p = j + 2 * LANES
        after = ((a[p] - x[p]) + (b[p] + b[p]) + c[p]) * third + sixth * change
        if plain:
            x[p] = after + size * kicks[j]
        else:
            here = (size + slope * abs(after)) * kicks[j]
            x[p] = after + (here if after > threshold else here * 0)


@njit(nogil=True, fastmath=_SUMS, cache=True)
def advance(state, out, mixing, numbers, steps, substeps, init, member, lead, k0, k1, first, stop):
    """Rows `first` to `stop` of `state` `(row, site)`, `steps` output steps later, into `out`.

    `numbers` holds, in the type of the state: F, dt/2, dt, dt/6, 1/3, size, slope, threshold,
    tails and their scale (`Lorenz95._numbers`).
    """
    sites = state.shape[1]
    forcing, half, dt, sixth, third = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    size, slope = numbers[5], numbers[6]
    noisy = size != 0 or slope != 0
    rank = mixing.shape[1] if mixing.shape[1] else sites
    x, a = aligned((sites + 3) * LANES, state), aligned((sites + 3) * LANES, state)
    b, c = aligned((sites + 3) * LANES, state), aligned((sites + 3) * LANES, state)
    z = aligned(rank * LANES, state)
    kicks = aligned(sites * LANES, state) if mixing.shape[1] else z
    spare = np.empty((LANES, sites), state.dtype)
    own_init, own_member = np.empty(LANES, np.uint32), np.empty(LANES, np.uint32)
    for block in range(first, stop, LANES):
        whole = stop - block >= LANES
        if not whole:  # a short block is filled up with its last row
            for lane in range(LANES):
                spare[lane] = state[min(block + lane, stop - 1)]
        rows = state[block : block + LANES] if whole else spare
        for lane in range(LANES):
            row = min(block + lane, stop - 1)
            own_init[lane], own_member[lane] = init[row], member[row]
        for site in range(sites):
            line = x[(site + 2) * LANES : (site + 3) * LANES]
            for lane in range(LANES):
                line[lane] = rows[lane, site]
        close_ring(x, sites)
        for step in range(steps * substeps):
            _stage(x, x, a, sites, forcing, half)
            _stage(x, a, b, sites, forcing, half)
            _stage(x, b, c, sites, forcing, dt)
            if noisy:
                when = np.uint32(lead + np.uint32(step // substeps))
                normal_lanes(z, step % substeps * rank, own_init, own_member, when, k0, k1)
                if numbers[8] != 0:
                    _shape(z, numbers[8], numbers[9])
                if mixing.shape[1]:
                    _mix(z, kicks, mixing)
                _finish_and_kick(x, a, b, c, kicks, sites, numbers)
            else:
                _finish(x, a, b, c, sites, forcing, sixth, third)
            close_ring(x, sites)
        lines = x[2 * LANES : (sites + 2) * LANES].reshape(sites, LANES)
        for lane in range(min(LANES, stop - block)):
            row_out = out[block + lane]
            for site in range(sites):
                row_out[site] = lines[site, lane]
