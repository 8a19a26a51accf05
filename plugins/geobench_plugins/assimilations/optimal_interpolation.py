"""Optimal interpolation: the climate, corrected by the observations of the moment."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Assimilation, Filter, Network, StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise


class OptimalInterpolation(Assimilation):
    """Best linear estimate from climatology and the present observations; forecasts are not used.

    x̄ + C Hᵀ (H C Hᵀ + R)^-1 (y - H x̄) with the mean x̄ and the covariance C of free-run states,
    tapered over `radius` grid cells if there is one (Gandin, 1963). What a filter must beat to have
    gained anything from its forecasts. Between observation times its state is a forecast.

    With more than one member, member 0 is this estimate, and the others have perturbed observations
    and a background drawn from the normal law of the climate.
    """

    name = "optimal-interpolation"

    radius: float | None = Field(
        None, gt=0, description="localisation of the covariance, grid cells; null: none"
    )

    def filter(self, network: Network, spec: StateSpec, climate: "Tensor") -> Filter:
        """Compute the gain."""
        from geobench_plugins.assimilations.climatological_gain import gain

        return _OptimalInterpolation(
            network, climate, gain(climate, network, spec, scale=1, radius=self.radius)
        )


class _OptimalInterpolation(Filter):
    def __init__(self, network: Network, climate: "Tensor", gain: "Tensor") -> None:
        self.network, self.gain = network, gain
        samples = climate.flatten(1).double()
        self.mean = samples.mean(0)
        self.anomalies = (samples - self.mean) / (len(samples) - 1) ** 0.5

    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        from geobench_plugins.assimilations.climatological_gain import corrected

        background = self._background(forecast, noise)
        gain = self.gain.to(background)
        analysis = corrected(background, observed, self.network, gain, noise)
        return analysis.to(forecast.dtype).view_as(forecast)

    def _background(self, forecast: "Tensor", noise: "Noise") -> "Tensor":
        """The climatological mean for member 0; draws of N(x̄, C) for the others."""
        import torch

        rows, members = forecast.shape[:2]
        mean, anomalies = (each.to(forecast.device) for each in (self.mean, self.anomalies))
        background = mean.repeat(rows, members, 1)
        for member in range(1, members):
            own = noise.use(f"background {member}")
            weights = own.normal(len(anomalies), dtype=torch.float64)
            background[:, member] += weights @ anomalies
        return background

    def estimate(self, analysis: "Tensor") -> "Tensor":
        return analysis[:, 0]
