"""Lorenz95 against its equations, its invariants, the order of its scheme and published values."""

import itertools
import math

import pytest
import torch

from geobench import GeobenchError, Noise
from geobench.simulating import trajectories
from geobench.testing import SimulatorConformance
from geobench_plugins.simulators.lorenz95 import Lorenz95


class TestLorenz95(SimulatorConformance):
    def simulator(self) -> Lorenz95:
        return Lorenz95()


def _climate(rows: int = 64, steps: int = 200, **fields: float) -> torch.Tensor:
    return trajectories(Lorenz95(**fields), Noise.rows(0, "test", rows), spin_up=60, steps=steps)


def test_tendency_is_the_equation_site_by_site() -> None:
    x = Noise.rows(0, "state", 2).normal(1, 7, dtype=torch.float64)
    tendency = Lorenz95(sites=7, forcing=5).tendency(x)
    for i in range(7):
        left, far, right = x[..., i - 1], x[..., i - 2], x[..., (i + 1) % 7]
        assert torch.allclose(tendency[..., i], (right - far) * left - x[..., i] + 5)


def test_advection_conserves_the_sum_of_squares() -> None:
    x = 5 * Noise.rows(0, "state", 100).normal(1, 40, dtype=torch.float64)
    advection = Lorenz95(forcing=0).tendency(x) + x
    assert float((x * advection).sum(-1).abs().max()) < 1e-10 * float((x**2).sum(-1).max())


def test_the_scheme_is_of_fourth_order() -> None:
    start = _climate(8, 2)[:, -1].double()

    def after_a_day(dt: float) -> torch.Tensor:
        return Lorenz95(amplitude=0, dt=dt).advance(start, 1, Noise.rows(0, "none", 8))

    exact = after_a_day(0.2 / 256)
    errors = [float((after_a_day(dt) - exact).norm()) for dt in (0.05, 0.025, 0.0125)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(3.7 < order < 4.3 for order in orders), orders


def test_the_climate_is_the_published_one() -> None:
    # F = 8, 40 sites, no noise: mean 2.34, standard deviation 3.64 (variance 13.2) in the
    # literature. 64 x 200 days leave sampling errors of .01 and .01, measured between seeds.
    states = _climate(amplitude=0)
    assert float(states.mean()) == pytest.approx(2.34, abs=0.04)
    assert float(states.std()) == pytest.approx(3.64, abs=0.04)


def test_noise_has_its_amplitude() -> None:
    # Two runs from one state: after one RK4 step (here, a whole output step) they differ by
    # sigma sqrt(dt) N(0, 1) exactly. False alarm 6e-7 (5 sigma).
    simulator = Lorenz95(amplitude=0.7, output_hours=6)
    state = torch.full((500, 1, 40), 3.0, dtype=torch.float64)
    noisy = simulator.advance(state, 1, Noise.rows(0, "noise", 500))
    quiet = Lorenz95(amplitude=0, output_hours=6).advance(state, 1, Noise.rows(0, "noise", 500))
    kicks = (noisy - quiet).flatten() / (0.7 * math.sqrt(0.05))
    count = len(kicks)
    assert abs(float(kicks.mean())) < 5 / math.sqrt(count)
    assert abs(float((kicks**2).mean()) - 1) < 5 * math.sqrt(2 / count)


def test_one_day_change_has_the_known_size() -> None:
    # 3.39 with noise of 1: read off an independent implementation over 512 x 200 days.
    states = _climate()
    assert float((states[:, 1:] - states[:, :-1]).std()) == pytest.approx(3.39, abs=0.03)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"output_hours": 7}, r"output_hours = 7 is 1.167 steps of dt = 0.05 \(6 h\)"),
        ({"sites": 3}, "sites = 3: Input should be greater than or equal to 4"),
        ({"forcng": 8}, "there is no key 'forcng'. Did you mean 'forcing'?"),
        ({"forcing": "strong"}, "forcing = 'strong': Input should be a valid number"),
        ({"amplitude": float("nan")}, "amplitude = nan"),
    ],
)
def test_bad_fields_are_told_on_one_line(fields: dict[str, object], told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        Lorenz95.configured(fields)
    assert "\n" not in str(error.value)


def test_a_blow_up_is_told() -> None:
    with pytest.raises(GeobenchError, match=r"lorenz95 blew up: .* not finite after"):
        _climate(4, 20, dt=0.4, output_hours=48)
