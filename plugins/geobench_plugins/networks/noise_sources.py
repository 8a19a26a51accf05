"""Noise that networks are conditioned on: drawn for each resolution, then encoded."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import StateSpec
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.linear import Linear


class Encoder(nn.Module):
    """Of noise: linear without bias, or an MLP with one hidden layer, then perhaps a layer norm."""

    def __init__(self, conditioning: Conditioning, channels: int) -> None:
        super().__init__()
        self.layers: nn.Module
        if conditioning.encoder == "linear":
            self.layers = Linear(channels, channels, bias=False)
        else:
            wide = conditioning.hidden
            self.layers = nn.Sequential(Linear(channels, wide), nn.GELU(), Linear(wide, channels))
        normed = conditioning.encoder == "mlp-norm"
        self.gain = nn.Parameter(torch.ones(channels)) if normed else None
        self.bias = nn.Parameter(torch.zeros(channels)) if normed else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, channel) to (…, channel)."""
        output: Tensor = self.layers(x)
        if self.gain is None:
            return output
        return functional.layer_norm(output, output.shape[-1:], self.gain, self.bias)


class Smoother(nn.Module):
    """Gaussian filter of white noise that leaves every site with variance one, also at walls.

    `length`: its standard deviation, cells, along each dim of `grid`.
    """

    def __init__(self, spec: StateSpec, grid: tuple[int, ...], length: float) -> None:
        super().__init__()
        for axis, (dim, size) in enumerate(zip(spec.dims, grid, strict=True)):
            matrix = filter_matrix(size, length * size / dim.size, periodic=dim.periodic)
            self.register_buffer(f"matrix{axis}", matrix, persistent=False)
        self._dims = len(grid)

    def forward(self, field: Tensor) -> Tensor:
        """(row, *grid, channel) to the same."""
        for axis in range(self._dims):
            columns = self.get_buffer(f"matrix{axis}").T
            turned: Tensor = field.movedim(axis + 1, -1)
            field = torch.matmul(turned, columns).movedim(-1, axis + 1)
        return field


def filter_matrix(size: int, length: float, *, periodic: bool) -> Tensor:
    """Row i has exp(-(i - j)² / (2 length²)), over all images of j if periodic, of norm one."""
    places = torch.arange(size, dtype=torch.float64)
    apart = places[:, None] - places
    reach = math.ceil(8 * length / size) if periodic else 0
    images = [apart + image * size for image in range(-reach, reach + 1)]
    matrix = torch.stack([(-(distance**2) / (2 * length**2)).exp() for distance in images]).sum(0)
    scaled: Tensor = matrix / matrix.norm(dim=1, keepdim=True)
    return scaled.float()
