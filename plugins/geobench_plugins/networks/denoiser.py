"""The network of the generative models: what a noisy change was before the noise."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import Noise, StateSpec
from geobench_plugins.networks.conditioned import Conditioned
from geobench_plugins.networks.linear import Linear
from geobench_plugins.networks.residual import Scaling
from geobench_plugins.networks.samplers import Path, draw

if TYPE_CHECKING:
    from geobench_plugins.networks.backbones import Backbone
    from geobench_plugins.networks.conditioning import Conditioning
    from geobench_plugins.networks.sampling import Sampler

Prediction = Literal["velocity", "sample", "preconditioned"]
_WIDTH = 32  # of the embedding of the time
_PERIOD = 16.0  # of its waves in log sigma (GenCast); for flow times it is 2


class Denoiser(nn.Module):
    """Given states, a noisy change and its time in, an estimate of the change out.

    The change is from the last of the given states (`Scaling.residual`). With x the noisy change
    and F the network, the estimate D(x, t) is x - t F (`velocity`), F (`sample`), or, at the noise
    level t, c_skip x + c_out F(c_in x) (`preconditioned`: Karras et al., 2022, sigma_data = 1).
    """

    frequencies: Tensor
    waves: ClassVar[int] = _WIDTH  # of each time
    times: ClassVar[int] = 1  # that it is given

    def __init__(
        self,
        spec: StateSpec,
        frames: int,
        *,
        backbone: "Backbone | None",
        conditioning: "Conditioning",
        prediction: Prediction,
    ) -> None:
        super().__init__()
        channels = len(spec.variables)
        self.scaling = Scaling(spec)
        self.prediction = prediction
        period = _PERIOD if prediction == "preconditioned" else 2.0
        self.register_buffer(
            "frequencies",
            2 * math.pi / period * torch.arange(1.0, self.waves + 1),
            persistent=False,
        )
        self.wide = Linear(2 * self.times * self.waves, _WIDTH)
        self.condition = Linear(_WIDTH, _WIDTH)
        self.inner = Conditioned(
            spec,
            backbone,
            conditioning,
            inputs=(frames + 1) * channels,
            outputs=channels,
            embedding=_WIDTH,
        )

    def forward(self, given: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """F: (row, *grid, frame x channel), (row, *grid, channel), (row) to (row, *grid, channel).

        `given` comes normalised (`Scaling.inputs`), once for all evaluations of a sampler.
        """
        if self.prediction == "preconditioned":
            x = x * preconditioning(t, x.ndim)[0]
            t = t.log()
        return self._inner(given, x, t)

    def _inner(self, given: Tensor, x: Tensor, *times: Tensor) -> Tensor:
        phase = torch.cat([t[:, None] * self.frequencies for t in times], -1)
        waves = torch.cat([phase.sin(), phase.cos()], -1)
        condition = self.condition(functional.gelu(self.wide(waves)))
        output: Tensor = self.inner(torch.cat([given, x], -1), (), condition)
        return output

    def draw(self, given: Tensor, start: Tensor, sampler: "Sampler", noise: Noise) -> Tensor:
        """Follow the path of every row from `start`, noise of standard deviation one."""
        return draw(
            lambda x, t: self.denoise(given, x, t),
            sampler.highest * sampler.noise_scale * start,
            sampler,
            Path(self.prediction != "preconditioned"),
            noise,
        )

    def denoise(self, given: Tensor, x: Tensor, t: float) -> Tensor:
        """D(x, t), of all rows at one time."""
        times = x.new_full((len(x),), t)
        output: Tensor = self(given, x, times)
        if self.prediction == "velocity":
            return x - t * output
        if self.prediction == "sample":
            return output
        _, kept, scale = preconditioning(times, x.ndim)
        return kept * x + scale * output


def preconditioning(sigma: Tensor, ndim: int) -> tuple[Tensor, Tensor, Tensor]:
    """c_in, c_skip and c_out at noise levels `(row,)`, shaped `(row, *ones)` (sigma_data = 1)."""
    sigma = sigma.view(-1, *[1] * (ndim - 1))
    total = sigma.square() + 1
    return total.rsqrt(), 1 / total, sigma * total.rsqrt()
