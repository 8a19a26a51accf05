"""The compiled form of `Noise` on a CPU: the same bits, some fifty times faster.

`normal_lanes` is for simulators that are compiled with numba: it may be called inside their own
functions, so that the noise of a block of rows never leaves the cache.
"""

import numpy as np
import torch
from numba import njit, uint32, uint64
from numba.extending import register_jitable

from geobench.contracts.philox import MULTIPLIERS, PIECES, WEYL, quantiles

LANES = 32
"""Rows whose numbers `normal_lanes` makes side by side."""

_M0, _M1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
_W0, _W1 = (np.uint32(increment) for increment in WEYL)
_C0, _C1, _C2, _C3 = (
    np.ascontiguousarray(coefficients) for coefficients in quantiles(torch.device("cpu")).numpy()
)
_SHIFT = np.int64(52 - (PIECES.bit_length() - 1))
_REST = np.int64((1 << int(_SHIFT)) - 1)
_UNIT = 1.0 / (1 << int(_SHIFT))


@register_jitable(inline="always")
def _philox(c0, c1, c2, c3, k0, k1):
    for _ in range(10):
        a, b = uint64(c0) * _M0, uint64(c2) * _M1
        c0, c2 = uint32(b >> uint64(32)) ^ c1 ^ k0, uint32(a >> uint64(32)) ^ c3 ^ k1
        c1, c3 = uint32(b), uint32(a)
        k0, k1 = uint32(k0 + _W0), uint32(k1 + _W1)
    return c0, c1, c2, c3


@register_jitable(inline="always")
def _normal(word):
    """`normal_from_word`, with the exponent and the piece read from the bits of the float."""
    bits = np.float64(np.float64(word & uint32(0x7FFFFFFF)) + 0.5).view(np.int64)
    exponent = (bits >> np.int64(52)) - np.int64(1022)
    mantissa = bits & np.int64(0xFFFFFFFFFFFFF)
    t = np.float64(mantissa & _REST) * _UNIT
    index = exponent * PIECES + (mantissa >> _SHIFT)
    size = ((_C3[index] * t + _C2[index]) * t + _C1[index]) * t + _C0[index]
    return size if word > uint32(0x7FFFFFFF) else -size


@njit(nogil=True, cache=True)
def _row(out, four, init, member, lead, k0, k1):
    """Random words of one row; `four` is `(4, block)`, to work in."""
    for block in range(four.shape[1]):
        a, b, c, d = _philox(uint32(block), lead, member, init, k0, k1)
        four[0, block] = a
        four[1, block] = b
        four[2, block] = c
        four[3, block] = d
    for index in range(out.size):
        out[index] = four[index % 4, index // 4]


@njit(nogil=True, cache=True)
def fill_words(out, init, member, lead, k0, k1):
    """Random words `out` `(row, count)`, uint32, as `Noise.words` gives them."""
    four = np.empty((4, (out.shape[1] + 3) // 4), np.uint32)
    for row in range(len(out)):
        _row(out[row], four, init[row], member[row], lead, k0, k1)


@njit(nogil=True, cache=True)
def normal_from_words(words, out):
    """Standard normal numbers `out` of flat `words`."""
    for index in range(words.size):
        out[index] = _normal(words[index])


@njit(nogil=True, cache=True)
def fill_normal(out, init, member, lead, k0, k1):
    """Standard normal numbers `out` `(row, count)`, as `Noise.normal` gives them."""
    count = out.shape[1]
    words, four = np.empty(count, np.uint32), np.empty((4, (count + 3) // 4), np.uint32)
    for row in range(len(out)):
        _row(words, four, init[row], member[row], lead, k0, k1)
        normal_from_words(words, out[row])


@njit(nogil=True, cache=True)
def normal_lanes(out, first, init, member, lead, k0, k1):
    """Numbers `first`, `first` + 1, … of `LANES` rows, side by side: `out[number * LANES + row]`.

    `out` is flat and decides how many. `init` and `member` are uint32 `(LANES,)`, `lead`, `k0` and
    `k1` uint32 (`Noise.words32`). The same bits as `Noise.normal(…)[row].flatten()[first:]`.
    """
    count = out.size // LANES
    words = np.empty(4 * LANES, np.uint32)
    block = first // 4
    start = block * 4 - first
    while start < count:
        for row in range(LANES):
            a, b, c, d = _philox(uint32(block), lead, member[row], init[row], k0, k1)
            words[row] = a
            words[LANES + row] = b
            words[2 * LANES + row] = c
            words[3 * LANES + row] = d
        low, high = max(start, 0), min(start + 4, count)
        # Slices, so that numba sees no index that might be negative, and LLVM vectorises.
        source = words[(low - start) * LANES : (high - start) * LANES]
        target = out[low * LANES : high * LANES]
        for j in range(source.size):
            target[j] = _normal(source[j])
        block += 1
        start += 4
