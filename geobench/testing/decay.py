"""A simulator whose law is known exactly."""

from datetime import timedelta

from torch import Tensor

from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import Dimension, StateSpec, Variable


class Decay(Simulator):
    """x' = `memory` x + sqrt(1 - memory²) N(0, 1) at every site of a ring: a law known exactly.

    `steps` steps ahead, a site is N(memory^steps x, 1 - memory^(2 steps)); the climate is N(0, 1).
    """

    name = "decay"

    sites: int = 8
    memory: float = 0.8

    @property
    def spec(self) -> StateSpec:
        """One variable on a ring."""
        return StateSpec(
            variables=(Variable(name="q"),),
            dims=(Dimension(name="x", size=self.sites, periodic=True),),
        )

    @property
    def output_step(self) -> timedelta:
        """One day."""
        return timedelta(days=1)

    def initial(self, noise: Noise) -> Tensor:
        """Draw from the climate."""
        return noise.use("initial").normal(1, self.sites)

    def advance(self, state: Tensor, steps: int, noise: Noise) -> Tensor:
        """Take `steps` steps."""
        size = (1 - self.memory**2) ** 0.5
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*state.shape[1:], dtype=state.dtype)
            state = self.memory * state + size * kick
        return state
