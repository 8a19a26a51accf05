"""The shallow-water basin as a plugin: contract, two equal forms, noise, diagnostics, errors."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from geobench import GeobenchError, Noise
from geobench.testing import SimulatorConformance
from geobench_plugins.simulators.shallow_water import Mount, ShallowWater

SCHEMES = ("een", "energy", "enstrophy")
RIDGE = (Mount(height=150, x=0.3, width_x=0.1, width_y=5), Mount(height=-60, x=0.7, y=0.2))


class TestShallowWater(SimulatorConformance):
    def simulator(self) -> ShallowWater:
        return ShallowWater(n=16, output_days=1)


class TestShallowWaterInTorch(SimulatorConformance):
    def simulator(self) -> ShallowWater:
        return ShallowWater(n=8, output_days=0.5, backend="torch")


def _rough(n: int, rows: int, dtype: torch.dtype) -> Tensor:
    """Random currents of 0.3 m/s and displacements of 10 m, without a scale."""
    noise = Noise.rows(0, "rough", rows)
    state = noise.normal(3, n, n, dtype=dtype)
    return state * torch.tensor([0.3, 0.3, 10], dtype=dtype)[:, None, None]


# All combinations, each in one precision: of two that differ in one switch, one is in each.
@pytest.mark.parametrize(
    "choice", list(itertools.product(range(len(SCHEMES)), *[(0, 1)] * 4)), ids=str
)
def test_both_forms_are_one_scheme(choice: tuple[int, ...]) -> None:
    every = (SCHEMES, ("free-slip", "no-slip"), (0, 5e3), (0, None), ((), RIDGE))
    scheme, walls, nu2, nu4, topography = (
        each[place] for each, place in zip(every, choice, strict=True)
    )
    dtype = (torch.float32, torch.float64)[sum(choice) % 2]
    # Eight steps with all terms at work. Rounding: 1.8e-15 and 1.2e-6 of each variable's largest
    # value after 24 steps.
    options = {"scheme": scheme, "walls": walls, "nu2": nu2, "nu4": nu4, "topography": topography}
    fields = options | {"n": 12, "length": 3.6e5, "output_days": 1 / 6}
    state, noise = _rough(12, 2, dtype), Noise.rows(0, "both", 2)
    one, other = (
        ShallowWater(backend=backend, **fields).advance(state, 1, noise)
        for backend in ("numba", "torch")
    )
    size = other.abs().amax((0, 2, 3), keepdim=True)
    most = 1e-5 if dtype == torch.float32 else 1e-14
    assert float(((one - other) / size).abs().max()) < most


def test_a_row_does_not_depend_on_others_or_on_threads() -> None:
    simulator, state = ShallowWater(n=24, output_days=1), _rough(24, 5, torch.float32)
    torch.set_num_threads(1)
    together = simulator.advance(state, 1, Noise.rows(0, "rows", 5))
    torch.set_num_threads(3)
    assert torch.equal(simulator.advance(state, 1, Noise.rows(0, "rows", 5)), together)
    alone = Noise(0, "rows", torch.tensor([3]), torch.tensor([0]))
    assert torch.equal(simulator.advance(state[3:4], 1, alone), together[3:4])


def test_what_stands_on_walls_is_dropped() -> None:
    state = _rough(16, 1, torch.float32)
    closed = state.clone()
    closed[:, 0, :, 0] = 0
    closed[:, 1, 0, :] = 0
    noise = Noise.rows(0, "walls", 1)
    for backend in ("numba", "torch"):
        simulator = ShallowWater(n=16, output_days=0.25, backend=backend)
        after = simulator.advance(state, 1, noise)
        assert torch.equal(after, simulator.advance(closed, 1, noise))
        assert not after[:, 0, :, 0].any()
        assert not after[:, 1, 0, :].any()


def test_a_gradient_is_the_slope() -> None:
    simulator = ShallowWater(n=8, length=4.8e5, output_days=0.25)
    noise = Noise.rows(0, "slope", 1)
    state = _rough(8, 1, torch.float64).requires_grad_()
    direction = _rough(8, 2, torch.float64)[1:]

    def goal(start: Tensor) -> Tensor:
        return (simulator.advance(start, 1, noise) ** 3).sum()

    (gradient,) = torch.autograd.grad(goal(state), state)
    with torch.no_grad():
        rise = goal(state + 1e-5 * direction) - goal(state - 1e-5 * direction)
    slope = float((gradient * direction).sum())
    assert float(rise) / 2e-5 == pytest.approx(slope, rel=1e-7)


def test_random_stress_has_its_size_and_crosses_no_wall() -> None:
    # The mean square of 2000 draws is a weighted sum of 41 chi-squares with few large weights:
    # its relative standard deviation is at most sqrt(2/2000) = .032. False alarm below 6e-7.
    noise = Noise.rows(0, "stress", 2000)
    simulator = ShallowWater(n=24, wind=0, wind_noise=0.3, eddy_noise=0.4, output_days=1.25)
    stress = 1000 * simulator.stress(noise, torch.float64)
    wanted = (0.3**2 + 0.4**2) * 4  # over a quarter of five days
    # Midpoint differences of a wave of k lose (k dx)^2/24: 5 % in the eddy band at n = 24.
    assert float((stress**2).sum(1).mean()) == pytest.approx(wanted, rel=5 * 0.032 + 0.05)
    assert float(stress[:, 0, :, 0].abs().max()) < 1e-12
    assert float(stress[:, 1, 0, :].abs().max()) < 1e-12
    east = torch.nn.functional.pad(stress[:, 0], (0, 1)).diff(dim=2)
    north = torch.nn.functional.pad(stress[:, 1], (0, 0, 0, 1)).diff(dim=1)
    assert float((east + north).abs().max()) < 1e-12


def test_random_stress_is_fresh_at_every_output_step() -> None:
    simulator, noise = ShallowWater(n=8), Noise.rows(0, "stress", 1)
    first, second = (simulator.stress(noise.at(lead), torch.float64) for lead in (0, 1))
    assert not torch.equal(first, second)


def test_diagnostics_of_a_known_flow() -> None:
    # One gyre of streamfunction -(U L/pi) sin(pi x/L) sin(pi y/L) with U = 0.5 m/s: its mean
    # kinetic energy is U^2/4, its largest vorticity 2 pi U/L.
    simulator = ShallowWater(n=64)
    middle = (torch.arange(64, dtype=torch.float64) + 0.5) / 64 * math.pi
    edge = torch.arange(64, dtype=torch.float64) / 64 * math.pi
    u = 0.5 * torch.cos(middle)[:, None] * torch.sin(edge)
    v = -0.5 * torch.sin(edge)[:, None] * torch.cos(middle)
    eta = torch.full((64, 64), 9.81, dtype=torch.float64)
    known = simulator.diagnostics(torch.stack([u, v, eta])[None])
    assert float(known["energy"]) == pytest.approx(0.5**2 / 4, rel=1e-3)
    assert float(known["vorticity"].max()) * 7e-5 == pytest.approx(math.pi / 1.92e6, rel=1e-3)
    assert float(known["speed"].max()) == pytest.approx(0.5, rel=2e-3)
    assert torch.allclose(known["ssh"], torch.full_like(eta, 0.1))
    assert torch.allclose(known["h"], 500 + eta)


@pytest.mark.parametrize(
    ("eddies", "rings"),
    [
        ((), 0),
        (((-80, 0.4, 0.25),), 1),  # a low in the south
        (((80, 0.4, 0.25),), 0),  # a high in the south: the gyre's own kind
        (((80, 0.4, 0.75), (-80, 0.7, 0.25)), 2),
        (((-80, 0.4, 0.45),), 0),  # not away from the jet
        (((-80, 0.07, 0.25),), 0),  # in the western boundary current
        (((-20, 0.4, 0.25),), 0),  # 20 cm
    ],
)
def test_rings_are_lows_in_the_south_and_highs_in_the_north(
    eddies: tuple[tuple[float, float, float], ...], rings: int
) -> None:
    simulator = ShallowWater()
    place = (torch.arange(65, dtype=torch.float64)) / 64
    pressure = torch.zeros(65, 65, dtype=torch.float64)  # at corners: psi = g' eta / f
    for height, x, y in eddies:
        pressure += height * torch.exp(
            -((place - x) ** 2 + (place[:, None] - y) ** 2) / (2 * 0.05**2)
        )
    psi = 0.1 * pressure / 7e-5
    state = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
    state[0, 0] = -psi.diff(dim=0)[:, :-1] / 30e3
    state[0, 1] = psi.diff(dim=1)[:-1] / 30e3
    state[0, 2] = (pressure[1:, 1:] + pressure[:-1, :-1]) / 2
    assert simulator.diagnostics(state)["rings"].tolist() == [rings]


def test_the_default_step_follows_the_grid() -> None:
    steps = {n: ShallowWater(n=n).step for n in (32, 64, 128, 256)}
    assert steps[64] == pytest.approx(432000 / 227)
    for n, step in steps.items():
        assert math.sqrt(0.1 * 500) * step / (1.92e6 / n) <= 0.45
        assert 432000 / step == pytest.approx(round(432000 / step))
    assert ShallowWater().biharmonic == pytest.approx(1e11)
    assert ShallowWater(n=128).biharmonic == pytest.approx(1e11 / 8)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"dt": 7200},
            r"gravity waves cross 1\.82 cells in a step; .* 0\.61 is stable\. Use dt <= 2426 s\.",
        ),
        ({"dt": 2500}, r"output_days = 5 is 172\.800 steps of dt = 2500 s; make it a whole number"),
        (
            {"dt": 2400, "nu4": 6e12},
            r"friction damps a wave of two cells 1\.14 .* Use dt <= 2109 s",
        ),
        ({"dt": 2400, "nu2": 2e5}, r"friction damps a wave of two cells"),
        ({"dt": 14400, "n": 8}, "inertial oscillations turn by"),
        ({"topography": ({"height": 450},)}, "topography rises up to 450 m"),
        ({"walls": "slippery"}, "walls = 'slippery': Input should be 'free-slip' or 'no-slip'"),
        ({"topography": ({"hieght": 1},)}, "height"),
        ({"nu": 1}, "there is no key 'nu'"),
    ],
)
def test_bad_fields_are_told_on_one_line(fields: dict[str, object], told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        ShallowWater.configured(fields)
    assert "\n" not in str(error.value)
