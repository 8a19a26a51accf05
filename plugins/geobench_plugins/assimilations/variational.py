"""3D-Var with a fixed background covariance."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Assimilation, Filter, Network, StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise


class Variational(Assimilation):
    """3D-Var: the forecast corrected with a fixed share of the climatological covariance.

    x + B Hᵀ (H B Hᵀ + R)^-1 (y - H x), B = `scale` x the covariance of free-run states, with
    covariances tapered over `radius` grid cells if there is one. That is the minimum of the 3D-Var
    cost function for a linear H, found at once (Lorenc, 1986).

    With more than one member: an ensemble of data assimilations. Member 0 is the control, and the
    best estimate; the others have perturbed observations, so their spread tells the error that
    observations cause, given `scale`, and no more.
    """

    name = "3dvar"

    scale: float = Field(
        0.02, gt=0, description="background variance as a share of the climatological one"
    )
    radius: float | None = Field(
        None, gt=0, description="localisation of the covariance, grid cells; null: none"
    )

    def filter(self, network: Network, spec: StateSpec, climate: "Tensor") -> Filter:
        """Compute the gain."""
        from geobench_plugins.assimilations.climatological_gain import gain

        return _Variational(
            network, gain(climate, network, spec, scale=self.scale, radius=self.radius)
        )


class _Variational(Filter):
    def __init__(self, network: Network, gain: "Tensor") -> None:
        self.network, self.gain = network, gain

    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        from geobench_plugins.assimilations.climatological_gain import corrected

        background = forecast.flatten(2).double()
        gain = self.gain.to(background)
        analysis = corrected(background, observed, self.network, gain, noise)
        return analysis.to(forecast.dtype).view_as(forecast)

    def estimate(self, analysis: "Tensor") -> "Tensor":
        return analysis[:, 0]
