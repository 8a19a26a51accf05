"""What every simulator must do."""

from abc import ABC, abstractmethod

import torch

from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator


class SimulatorConformance(ABC):
    """What every simulator must do."""

    @abstractmethod
    def simulator(self) -> Simulator:
        """Return the simulator under test, small enough for a test."""

    def test_states_are_as_the_spec_says(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 3)
        state = simulator.initial(noise)
        simulator.spec.check(state, 3, simulator.name)
        simulator.spec.check(simulator.advance(state, 1, noise.at(1)), 3, simulator.name)

    def test_advance_is_pure_and_repeatable(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 3)
        state = simulator.initial(noise)
        before = state.clone()
        generator = torch.get_rng_state()
        once = simulator.advance(state, 2, noise.at(1))
        again = simulator.advance(state, 2, noise.at(1))
        assert torch.equal(once, again), "the same noise gave two results"
        assert torch.equal(state, before), "advance changed the state it was given"
        assert torch.equal(torch.get_rng_state(), generator), "the global generator was used"

    def test_two_steps_are_one_step_twice(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 3)
        state = simulator.initial(noise)
        both = simulator.advance(state, 2, noise.at(1))
        first = simulator.advance(state, 1, noise.at(1))
        assert torch.equal(both, simulator.advance(first, 1, noise.at(2)))

    def test_rows_are_independent(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 4)
        state = simulator.initial(noise)
        other = state.clone()
        other[0] = state[1]
        kept = simulator.advance(state, 2, noise.at(1))[1:]
        assert torch.equal(kept, simulator.advance(other, 2, noise.at(1))[1:])
