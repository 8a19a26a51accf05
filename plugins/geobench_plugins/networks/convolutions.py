"""Convolutions of channels-last fields: around periodic dims, with zeros beyond walls."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench_plugins.networks.linear import Drawn, Linear


def neighbours(x: Tensor, reach: int, *, periodic: bool) -> Tensor:
    """Put the channels of the nearest sites side by side: a matrix product then convolves.

    (row, site, channel) to (row, site, (2 `reach` + 1) x channel).
    """
    if periodic:
        return torch.cat([x.roll(shift, -2) for shift in range(-reach, reach + 1)], -1)
    sites = x.shape[-2]
    padded = functional.pad(x, (0, 0, reach, reach))
    return torch.cat([padded[:, at : at + sites] for at in range(2 * reach, -1, -1)], -1)


class LineConvolution(nn.Module):
    """Convolution along one dim: (row, site, inputs) to (row, site, outputs)."""

    def __init__(self, inputs: int, outputs: int, *, reach: int, periodic: bool) -> None:
        super().__init__()
        self._reach = reach
        self._periodic = periodic
        self.mix = Linear((2 * reach + 1) * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """One matrix product."""
        output: Tensor = self.mix(neighbours(x, self._reach, periodic=self._periodic))
        return output


class PlaneConvolution(Drawn):
    """Convolution of 3 x 3 cells: (row, y, x, inputs) to (row, y, x, outputs).

    With a stride of 2 every other cell remains, along each dim, from the first on.
    """

    def __init__(
        self, inputs: int, outputs: int, *, periodic: tuple[bool, ...], stride: int = 1
    ) -> None:
        super().__init__((outputs, inputs, 3, 3), (9 * inputs) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._periodic = periodic
        self._stride = stride
        self._zeros = tuple(int(not is_periodic) for is_periodic in periodic)

    def forward(self, x: Tensor) -> Tensor:
        """By the library's own kernel, on the same memory."""
        for dim, periodic in enumerate(self._periodic, 1):
            if periodic:
                first, last = x.narrow(dim, 0, 1), x.narrow(dim, x.shape[dim] - 1, 1)
                x = torch.cat([last, x, first], dim)
        planes = x.permute(0, 3, 1, 2)
        output = functional.conv2d(planes, self.weight, self.bias, self._stride, self._zeros)
        return output.permute(0, 2, 3, 1)
