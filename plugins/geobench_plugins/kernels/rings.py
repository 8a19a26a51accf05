"""Detached rings: closed vortices on the side of the jet where their kind is not made.

The subtropical gyre (south) is high, the subpolar one low. A meander of the jet between them that
pinches off leaves a low in the south, or a high in the north. A ring is a 4-connected region with

    s_n² + s_s² - zeta² < CORE (Okubo-Weiss): rotation beats strain
    area           > AREA      not a speck of a filament
    largest |ssh|  > HEIGHT    of the sign that is strange there
    centre         > AWAY      of the side from the mid-line, and from the west wall

Okubo (1970), Deep-Sea Res. 17; Weiss (1991), Physica D 48; area and
height as in the census of Isern-Fontanet, García-Ladona and Font (2003), J. Atmos. Ocean. Tech. 20.
"""

import torch
from torch import Tensor

from geobench_plugins.kernels.shallow_water_torch import (
    diff_x,
    diff_y,
    ghosts_x,
    ghosts_y,
    mean_x,
    mean_y,
    vorticity,
)

CORE = -2e-11  # s-2: rotation of about 0.06 f0
AREA = 1e10  # m2: a radius of 56 km
HEIGHT = 0.4  # m
AWAY = 0.1  # of the basin's side


def okubo_weiss(u: Tensor, v: Tensor, dx: float, slip: float) -> Tensor:
    """Strain² minus vorticity² at centres `(…, n, n)`, s-2; `u`, `v` are whole, walls and all."""
    normal = (diff_x(u) - diff_y(v)) / dx
    shear = (diff_x(ghosts_x(v, slip)) + diff_y(ghosts_y(u, slip))) / dx
    return normal**2 + mean_y(mean_x(shear**2 - vorticity(u, v, dx, slip) ** 2))


def rings(ow: Tensor, ssh: Tensor, dx: float) -> Tensor:
    """Number of detached rings in each row `(row,)`, from fields `(row, n, n)`."""
    counts = [_count(o, s, dx) for o, s in zip(ow.cpu(), ssh.cpu(), strict=True)]
    return torch.tensor(counts, dtype=ssh.dtype, device=ssh.device)


def _count(ow: Tensor, ssh: Tensor, dx: float) -> int:
    import numpy as np
    from scipy import ndimage

    n = len(ssh)
    south = np.arange(n)[:, None] + 0.5 < n / 2
    # In each half only its strangers count: lows in the south, highs in the north.
    strange = np.where(south, -ssh.numpy(), ssh.numpy())
    labels, count = ndimage.label((ow.numpy() < CORE) & (strange > 0))
    indices = range(1, count + 1)
    areas = ndimage.sum_labels(np.ones_like(strange), labels, indices) * dx**2
    heights = ndimage.maximum(strange, labels, indices)
    centres = ndimage.center_of_mass(np.ones_like(strange), labels, indices)
    return sum(
        area > AREA and height > HEIGHT and (x + 0.5) / n > AWAY and abs((y + 0.5) / n - 0.5) > AWAY
        for area, height, (y, x) in zip(areas, heights, centres, strict=True)
    )
