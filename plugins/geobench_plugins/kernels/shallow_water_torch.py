"""The shallow-water equations on a C-grid in a closed basin, in torch: pure and differentiable.

        v[j+1,i]            h and eta at centres; cell (j, i) has its west face u[j, i], its south
       +--------+           face v[j, i] and its south-west corner q[j, i]. Whole fields have a
       |        |           face at each wall: u (…, n, n+1), v (…, n+1, n), q (…, n+1, n+1).
u[j,i] | h[j,i] | u[j,i+1]  States store u and v without the last one (…, 3, n, n); no water
       |        |           crosses a wall, so the faces on walls are zero.
       +--------+
  q[j,i]  v[j,i]

    du/dt = +(q V) - d/dx (g' eta + |u|^2/2) + tau_x/(rho h) - r u + nu2 lap u - nu4 lap^2 u
    dv/dt = -(q U) - d/dy (g' eta + |u|^2/2) + tau_y/(rho h) - r v + nu2 lap v - nu4 lap^2 v
    d eta/dt = -dU/dx - dV/dy,   (U, V) = h (u, v),   h = depth + eta,   q = (f + zeta)/h

Walls: free slip (zeta = 0) or no slip (the velocity changes sign across the wall). The Laplacian
meets the same condition as the velocity: that closes the biharmonic, and makes it dissipate energy.

Arakawa and Lamb (1981), Mon. Wea. Rev. 109; Sadourny (1975), J. Atmos. Sci. 32; time steps: Shu
and Osher (1988), J. Comput. Phys. 77.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Scheme = Literal["een", "energy", "enstrophy"]


@dataclass(frozen=True)
class Basin:
    """Where the water is, and what acts on it besides the wind; SI units."""

    depth: Tensor  # at rest (n, n)
    coriolis: Tensor  # at rows of corners, from south to north (n + 1,)
    dx: float
    gravity: float
    drag: float
    nu2: float
    nu4: float
    slip: float  # velocity in a wall's ghost over that at the wall: 1 free slip, -1 no slip
    scheme: Scheme


def mean_x(a: Tensor) -> Tensor:
    """Mean of neighbours along the last dim."""
    return (a[..., 1:] + a[..., :-1]) / 2


def diff_x(a: Tensor) -> Tensor:
    """Difference of neighbours along the last dim, east minus west."""
    return a[..., 1:] - a[..., :-1]


def mean_y(a: Tensor) -> Tensor:
    """Mean of neighbours along the dim before the last."""
    return (a[..., 1:, :] + a[..., :-1, :]) / 2


def diff_y(a: Tensor) -> Tensor:
    """Difference of neighbours along the dim before the last, north minus south."""
    return a[..., 1:, :] - a[..., :-1, :]


def ghosts_x(a: Tensor, sign: float) -> Tensor:
    """Add what stands behind the west and the east wall: `sign` times what stands before them."""
    return torch.cat([sign * a[..., :1], a, sign * a[..., -1:]], -1)


def ghosts_y(a: Tensor, sign: float) -> Tensor:
    """Add what stands behind the south and the north wall."""
    return ghosts_x(a.mT, sign).mT


def faces(state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whole u `(…, n, n+1)` and v `(…, n+1, n)`, zero on the walls, and eta of stored states."""
    u, v, eta = state.unbind(-3)
    return pad(u[..., 1:], (1, 1)), pad(v[..., 1:, :], (0, 0, 1, 1)), eta


def vorticity(u: Tensor, v: Tensor, dx: float, slip: float) -> Tensor:
    """Zeta = dv/dx - du/dy at corners `(…, n+1, n+1)`."""
    return (diff_x(ghosts_x(v, slip)) - diff_y(ghosts_y(u, slip))) / dx


def vorticity_flux(q: Tensor, transport: Tensor, scheme: Scheme) -> Tensor:
    """Vorticity flux q V at the inner faces of u `(…, n, n-1)`; transposed, q U at those of v.

        q_nw--V_nw--q_n--V_ne--q_ne       Every scheme is a sum of q V over the four V about u:
                     |                    een        (q_s + q_n + q_its own side) V / 12
                     u                    energy     (q of V's own row) V / 4
                     |                    enstrophy  (q_s + q_n)/2 V / 4
        q_sw--V_sw--q_s--V_se--q_se

    een: triads that keep energy, and enstrophy where the flow does not diverge.
    """
    south, north = q[..., :-1, 1:-1], q[..., 1:, 1:-1]
    if scheme == "energy":
        return mean_y(q[..., 1:-1] * mean_x(transport))
    four = mean_y(mean_x(transport))
    if scheme == "enstrophy":
        return (south + north) / 2 * four
    west = q[..., :-2] * transport[..., :-1]
    east = q[..., 2:] * transport[..., 1:]
    return ((south + north) * four * 2 + mean_y(west + east)) / 6


def laplacian(u: Tensor, dx: float, slip: float) -> Tensor:
    """Lap u on all faces of u `(…, n, n+1)`, zero on the walls; transposed, lap v on those of v."""
    wide = ghosts_y(u, slip)[..., 1:-1]
    inner = diff_y(diff_y(wide)) + diff_x(diff_x(u))
    return pad(inner, (1, 1)) / dx**2


def friction(u: Tensor, basin: Basin) -> Tensor:
    """-r u + nu2 lap u - nu4 lap lap u on all faces of u; transposed, the same of v."""
    rate = -basin.drag * u
    if basin.nu2 or basin.nu4:
        once = laplacian(u, basin.dx, basin.slip)
        rate = rate + basin.nu2 * once
        if basin.nu4:
            rate = rate - basin.nu4 * laplacian(once, basin.dx, basin.slip)
    return rate


def tendency(state: Tensor, stress: Tensor, basin: Basin) -> Tensor:
    """Rates of change of `state` `(…, 3, n, n)`; `stress` `(…, 2, n, n)` is tau/rho, m2 s-2."""
    u, v, eta = faces(state)
    h = basin.depth + eta
    h_u, h_v = mean_x(h), mean_y(h)
    mass_u, mass_v = u * pad(h_u, (1, 1)), v * pad(h_v, (0, 0, 1, 1))
    h_q = mean_y(mean_x(ghosts_y(ghosts_x(h, 1), 1)))
    zeta = vorticity(u, v, basin.dx, basin.slip)
    q = (basin.coriolis[:, None] + zeta) / h_q
    head = basin.gravity * eta + (mean_x(u**2) + mean_y(v**2)) / 2
    du = vorticity_flux(q, mass_v, basin.scheme) - diff_x(head) / basin.dx
    dv = -vorticity_flux(q.mT, mass_u.mT, basin.scheme).mT - diff_y(head) / basin.dx
    du = du + stress[..., 0, :, 1:] / h_u + friction(u, basin)[..., 1:-1]
    dv = dv + stress[..., 1, 1:, :] / h_v + friction(v.mT, basin).mT[..., 1:-1, :]
    d_eta = -(diff_x(mass_u) + diff_y(mass_v)) / basin.dx
    return torch.stack([pad(du, (1, 0)), pad(dv, (0, 0, 1, 0)), d_eta], -3)


def step(state: Tensor, stress: Tensor, basin: Basin, dt: float) -> Tensor:
    """One step of the strong-stability-preserving Runge-Kutta scheme of third order."""
    first = state + dt * tendency(state, stress, basin)
    second = 0.75 * state + 0.25 * (first + dt * tendency(first, stress, basin))
    return (state + 2 * (second + dt * tendency(second, stress, basin))) / 3


def energy(state: Tensor, basin: Basin) -> Tensor:
    """Kinetic and potential energy over the density, summed over the basin `(…,)`, m5 s-2."""
    u, v, eta = faces(state)
    h = basin.depth + eta
    kinetic = h * (mean_x(u**2) + mean_y(v**2)) / 2
    return (kinetic + basin.gravity * eta**2 / 2).sum((-2, -1)) * basin.dx**2


def enstrophy(state: Tensor, basin: Basin) -> Tensor:
    """Potential enstrophy h q^2 / 2, summed over the inner corners `(…,)`, m s-2."""
    u, v, eta = faces(state)
    h = mean_y(mean_x(basin.depth + eta))
    zeta = vorticity(u, v, basin.dx, basin.slip)[..., 1:-1, 1:-1]
    vortical = (basin.coriolis[1:-1, None] + zeta) ** 2
    return (vortical / h / 2).sum((-2, -1)) * basin.dx**2
