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

    With more than one member, member 0 is this estimate; each of the others starts from a free-run
    state drawn at random and has perturbed observations, so their spread is the estimate's error.
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
        self.network, self.gain, self.climate = network, gain, climate.flatten(1)

    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        from geobench_plugins.assimilations.climatological_gain import corrected

        background = self._background(forecast, noise)
        gain = self.gain.to(background)
        analysis = corrected(background, observed, self.network, gain, noise)
        return analysis.to(forecast.dtype).view_as(forecast)

    def _background(self, forecast: "Tensor", noise: "Noise") -> "Tensor":
        """The climatological mean for member 0; states of the climate for the others."""
        import torch

        rows, members = forecast.shape[:2]
        climate = self.climate.to(forecast.device).double()
        mean = climate.mean(0).expand(rows, 1, -1)
        drawn = noise.use("background").integers(len(climate), members - 1)
        return torch.cat([mean, climate[drawn]], 1)

    def estimate(self, analysis: "Tensor") -> "Tensor":
        return analysis[:, 0]
