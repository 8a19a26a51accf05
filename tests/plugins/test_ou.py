"""The linear field against its closed form, and the closed form against its differential equation.

A statistic of N draws is compared within 6 standard errors; of some 1,600 numbers one exceeds that
in 3e5 seeds.
"""

import math

import pytest
import torch

from geobench import GeobenchError, Noise
from geobench.testing import SimulatorConformance
from geobench_plugins.simulators.ou import OrnsteinUhlenbeck


class TestOrnsteinUhlenbeck(SimulatorConformance):
    def simulator(self) -> OrnsteinUhlenbeck:
        return OrnsteinUhlenbeck()


@pytest.mark.parametrize("sites", [40, 15])
@pytest.mark.parametrize("steps", [1, 4])
def test_draws_have_the_exact_law(sites: int, steps: int) -> None:
    simulator, rows = OrnsteinUhlenbeck(sites=sites), 4000
    start = simulator.initial(Noise.rows(0, "start", 1)).double()
    state = start.expand(rows, 1, sites)
    drawn = simulator.advance(state, steps, Noise.rows(0, "draws", rows))[:, 0]
    mean, covariance = simulator.mean_after(start, steps)[0, 0], simulator.covariance_after(steps)
    size = float(covariance[0, 0])
    assert float((drawn.mean(0) - mean).abs().max()) < 6 * math.sqrt(size / rows)
    error = (drawn - mean).T @ (drawn - mean) / rows - covariance
    assert float(error.abs().max()) < 6 * size * math.sqrt(2 / rows)


def test_the_climate_stays() -> None:
    simulator, rows = OrnsteinUhlenbeck(), 4000
    start = simulator.initial(Noise.rows(0, "start", rows)).double()
    later = simulator.advance(start, 30, Noise.rows(0, "draws", rows, lead=1))
    distance = torch.arange(40).minimum(40 - torch.arange(40)).double()
    exact = torch.exp(-0.5 * (distance / 1.5) ** 2)
    for state in (start[:, 0], later[:, 0]):
        found = state.T @ state / rows
        for site in range(40):
            error = found[site] - exact[(torch.arange(40) - site) % 40]
            assert float(error.abs().max()) < 6 * math.sqrt(2 / rows)


def test_two_steps_compose() -> None:
    # Chapman-Kolmogorov: C(s + t) = M(t) C(s) M(t)ᵀ + C(t), a relation between the closed forms.
    simulator = OrnsteinUhlenbeck(sites=12)
    unit = torch.eye(12, dtype=torch.float64)[:, None]
    carry = simulator.mean_after(unit, 2)[:, 0].T
    composed = carry @ simulator.covariance_after(3) @ carry.T + simulator.covariance_after(2)
    assert torch.allclose(composed, simulator.covariance_after(5), atol=1e-12)


def test_the_mean_obeys_the_equation() -> None:
    # One long wave, q = cos(kx): it moves with the speed and decays at 1/memory + diffusivity k².
    simulator = OrnsteinUhlenbeck(speed=3.0, diffusivity=0.5, memory=4.0, output_hours=12)
    place, wave = torch.arange(40).double(), 2 * math.pi * 2 / 40
    state = torch.cos(wave * place)[None, None]
    days = 1.5
    exact = math.exp(-days * (1 / 4 + 0.5 * wave**2)) * torch.cos(wave * (place - 3.0 * days))
    assert torch.allclose(simulator.mean_after(state, 3)[0, 0], exact, atol=1e-12)


def test_bad_fields_are_told_on_one_line() -> None:
    with pytest.raises(GeobenchError, match=r"correlation = 6 is too long for 40 sites.*at most 5"):
        OrnsteinUhlenbeck.configured({"correlation": 6})
    with pytest.raises(GeobenchError, match="memory = 0: Input should be greater than 0"):
        OrnsteinUhlenbeck.configured({"memory": 0})
