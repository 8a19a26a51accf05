"""Random bits by Philox4x32-10, and normal numbers made of them, in torch on any device.

Philox: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3". Normal numbers come
from a piecewise cubic inverse of the normal distribution: only integer arithmetic, table look-ups,
single additions and multiplications, all of which round the same way everywhere. So a number has
the same bits on every device, whatever its place in a tensor. (Box-Muller does not: vectorised and
scalar `log` and `cos` differ in the last bit.)
"""

from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import torch
from torch import Tensor

WORD = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
PIECES = 64  # cubic pieces per octave of probability


def philox(counter: Sequence[Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Ten rounds of Philox4x32 on four int64 tensors that hold 32-bit words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # int64 products wrap, but keep the bits that an unsigned product would have.
        a, b = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c2 = (b >> 32 & WORD) ^ c1 ^ k0, (a >> 32 & WORD) ^ c3 ^ k1
        c1, c3 = b & WORD, a & WORD
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return [c0, c1, c2, c3]


@cache
def quantiles(device: torch.device) -> Tensor:
    """Cubic coefficients (4, octave * piece) of the upper normal quantile, for 31-bit words.

    Octave e, piece p covers the probabilities 2^(e-33) (1 + (p + t)/PIECES), 0 <= t < 1. The cubic
    meets the quantile at four Chebyshev nodes; its error is below 1e-7.
    """
    nodes = torch.tensor([0.5 - 0.5 * x for x in (0.923879532511287, 0.382683432365090)])
    nodes = torch.cat([nodes, 1 - nodes.flip(0)]).double()
    inverse = torch.linalg.inv(torch.stack([nodes**power for power in range(4)], 1))
    exact = NormalDist()
    values = [
        [-exact.inv_cdf(2.0 ** (e - 33) * (1 + (p + t) / PIECES)) for t in nodes.tolist()]
        for e in range(32)
        for p in range(PIECES)
    ]
    coefficients = inverse @ torch.tensor(values, dtype=torch.float64).T
    # A fixed-point grid: a last bit that differs between maths libraries does not matter.
    return (torch.round(coefficients * 2**36) / 2**36).to(device)


def normal_from_word(word: Tensor) -> Tensor:
    """Standard normal (float64) from 32 random bits; the largest magnitude is 6.3."""
    mantissa, exponent = torch.frexp((word & 0x7FFFFFFF).double() + 0.5)
    position = (mantissa * 2 - 1) * PIECES
    piece = position.floor()
    t = position - piece
    index = exponent.long() * PIECES + piece.long()
    c0, c1, c2, c3 = quantiles(word.device)
    size = ((c3[index] * t + c2[index]) * t + c1[index]) * t + c0[index]
    return torch.where(word > 0x7FFFFFFF, size, -size)
