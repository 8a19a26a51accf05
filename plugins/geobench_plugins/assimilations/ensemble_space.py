"""Kalman's equations in the space that an ensemble spans.

In float64 unless asked otherwise: the matrices are small, and accurate observations of a wide
ensemble make them ill-conditioned. Members stand before numbers, rows (experiments) before both.
Linear algebra libraries round a matrix by its place in memory, so a row's last bits depend on the
rows beside it: of float64, of which a float32 state keeps less.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geobench import GeobenchError

if TYPE_CHECKING:
    from geobench import Network, Noise


def centred(
    ensemble: Tensor, owner: str, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Mean `(row, 1, number)` and anomalies `(row, member, number)` of `(row, member, …)`."""
    members = ensemble.shape[1]
    if members < 2:
        raise GeobenchError(
            f"{owner}: an ensemble of {members} member has no spread. Use 2 or more."
        )
    flat = ensemble.flatten(2).to(dtype)
    mean = flat.mean(1, keepdim=True)
    return mean, flat - mean


def normalised(
    network: "Network", mean: Tensor, anomalies: Tensor, observed: Tensor
) -> tuple[Tensor, Tensor]:
    """Anomalies S = Y R^-1/2 / sqrt(m - 1) `(row, member, obs)`, innovations R^-1/2 (y - H x̄).

    Y are the anomalies where they are observed; the innovations are `(row, 1, obs)`.
    """
    error = network.error.to(mean)
    anomalies = network.pick(anomalies) / error / (anomalies.shape[1] - 1) ** 0.5
    return anomalies, (observed.to(mean)[:, None] - network.pick(mean)) / error


class Posterior:
    """What observations leave of an ensemble's spread: P = (I + S Sᵀ)^-1, of S `(…, member, obs)`.

    The eigen-decomposition is made on the smaller side of S. With SᵀS = V diag(x) Vᵀ,
    P = I - S V diag(1 / (1 + x)) Vᵀ Sᵀ and P^1/2 = I - S V diag(f(x)) Vᵀ Sᵀ, where
    f(x) = (1 - (1 + x)^-1/2) / x = 1 / (1 + x + sqrt(1 + x)).
    """

    def __init__(self, anomalies: Tensor) -> None:
        self.anomalies = anomalies
        members, count = anomalies.shape[-2:]
        self.few = count < members
        s, t = anomalies, anomalies.mT
        values, self.vectors = torch.linalg.eigh(t @ s if self.few else s @ t)
        self.values = 1 + values.clamp(min=0)

    def weights(self, innovations: Tensor) -> Tensor:
        """P S d = S (I + SᵀS)^-1 d `(…, member, k)` of innovations d `(…, obs, k)`."""
        inner = innovations if self.few else self.anomalies @ innovations
        turned = self.vectors.mT @ inner
        solved: Tensor = self.vectors @ (turned / self.values[..., None])
        return self.anomalies @ solved if self.few else solved

    def root(self) -> Tensor:
        """P^1/2, symmetric `(…, member, member)`: it keeps the mean, and moves members least."""
        values = self.values[..., None, :]
        if not self.few:
            root: Tensor = (self.vectors * values.rsqrt()) @ self.vectors.mT
            return root
        turned = self.anomalies @ self.vectors
        less: Tensor = (turned / (values + values.sqrt())) @ turned.mT
        return torch.eye(less.shape[-1], dtype=less.dtype, device=less.device) - less


def rotation(noise: "Noise", members: int) -> Tensor:
    """Random orthogonal matrices `(row, member, member)`, float64, that keep the vector of ones.

    Uniform (Haar) among those: they keep the mean and the covariance of an ensemble, and remove the
    outliers that square-root filters make (Sakov and Oke, 2008, doi:10.1175/2007MWR2021.1). The
    signs make the QR factor of a normal matrix uniform (Mezzadri, 2007).
    """
    normal = noise.use("rotation").normal(members - 1, members - 1, dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    whole = torch.zeros(len(q), members, members, dtype=q.dtype, device=q.device)
    whole[:, 0, 0], whole[:, 1:, 1:] = 1, q
    # The reflection that takes the first axis to the vector of ones.
    axis = torch.full((members, 1), -(members**-0.5), dtype=q.dtype, device=q.device)
    axis[0] += 1
    mirror = (
        torch.eye(members, dtype=q.dtype, device=q.device) - 2 * axis @ axis.T / axis.square().sum()
    )
    turned: Tensor = mirror @ whole @ mirror
    return turned
