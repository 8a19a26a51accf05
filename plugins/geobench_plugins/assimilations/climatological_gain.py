"""A Kalman gain from the climatological covariance."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geobench import GeobenchError
from geobench_plugins.assimilations.localisation import distances, gaspari_cohn

if TYPE_CHECKING:
    from geobench import Network, Noise, StateSpec


def gain(
    climate: Tensor, network: "Network", spec: "StateSpec", *, scale: float, radius: float | None
) -> Tensor:
    """K = B Hᵀ (H B Hᵀ + R)^-1 `(number, obs)`, B = `scale` x the covariance of `climate`.

    Only B Hᵀ is formed, never B. With a radius, covariances are multiplied by the Gaspari-Cohn
    taper of their distance: few samples say nothing of small correlations far away.
    """
    samples = climate.flatten(1).double()
    if len(samples) < 2:
        raise GeobenchError(
            f"a covariance needs 2 or more states of the climate; got {len(samples)}."
        )
    places = network.places.to(samples.device)
    anomalies = (samples - samples.mean(0)) * (scale / (len(samples) - 1)) ** 0.5
    across = anomalies.T @ anomalies[:, places]
    if radius is not None:
        cells = torch.arange(spec.sea.size)
        seen = network.places.cpu() % len(cells)
        taper = gaspari_cohn(distances(cells, seen, spec.dims), radius)
        across *= taper.to(across).repeat(len(spec.variables), 1)
    total = across[places] + torch.diag(network.error.to(across) ** 2)
    factor = torch.linalg.cholesky(total)
    return torch.cholesky_solve(across.T.contiguous(), factor).T.contiguous()


def corrected(
    background: Tensor, observed: Tensor, network: "Network", gain: Tensor, noise: "Noise"
) -> Tensor:
    """x_i + K (y + e_i - H x_i) of `(row, member, number)`; e_0 = 0, the others N(0, R)."""
    members = background.shape[1]
    kicks = noise.use("observation").normal(members - 1, len(network), dtype=torch.float64)
    kicks = torch.nn.functional.pad(kicks, (0, 0, 1, 0)) * network.error.to(kicks)
    innovations = observed.double()[:, None] + kicks - network.pick(background)
    return background + innovations @ gain.T
