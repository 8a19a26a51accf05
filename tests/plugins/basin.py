"""A small system on a plane, with walls, an island and a known law."""

from datetime import timedelta

import torch
from torch import Tensor

from geobench import Dimension, Noise, Simulator, StateSpec, Variable


class Basin(Simulator):
    """x' = memory x + sqrt(1 - memory²) N(0, 1) for two variables; the island holds zeros.

    `u` is also zero in the first column: a wall.
    """

    name = "basin"

    memory: float = 0.8

    @property
    def spec(self) -> StateSpec:
        """Walls along y, periodic along x."""
        return StateSpec(
            variables=(Variable(name="u"), Variable(name="h", units="m")),
            dims=(Dimension(name="y", size=8), Dimension(name="x", size=12, periodic=True)),
            land=(40, 41),
        )

    @property
    def output_step(self) -> timedelta:
        """One day."""
        return timedelta(days=1)

    @property
    def wet(self) -> Tensor:
        """Where values are, `(channel, *grid)`."""
        wet = torch.from_numpy(self.spec.sea).expand(2, -1, -1).clone()
        wet[0, :, 0] = False
        return wet

    def initial(self, noise: Noise) -> Tensor:
        """Draw from the climate."""
        return noise.use("initial").normal(*self.spec.shape) * self.wet

    def advance(self, state: Tensor, steps: int, noise: Noise) -> Tensor:
        """Take `steps` steps."""
        size, wet = (1 - self.memory**2) ** 0.5, self.wet.to(state.device)
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*state.shape[1:], dtype=state.dtype)
            state = self.memory * state + size * kick * wet
        return state
