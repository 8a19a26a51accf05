"""Layers whose initial weights are drawn from counter-based noise, not from a global generator."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import Noise


class Drawn(nn.Module):
    """A layer whose initial `weight` is N(0, `std`²); zeros until `initialise` draws it."""

    def __init__(self, shape: tuple[int, ...], std: float) -> None:
        super().__init__()
        self.std = std
        self.weight = nn.Parameter(torch.zeros(shape))


class Linear(Drawn):
    """An affine map whose initial weights are N(0, `std`²); default 1 / sqrt(fan in)."""

    def __init__(
        self, fan_in: int, fan_out: int, *, std: float | None = None, bias: bool = True
    ) -> None:
        super().__init__((fan_out, fan_in), fan_in**-0.5 if std is None else std)
        self.bias = nn.Parameter(torch.zeros(fan_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, fan in) to (…, fan out)."""
        return functional.linear(x, self.weight, self.bias)


def precisely(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer at the precision of its weights, whatever autocast says.

    For the last layer: rounding its output to half would drown small differences between members.
    """
    with torch.autocast(x.device.type, enabled=False):
        output: Tensor = layer(x)
    return output


def initialise(network: nn.Module, noise: Noise) -> None:
    """Draw the weights of every `Drawn` from `noise`; the global generator is left alone.

    All other parameters have been constants since they were made.
    """
    layers = [module for module in network.modules() if isinstance(module, Drawn)]
    for index, layer in enumerate(layers):
        if layer.std:
            values = noise.at(index).normal(*layer.weight.shape)[0]
            layer.weight.data.copy_(layer.std * values)
