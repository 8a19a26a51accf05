"""The plugin's own tests: `pytest --pyargs geobench_earlier.conformance`."""

import torch

from geobench import Noise
from geobench.testing import (
    AssimilationConformance,
    Decay,
    ModelConformance,
    ScorerConformance,
    SimulatorConformance,
    small_case,
)
from geobench_earlier.models import Regression
from geobench_earlier.nudging import Nudging
from geobench_earlier.red_noise import RedNoise
from geobench_earlier.scorers import CRPS, LawCRPS, MedianError, Spread


class TestRedNoise(SimulatorConformance):
    def simulator(self):
        return RedNoise()


class TestRegression(ModelConformance):
    def model(self):
        return Regression()

    def simulator(self):
        return Decay(sites=6)


class TestNudging(AssimilationConformance):
    def assimilation(self):
        return Nudging(members=3)


class TestCRPS(ScorerConformance):
    def scorer(self):
        return CRPS()


class TestLawCRPS(ScorerConformance):
    def scorer(self):
        return LawCRPS()


class TestMedianError(ScorerConformance):
    def scorer(self):
        return MedianError()


class TestSpread(ScorerConformance):
    def scorer(self):
        return Spread()


def test_the_compiled_noise_is_that_of_torch():
    simulator, noise = RedNoise(memory=0.5), Noise.rows(3, "noise", 40)
    state = simulator.initial(noise)
    kick = noise.at(2).normal(*simulator.spec.shape)
    sea = torch.from_numpy(simulator.spec.sea)
    expected = (0.5 * state + 0.75**0.5 * kick) * sea
    found = simulator.advance(state, 1, noise.at(2))
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


def test_a_small_case_has_members():
    forecast, truth, context = small_case()
    assert forecast.sizes["member"] == 5
    assert context.law is not None
    assert truth.dims == tuple(dim for dim in forecast.dims if dim != "member")
