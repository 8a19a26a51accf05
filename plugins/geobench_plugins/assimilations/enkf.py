"""The stochastic ensemble Kalman filter."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Assimilation, Filter, Network, StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise


class EnKF(Assimilation):
    """Stochastic ensemble Kalman filter: each member is given its own perturbed observations.

    x_i + K (y + e_i - H x_i), K = P Hᵀ (H P Hᵀ + R)^-1 of the ensemble's covariance P, e_i normal
    with covariance R and taken off their mean; then the anomalies are multiplied by `inflation`.
    Sampling error of the e_i is the price for members that stay nearly normal.

    Burgers, van Leeuwen and Evensen (1998); Evensen (2003, doi:10.1007/s10236-003-0036-9).
    """

    name = "enkf"

    members: int = Field(40, ge=2, description="states it carries for each experiment")
    inflation: float = Field(1.06, gt=0, description="factor on the anomalies of each analysis")

    def filter(self, network: Network, spec: StateSpec, climate: "Tensor") -> Filter:
        """Needs nothing but the network."""
        return _EnKF(self, network)


class _EnKF(Filter):
    def __init__(self, recipe: EnKF, network: Network) -> None:
        self.recipe, self.network = recipe, network

    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        from geobench_plugins.assimilations.ensemble_space import Posterior, centred, normalised

        mean, anomalies = centred(forecast, self.recipe.name)
        members = forecast.shape[1]
        scaled, innovations = normalised(self.network, mean, anomalies, observed)
        kicks = noise.use("observation").normal(members, len(self.network), dtype=mean.dtype)
        kicks = kicks - kicks.mean(1, keepdim=True)
        departures = innovations + kicks - scaled * (members - 1) ** 0.5
        weights = Posterior(scaled).weights(departures.mT) / (members - 1) ** 0.5
        moved = anomalies + weights.mT @ anomalies
        shift = moved.mean(1, keepdim=True)
        analysis: Tensor = mean + shift + self.recipe.inflation * (moved - shift)
        return analysis.to(forecast.dtype).view_as(forecast)
