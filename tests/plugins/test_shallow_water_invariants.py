"""What the shallow-water schemes keep, and the order of their errors."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from geobench import Noise
from geobench_plugins.kernels import shallow_water_torch as grid
from geobench_plugins.simulators.shallow_water import Mount, ShallowWater

HILLS = (Mount(height=200, x=0.3, y=0.6), Mount(height=-100, x=0.8, y=0.3, width_y=0.3))


def _free(**fields: Any) -> ShallowWater:
    """Neither wind nor friction nor noise."""
    return ShallowWater(
        **{"wind": 0, "drag": 0, "nu4": 0, "wind_noise": 0, "eddy_noise": 0} | fields
    )


def _after(simulator: ShallowWater, state: Tensor, steps: int = 1) -> Tensor:
    return simulator.advance(state, steps, Noise.rows(0, "none", len(state)))


def _waves(n: int) -> Tensor:
    """A smooth flow through no wall: currents of 0.5 m/s, displacements of 30 m (float64)."""
    middle = (torch.arange(n, dtype=torch.float64) + 0.5) / n * math.pi
    edge = torch.arange(n, dtype=torch.float64) / n * math.pi
    u = 0.5 * torch.sin(edge) * torch.cos(2 * middle + 1)[:, None]
    v = 0.5 * torch.sin(2 * edge)[:, None] * torch.cos(middle + 2)
    eta = 30 * torch.cos(middle) * torch.cos(3 * middle)[:, None]
    return torch.stack([u, v, eta])[None]


def _vortex(n: int) -> Tensor:
    """Swirling water of 1 m/s and 20 m in mid-basin, not in balance; nothing near the walls."""
    middle = (torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5
    edge = torch.arange(n, dtype=torch.float64) / n - 0.5

    def bump(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-(x**2 + y[:, None] ** 2) / (2 * 0.06**2))

    u = 30 * middle[:, None] * bump(edge, middle)
    v = -10 * middle * bump(middle, edge)
    return torch.stack([u, v, 20 * bump(middle, middle)])[None]


def _rough(n: int) -> Tensor:
    state = Noise.rows(0, "rough", 1).normal(3, n, n, dtype=torch.float64)
    state = state * torch.tensor([0.5, 0.5, 30.0])[:, None, None]
    state[:, 0, :, 0] = 0
    state[:, 1, 0, :] = 0
    return state


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_lake_at_rest_stays_at_rest_over_any_bottom(backend: str, level: float) -> None:
    simulator = _free(n=16, topography=HILLS, drag=1e-7, nu4=None, backend=backend, output_days=1)
    lake = torch.zeros(1, 3, 16, 16)
    lake[:, 2] = level
    assert torch.equal(_after(simulator, lake), lake)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 3e-8), (torch.float64, 3e-17)])
def test_mass_is_kept_to_rounding(dtype: torch.dtype, most: float) -> None:
    # Per step, as a share of all water; rounding of eta itself is 30 m/500 m 6e-8 (1e-16) a cell.
    simulator = ShallowWater(n=32, topography=HILLS, walls="no-slip", wind_noise=0.5)
    state = _waves(32).to(dtype)
    after = _after(simulator, state, 4)
    assert float((after[:, 0] - state[:, 0]).abs().max()) > 0.1
    drift = float((after[:, 2].double().mean() - state[:, 2].double().mean()) / 500)
    assert abs(drift) / (4 * 432000 / simulator.step) < most


@pytest.mark.parametrize("scheme", ["een", "energy"])
@pytest.mark.parametrize("walls", ["free-slip", "no-slip"])
def test_these_schemes_keep_energy(scheme: str, walls: str) -> None:
    # dE/dt along the tendency of a field without any smoothness, over hills and on a beta plane.
    basin = _free(n=16, scheme=scheme, walls=walls, topography=HILLS).basin(torch.float64)
    state = _rough(16).requires_grad_()
    (slope,) = torch.autograd.grad(grid.energy(state, basin).sum(), state)
    parts = slope * grid.tendency(state.detach(), torch.zeros(1, 2, 16, 16), basin)
    assert abs(float(parts.sum())) < 1e-14 * float(parts.abs().sum())


def test_the_enstrophy_scheme_keeps_potential_enstrophy_away_from_walls() -> None:
    # The vorticity on a wall is set by the slip condition, not by the flux: still water there.
    basin = _free(n=16, scheme="enstrophy", topography=HILLS).basin(torch.float64)
    state = _rough(16)
    inner = torch.zeros(16, 16, dtype=torch.float64)
    inner[4:-4, 4:-4] = 1
    state = (state * inner).requires_grad_()
    (slope,) = torch.autograd.grad(grid.enstrophy(state, basin).sum(), state)
    parts = slope * grid.tendency(state.detach(), torch.zeros(1, 2, 16, 16), basin)
    assert abs(float(parts.sum())) < 1e-13 * float(parts.abs().sum())


@pytest.mark.parametrize("scheme", ["een", "energy"])
def test_energy_drifts_with_the_third_power_of_the_step(scheme: str) -> None:
    drifts = []
    for parts in (256, 512, 1024):
        simulator = _free(n=32, scheme=scheme, dt=432000 / parts)
        basin, state = simulator.basin(torch.float64), _waves(32)
        start = float(grid.energy(state, basin))
        drifts.append(float(grid.energy(_after(simulator, state), basin)) / start - 1)
    orders = [math.log2(abs(a / b)) for a, b in itertools.pairwise(drifts)]
    assert all(2.8 < order < 3.2 for order in orders), (drifts, orders)


def test_potential_enstrophy_drifts_with_the_third_power_of_the_step() -> None:
    # A vortex in mid-basin, while its waves have not reached the walls.
    drifts = []
    for parts in (10, 20, 40):
        simulator = _free(n=48, scheme="enstrophy", output_days=0.25, dt=21600 / parts)
        basin, state = simulator.basin(torch.float64), _vortex(48)
        start = float(grid.enstrophy(state, basin))
        drifts.append(float(grid.enstrophy(_after(simulator, state), basin)) / start - 1)
    orders = [math.log2(abs(a / b)) for a, b in itertools.pairwise(drifts)]
    assert all(2.7 < order < 3.3 for order in orders), (drifts, orders)


def test_the_scheme_is_of_third_order_in_time() -> None:
    def after_five_days(parts: int) -> Tensor:
        simulator = ShallowWater(n=32, dt=432000 / parts, wind_noise=0.3)
        return _after(simulator, _waves(32))

    exact = after_five_days(8192)
    errors = [float((after_five_days(parts) - exact)[:, 2].norm()) for parts in (256, 512, 1024)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(2.8 < order < 3.2 for order in orders), orders


def test_the_scheme_is_of_second_order_in_space() -> None:
    # A vortex in mid-basin after a quarter of a day; each grid against one of half its spacing, at
    # the centres of the coarsest: with errors c dx^2, differences fall by four. Orders with walls
    # are measured on boundary layers.
    def after(n: int) -> Tensor:
        simulator = _free(n=n, output_days=0.25, dt=450)
        return _after(simulator, _vortex(n))[0, 2].reshape(16, n // 16, 16, n // 16).mean((1, 3))

    fields = [after(n) for n in (32, 64, 128, 256)]
    errors = [float((a - b).norm()) for a, b in itertools.pairwise(fields)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders[-1] == pytest.approx(2, abs=0.1), orders
