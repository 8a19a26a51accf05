"""The ensemble transform Kalman filter."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Assimilation, Filter, Network, StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise


class ETKF(Assimilation):
    """Ensemble transform Kalman filter: symmetric square root, multiplicative inflation, rotation.

    With S = Y R^-1/2 / sqrt(m - 1) (Y: observed anomalies) and P = (I + S Sᵀ)^-1, the mean moves by
    Aᵀ P S d / sqrt(m - 1), d = R^-1/2 (y - H x̄), and the anomalies A become `inflation` Q P^1/2 A,
    Q a random orthogonal matrix that keeps the mean. Exact for a linear system and normal errors,
    given the ensemble's own covariance. No localisation: with fewer members than growing directions
    it diverges.

    Bishop et al. (2001); Hunt, Kostelich and Szunyogh (2007, doi:10.1016/j.physd.2006.11.008);
    Sakov and Oke (2008, doi:10.1175/2007MWR2021.1).
    """

    name = "etkf"

    members: int = Field(20, ge=2, description="states it carries for each experiment")
    inflation: float = Field(1.04, gt=0, description="factor on the anomalies of each analysis")
    rotation: bool = Field(True, description="rotate the anomalies of each analysis at random")

    def filter(self, network: Network, spec: StateSpec, climate: "Tensor") -> Filter:
        """Needs nothing but the network."""
        return _ETKF(self, network)


class _ETKF(Filter):
    def __init__(self, recipe: ETKF, network: Network) -> None:
        self.recipe, self.network = recipe, network

    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        from geobench_plugins.assimilations.ensemble_space import (
            Posterior,
            centred,
            normalised,
            rotation,
        )

        mean, anomalies = centred(forecast, self.recipe.name)
        members = forecast.shape[1]
        scaled, innovations = normalised(self.network, mean, anomalies, observed)
        posterior = Posterior(scaled)
        weights = posterior.weights(innovations.mT) / (members - 1) ** 0.5
        root = self.recipe.inflation * posterior.root()
        if self.recipe.rotation:
            root = rotation(noise, members) @ root
        # Member i is x̄ + Σ_j A_j (w_j + T_ij).
        analysis: Tensor = mean + (root + weights.mT) @ anomalies
        return analysis.to(forecast.dtype).view_as(forecast)
