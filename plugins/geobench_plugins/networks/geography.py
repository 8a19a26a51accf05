"""Where things are, as input channels: coordinates, and what is sea."""

import math

import torch
from torch import Tensor

from geobench import StateSpec


def mask(spec: StateSpec) -> Tensor:
    """1 at sea, 0 on land, `(*grid, 1)`."""
    return torch.from_numpy(spec.sea).float()[..., None]


def features(spec: StateSpec, *, coordinates: bool) -> Tensor:
    """Coordinates and, where there is land or a wall, the mask: `(*grid, channel)`.

    A periodic dim has sine and cosine of 2πx/L and of 4πx/L, one with walls its place from -1 to 1.
    Convolutions pad with zeros beyond walls, so that a mask of ones tells where they are.
    """
    channels = [torch.empty(*spec.grid, 0)]
    for axis, dim in enumerate(spec.dims if coordinates else ()):
        if dim.periodic:
            phase = torch.arange(dim.size) * (2 * math.pi / dim.size)
            coordinate = torch.stack(
                [phase.sin(), phase.cos(), (2 * phase).sin(), (2 * phase).cos()]
            )
        else:
            coordinate = torch.linspace(-1, 1, dim.size)[None]
        shape = [dim.size if other == axis else 1 for other in range(len(spec.dims))]
        channels.append(coordinate.T.reshape(*shape, -1).expand(*spec.grid, -1))
    if spec.land or not all(dim.periodic for dim in spec.dims):
        channels.append(mask(spec))
    return torch.cat(channels, -1)
