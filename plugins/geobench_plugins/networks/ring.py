"""A residual network on a ring whose every normalisation is conditioned on one vector per row.

Layout (row, site, channel): layer norm over the channels of each site keeps what a condition does
to a channel. (Instance norm would remove it: the norm over sites of a constant shift is nothing.)
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import Noise


class Linear(nn.Module):
    """An affine map whose initial weights are N(0, `std`²); default 1 / sqrt(fan in)."""

    def __init__(
        self, fan_in: int, fan_out: int, *, std: float | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        self.std = fan_in**-0.5 if std is None else std
        self.weight = nn.Parameter(torch.zeros(fan_out, fan_in))
        self.bias = nn.Parameter(torch.zeros(fan_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, fan in) to (…, fan out)."""
        return functional.linear(x, self.weight, self.bias)


class ConditionalLayerNorm(nn.Module):
    """h (1 + scale(c)) + shift(c), with h the layer norm over channels and c the condition.

    `std` is that of the initial weights of scale and shift: FGN starts at 1e-8.
    """

    def __init__(self, channels: int, condition: int, *, std: float) -> None:
        super().__init__()
        self.affine = Linear(condition, 2 * channels, std=std)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(row, site, channel) and (row, condition) to (row, site, channel)."""
        scale, shift = self.affine(condition)[:, None].chunk(2, -1)
        return torch.addcmul(shift, functional.layer_norm(x, x.shape[-1:]), 1 + scale)


def neighbours(x: Tensor, reach: int = 2) -> Tensor:
    """Put the channels of the nearest sites side by side: a matrix product then convolves.

    (row, site, channel) to (row, site, (2 `reach` + 1) x channel).
    """
    return torch.cat([x.roll(shift, -2) for shift in range(-reach, reach + 1)], -1)


class Ring(nn.Module):
    """Stem, `blocks` residual blocks [norm, 5-site convolution, GELU, 1x1 from zero], norm, head.

    A site sees 2 (`blocks` + 1) sites to either side. Input (row, site, `frames`), output
    (row, site, `variables`).
    """

    def __init__(
        self,
        frames: int,
        variables: int,
        *,
        width: int,
        blocks: int,
        condition: int,
        norm_std: float,
    ) -> None:
        super().__init__()
        self.stem = Linear(5 * frames, width)
        self.norms = nn.ModuleList(
            ConditionalLayerNorm(width, condition, std=norm_std) for _ in range(blocks + 1)
        )
        self.convolutions = nn.ModuleList(Linear(5 * width, width) for _ in range(blocks))
        self.mixers = nn.ModuleList(Linear(width, width, std=0.0) for _ in range(blocks))
        self.head = Linear(width, variables, std=0.02)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(row, site, frames) and (row, condition) to (row, site, variables)."""
        h = self.stem(neighbours(x))
        *inner, last = self.norms
        for norm, convolution, mixer in zip(inner, self.convolutions, self.mixers, strict=True):
            h = h + mixer(functional.gelu(convolution(neighbours(norm(h, condition)))))
        return self.head(last(h, condition))  # type: ignore[no-any-return] # modules return Any


def initialise(network: nn.Module, noise: Noise) -> None:
    """Draw the weights of every `Linear` from `noise`; the global generator is left alone."""
    layers = [module for module in network.modules() if isinstance(module, Linear)]
    for index, layer in enumerate(layers):
        if layer.std:
            values = noise.at(index).normal(*layer.weight.shape)[0]
            layer.weight.data.copy_(layer.std * values)
