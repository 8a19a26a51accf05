"""Two-scale Lorenz95 against its equations, its invariants and the order of its scheme."""

import itertools
import math

import pytest
import torch

from geobench import GeobenchError, Noise
from geobench.testing import SimulatorConformance
from geobench.twin.simulating import trajectories
from geobench_plugins.simulators.two_scale import TwoScale


class TestTwoScale(SimulatorConformance):
    def simulator(self) -> TwoScale:
        return TwoScale(sites=5, fast=4)


def _state(rows: int, simulator: TwoScale) -> torch.Tensor:
    return Noise.rows(0, "state", rows).normal(*simulator.spec.shape, dtype=torch.float64)


def test_tendency_is_the_equation_term_by_term() -> None:
    simulator = TwoScale(sites=5, fast=4, forcing=7, coupling=0.8, time_ratio=9, space_ratio=11)
    state = _state(2, simulator)
    tendency = simulator.tendency(state)
    x, y, pull = state[:, 0], state[:, 1:].transpose(1, 2).flatten(1), 0.8 * 9 / 11
    for k in range(5):
        total = sum(y[:, 4 * k + j] for j in range(4))
        advection = (x[:, (k + 1) % 5] - x[:, k - 2]) * x[:, k - 1]
        assert torch.allclose(tendency[:, 0, k], advection - x[:, k] + 7 - pull * total)
        for j in range(4):
            p = 4 * k + j
            own = 9 * 11 * y[:, (p + 1) % 20] * (y[:, p - 1] - y[:, (p + 2) % 20])
            assert torch.allclose(tendency[:, 1 + j, k], own - 9 * y[:, p] + pull * x[:, k])


def test_advection_and_coupling_conserve_energy() -> None:
    # With F = 0, d/dt of the sum of squares is only -2 ΣX² - 2c ΣY²: the coupling cancels.
    simulator = TwoScale(forcing=0)
    state = _state(50, simulator)
    rate = (state * simulator.tendency(state)).flatten(1).sum(1)
    damping = -(state[:, 0] ** 2).sum(1) - 10 * (state[:, 1:] ** 2).flatten(1).sum(1)
    assert torch.allclose(rate, damping, rtol=1e-11)


@pytest.mark.parametrize("fields", [{}, {"sites": 40, "fast": 10, "forcing": 18, "amplitude": 1.0}])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 5e-5), (torch.float64, 1e-13)])
def test_both_backends_are_one_equation(
    fields: dict[str, float], dtype: torch.dtype, close: float
) -> None:
    # Six hours are 10 steps; in a day the fast scale makes rounding errors 1,000 times larger.
    noise = Noise.rows(0, "noise", 40)
    compiled, eager = (
        TwoScale(**fields, output_hours=6, backend=name) for name in ("numba", "torch")
    )
    state = compiled.advance(compiled.initial(noise), 8, noise).to(dtype)
    difference = compiled.advance(state, 1, noise.at(9)) - eager.advance(state, 1, noise.at(9))
    assert float(difference.abs().max()) < close


def test_the_scheme_is_of_fourth_order() -> None:
    start = TwoScale().advance(_state(8, TwoScale()), 3, Noise.rows(0, "none", 8))

    def after_six_hours(dt: float) -> torch.Tensor:
        return TwoScale(dt=dt, output_hours=6).advance(start, 1, Noise.rows(0, "none", 8))

    exact = after_six_hours(0.05 / 640)
    errors = [float((after_six_hours(0.05 / n) - exact).norm()) for n in (20, 40, 80)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(3.7 < order < 4.3 for order in orders), orders


def test_energy_is_in_balance_on_the_attractor() -> None:
    # In the long run d/dt ΣX² and d/dt ΣY² vanish: F<X> = <X²> + <X U>, <X U> = c <ΣY²>, with
    # U = (hc/b) ΣY. The means are over 128 x 60 days; their imbalance is d/dt of the energy, read
    # over 60 days: at most |ΔE| / 12 units, of energies that vary by some 100 (X) and 1 (Y) a site.
    simulator = TwoScale()
    states = trajectories(simulator, Noise.rows(0, "climate", 128), spin_up=30, steps=60).double()
    x, y = states[:, :, 0], states[:, :, 1:]
    work = (x * y.sum(2)).mean()
    assert float(20 * x.mean()) == pytest.approx(float((x**2).mean() + work), rel=0.02)
    assert float(work) == pytest.approx(float(10 * (y**2).sum(2).mean()), rel=0.02)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dt": 0.02}, "dt = 0.02 is unstable with F = 20 and cb = 100; use dt <= 0.008"),
        ({"output_hours": 1}, r"output_hours = 1 is 1.667 steps of dt = 0.005 \(0.6 h\)"),
        ({"fast": 2}, "fast = 2: Input should be greater than or equal to 3"),
    ],
)
def test_bad_fields_are_told_on_one_line(fields: dict[str, object], told: str) -> None:
    with pytest.raises(GeobenchError, match=told):
        TwoScale.configured(fields)
