"""Random divergence-free vector fields in a closed square, as a few sine waves."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from geobench import Noise


def curl_of_waves(
    noise: "Noise", n: int, *, rms: float, band: tuple[int, int], dtype: torch.dtype
) -> Tensor:
    """(-d psi/dy, d psi/dx) `(row, 2, n, n)` on west and south faces, of a random streamfunction.

    psi = sum over p, q in `band` of c_pq sin(q pi x/L) sin(p pi y/L), c_pq ~ N(0, 1)/(p² + q²): it
    vanishes on the walls, and the gravest waves of the band are the largest. `rms` is that of the
    vector over the square and the law.
    """
    waves = torch.arange(band[0], band[1] + 1, dtype=torch.float64)
    square = waves[:, None] ** 2 + waves**2
    size = 2 * rms / math.pi / math.sqrt(float((1 / square).sum())) / square
    corners = torch.arange(n + 1, dtype=torch.float64) / n
    shapes = torch.sin(math.pi * waves[:, None] * corners).to(noise.init.device, dtype)
    drawn = noise.normal(*size.shape, dtype=dtype) * size.to(noise.init.device, dtype)
    # Sums term by term: a matrix product may round otherwise when there are more rows.
    along_x = torch.zeros_like(drawn[:, :, :1] * shapes[0])
    psi = torch.zeros_like(along_x[:, :1] * shapes[0][:, None])
    for q, shape in enumerate(shapes):
        along_x = along_x + drawn[:, :, q, None] * shape
    for p, shape in enumerate(shapes):
        psi = psi + along_x[:, p, None, :] * shape[:, None]
    west = psi[:, :-1, :-1] - psi[:, 1:, :-1]
    south = psi[:, :-1, 1:] - psi[:, :-1, :-1]
    return torch.stack([west, south], 1) * n
