"""The network of flow matching: a velocity at a flow time, given the past."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import StateSpec
from geobench_plugins.networks.residual import Scaling, check_ring
from geobench_plugins.networks.ring import Linear, Ring

_CONDITION = 32


class Velocity(nn.Module):
    """Past states, a noisy residual and the flow time in, d(residual)/ds out."""

    frequencies: Tensor

    def __init__(
        self, spec: StateSpec, *, frames: int, width: int, blocks: int, norm_std: float
    ) -> None:
        super().__init__()
        check_ring(spec)
        variables = len(spec.variables)
        self.scaling = Scaling(variables)
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, _CONDITION + 1))
        self.wide = Linear(2 * _CONDITION, _CONDITION)
        self.condition = Linear(_CONDITION, _CONDITION)
        self.ring = Ring(
            (frames + 1) * variables,
            variables,
            width=width,
            blocks=blocks,
            condition=_CONDITION,
            norm_std=norm_std,
        )

    def forward(self, past: Tensor, noisy: Tensor, s: Tensor) -> Tensor:
        """(row, site, frame x channel), (row, site, channel) and (row) to (row, site, channel).

        `past` comes normalised (`Scaling.sites`), once for all evaluations of a sampler.
        """
        phase = s[:, None] * self.frequencies
        waves = torch.cat([phase.sin(), phase.cos()], -1)
        condition = self.condition(functional.gelu(self.wide(waves)))
        velocity: Tensor = self.ring(torch.cat([past, noisy], -1), condition)
        return velocity
