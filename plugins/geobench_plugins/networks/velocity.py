"""The network of flow matching: a velocity at a flow time, given the past."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import Batch, Noise, Optimisation, StateSpec, Training
from geobench_plugins.networks.conditioned import Conditioned
from geobench_plugins.networks.linear import Linear
from geobench_plugins.networks.residual import Scaling

if TYPE_CHECKING:
    from geobench_plugins.networks.backbones import Backbone
    from geobench_plugins.networks.conditioning import Conditioning

_CONDITION = 32


class Velocity(nn.Module):
    """Past states, a noisy residual and the flow time in, d(residual)/ds out."""

    frequencies: Tensor

    def __init__(
        self,
        spec: StateSpec,
        frames: int,
        *,
        backbone: "Backbone | None",
        conditioning: "Conditioning",
    ) -> None:
        super().__init__()
        channels = len(spec.variables)
        self.scaling = Scaling(spec)
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, _CONDITION + 1))
        self.wide = Linear(2 * _CONDITION, _CONDITION)
        self.condition = Linear(_CONDITION, _CONDITION)
        self.inner = Conditioned(
            spec,
            backbone,
            conditioning,
            inputs=(frames + 1) * channels,
            outputs=channels,
            embedding=_CONDITION,
        )

    def forward(self, past: Tensor, noisy: Tensor, s: Tensor) -> Tensor:
        """(row, *grid, frame x channel), (row, *grid, channel), (row) to (row, *grid, channel).

        `past` comes normalised (`Scaling.inputs`), once for all evaluations of a sampler.
        """
        phase = s[:, None] * self.frequencies
        waves = torch.cat([phase.sin(), phase.cos()], -1)
        condition = self.condition(functional.gelu(self.wide(waves)))
        velocity: Tensor = self.inner(torch.cat([past, noisy], -1), (), condition)
        return velocity


class VelocityLoss(nn.Module):
    """Mean square error of the velocity over random windows of the train split."""

    def __init__(
        self,
        network: Velocity,
        training: Training,
        how: Optimisation,
        *,
        frames: int,
        flow_times: Callable[[Noise], Tensor],
    ) -> None:
        super().__init__()
        self.network = network
        self._training = training
        self._rows = how.rows
        self._frames = frames
        self._flow_times = flow_times

    def forward(self, batch: Batch) -> Tensor:
        """Of one batch; a row is a noisy residual."""
        scaling = self.network.scaling
        noise = batch.noise(self._rows)
        states = self._training.windows(noise, self._frames)
        target = scaling.residual(states[:, -2], states[:, -1])
        start = noise.use("start of flow").normal(*target.shape[1:])
        s = self._flow_times(noise.use("flow time"))
        noisy = target.lerp(start, s.view(-1, *[1] * (target.ndim - 1)))
        velocity: Tensor = self.network(scaling.inputs(states[:, :-1]), noisy, s)
        return (velocity - (start - target)).square().mean()
