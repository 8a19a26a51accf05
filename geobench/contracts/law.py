"""What a model that knows the law is given: the simulator, and from where to start it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geobench.contracts.simulator import Simulator

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.contracts.noise import Noise


@dataclass(frozen=True)
class Law:
    """The law of an experiment: the simulator, started from what is known at init time.

    `shown` are the channels of the simulator's state that models are given and that are scored
    (None: all). `states` `(init, sample, channel, *grid)` are whole states that stand for what is
    known at each init time; None when models are given the whole, exact state. `exact` says that
    models are given the shown channels exactly: then the law is conditioned on them.
    """

    simulator: Simulator
    shown: tuple[int, ...] | None = None
    states: "Tensor | None" = None
    exact: bool = False

    def start(self, given: "Tensor", noise: "Noise") -> "Tensor":
        """Whole states `(row, channel, *grid)` to start from.

        `given` is the last frame that models are given. Of one sample, that sample; of several,
        fresh draws of the normal law with their mean and covariance, one for each row of `noise`,
        given the shown channels where these are `exact`.
        """
        if self.states is None:
            return given
        known = self.states.to(given)[noise.init]
        samples = known.shape[1]
        if samples == 1:
            return known[:, 0]
        mean = known.mean(1, keepdim=True)
        weights = noise.at(0).use("start").normal(samples, dtype=given.dtype)
        weights = weights / (samples - 1) ** 0.5
        kicks = (known - mean) * weights.view(*weights.shape, *[1] * (known.ndim - 2))
        drawn: Tensor = mean[:, 0] + kicks.sum(1)
        if self.exact and self.shown is not None:
            return self._conditioned(drawn, known - mean, given)
        return drawn

    def _conditioned(self, drawn: "Tensor", anomalies: "Tensor", given: "Tensor") -> "Tensor":
        """Turn draws of a normal law into draws given the shown channels (Matheron's rule).

        x + Cov(x, s) Cov(s, s)^-1 (given - s), s the shown part of x; covariances are those of
        `anomalies` `(row, sample, channel, *grid)`. The shown part comes out as given.
        """
        import torch

        channels = list(self.shown or ())
        seen = anomalies[:, :, channels].flatten(2).double()
        missed = (given - drawn[:, channels]).flatten(1).double()
        inner = seen.mT @ seen
        ridge = 1e-6 * inner.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        inner = inner + ridge * torch.eye(inner.shape[-1], dtype=inner.dtype, device=inner.device)
        weights = seen @ torch.linalg.solve(inner, missed[:, :, None])
        shift = (anomalies.flatten(2).double() * weights).sum(1).view_as(drawn)
        whole: Tensor = drawn + shift.to(drawn)
        whole[:, channels] = given
        return whole

    def show(self, state: "Tensor") -> "Tensor":
        """Return the channels of `(row, channel, *grid)` that models see."""
        return state if self.shown is None else state[:, list(self.shown)]
