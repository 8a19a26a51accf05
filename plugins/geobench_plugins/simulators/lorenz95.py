"""Stochastic Lorenz95."""

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import Dimension, Simulator, StateSpec, Variable

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise

HOURS_PER_UNIT = 120.0  # one unit of model time is five days (Lorenz, 1996)


class Lorenz95(Simulator):
    """dX_i/dt = (X_{i+1} - X_{i-2}) X_{i-1} - X_i + F on a ring, with additive white noise.

    Lorenz (1996), "Predictability: a problem partly solved"; Lorenz and Emanuel (1998). Classical
    Runge-Kutta steps; after each, `amplitude` sqrt(`dt`) N(0, 1) is added to every site, so the
    law one output step ahead has full rank and is known by simulation.
    """

    name = "lorenz95"

    sites: int = Field(40, ge=4, description="number of sites on the ring")
    forcing: float = Field(8.0, description="F")
    dt: float = Field(0.05, gt=0, description="time step, model units of 5 days")
    output_hours: float = Field(24.0, gt=0, description="time between stored states, h")
    amplitude: float = Field(1.0, ge=0, description="of the noise, per square root of a model unit")

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        steps = self.output_hours / HOURS_PER_UNIT / self.dt
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"output_hours = {self.output_hours:g} is {steps:.3f} steps of dt = {self.dt:g} "
                f"({self.dt * HOURS_PER_UNIT:g} h); make it a whole number"
            )
        return self

    @property
    def spec(self) -> StateSpec:
        """One variable on a ring."""
        return StateSpec(
            variables=(Variable(name="q", long_name="Lorenz95 variable X"),),
            dims=(Dimension(name="x", size=self.sites, periodic=True),),
        )

    @property
    def output_step(self) -> timedelta:
        """`output_hours`."""
        return timedelta(hours=self.output_hours)

    @property
    def substeps(self) -> int:
        """Runge-Kutta steps in one output step."""
        return round(self.output_hours / HOURS_PER_UNIT / self.dt)

    def initial(self, noise: "Noise") -> "Tensor":
        """Draw F/4 + N(0, 1) at every site: near the climatological mean, and off the attractor."""
        return self.forcing / 4 + noise.use("initial").normal(1, self.sites)

    def advance(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        """Take `steps` x `substeps` noisy Runge-Kutta steps."""
        size = self.amplitude * math.sqrt(self.dt)
        for step in range(steps):
            if size:
                kicks = noise.at(noise.lead + step).normal(
                    self.substeps, *state.shape[1:], dtype=state.dtype
                )
            for substep in range(self.substeps):
                state = self._runge_kutta(state)
                if size:
                    state = state + size * kicks[:, substep]
        return state

    def _runge_kutta(self, x: "Tensor") -> "Tensor":
        k1 = self.tendency(x)
        k2 = self.tendency(x + self.dt / 2 * k1)
        k3 = self.tendency(x + self.dt / 2 * k2)
        k4 = self.tendency(x + self.dt * k3)
        return x + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def tendency(self, x: "Tensor") -> "Tensor":
        """dX/dt without noise, per model unit."""
        return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + self.forcing
