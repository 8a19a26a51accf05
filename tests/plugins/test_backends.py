"""A backend that is asked for is the one that runs, or the simulator says why it cannot."""

import pytest
import torch

from geobench import GeobenchError, Noise, Simulator
from geobench_plugins.simulators.lorenz95 import Lorenz95
from geobench_plugins.simulators.shallow_water import ShallowWater
from geobench_plugins.simulators.two_scale import TwoScale

FORCED = [
    Lorenz95(sites=5, backend="numba"),
    TwoScale(sites=5, fast=4, backend="numba"),
    ShallowWater(n=8, backend="numba"),
]


@pytest.mark.parametrize("simulator", FORCED, ids=lambda simulator: simulator.name)
def test_compiled_code_never_drops_a_gradient(simulator: Simulator) -> None:
    noise = Noise.rows(0, "none", 1)
    state = torch.zeros(1, *simulator.spec.shape)
    with pytest.raises(GeobenchError, match="Use backend: auto"):
        simulator.advance(state.half(), 1, noise)
    with pytest.raises(GeobenchError, match="gradients are asked for"):
        simulator.advance(state.requires_grad_(), 1, noise)
    with torch.no_grad():
        assert not simulator.advance(state, 1, noise).requires_grad
