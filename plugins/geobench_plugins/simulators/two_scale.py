"""Lorenz95 with a fast scale."""

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import Dimension, Simulator, StateSpec, Variable
from geobench_plugins.simulators.backends import Backend, compiled
from geobench_plugins.simulators.model_time import whole_steps

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise

STABLE = 0.8  # dt max(F, cb): 512 rows ran 40 days at 0.8 (F = 20, cb = 100); one died at 1


class TwoScale(Simulator):
    """Lorenz95 in which every slow X_k drives, and is slowed by, a chain of fast Y_{j,k}.

        dX_k/dt = (X_{k+1} - X_{k-2}) X_{k-1} - X_k + F - (hc/b) Σ_j Y_{j,k}
        dY_j/dt = c b Y_{j+1} (Y_{j-1} - Y_{j+2}) - c Y_j + (hc/b) X_{k(j)}

    The Y form one ring of `sites` x `fast`. Lorenz (1996), section 4; settings of Wilks (2005,
    doi:10.1256/qj.04.03). Where the Y are hidden, the law of X depends on its past and is not
    Gaussian. Runge-Kutta steps; after each, `amplitude` sqrt(`dt`) N(0, 1) is added to every X.
    """

    name = "lorenz95-two-scale"

    sites: int = Field(8, ge=4, description="slow variables on the ring")
    fast: int = Field(32, ge=3, description="fast variables for each slow one")
    forcing: float = Field(20.0, description="F")
    coupling: float = Field(1.0, description="h")
    time_ratio: float = Field(10.0, gt=0, description="c: how much faster the fast scale is")
    space_ratio: float = Field(10.0, gt=0, description="b: how much smaller the fast scale is")
    dt: float = Field(0.005, gt=0, description="time step, model units of 5 days")
    output_hours: float = Field(24.0, gt=0, description="time between stored states, h")
    amplitude: float = Field(0.0, ge=0, description="of the noise on X, per root of a model unit")
    backend: Backend = Field(
        "auto", description="auto: compiled on a CPU unless a gradient is asked for"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        whole_steps(self.output_hours, self.dt)
        stable = STABLE / max(8.0, abs(self.forcing), self.time_ratio * self.space_ratio)
        if self.dt > stable:
            raise ValueError(
                f"dt = {self.dt:g} is unstable with F = {self.forcing:g} and cb = "
                f"{self.time_ratio * self.space_ratio:g}; use dt <= {stable:.3g}"
            )
        return self

    @property
    def spec(self) -> StateSpec:
        """The slow variable, then the fast ones of the same site."""
        fast = (
            Variable(name=f"y{j}", long_name=f"fast variable {j} of the site")
            for j in range(self.fast)
        )
        return StateSpec(
            variables=(Variable(name="q", long_name="slow variable X"), *fast),
            dims=(Dimension(name="x", size=self.sites, periodic=True, homogeneous=True),),
        )

    @property
    def output_step(self) -> timedelta:
        """`output_hours`."""
        return timedelta(hours=self.output_hours)

    @property
    def substeps(self) -> int:
        """Runge-Kutta steps in one output step."""
        return whole_steps(self.output_hours, self.dt)

    def initial(self, noise: "Noise") -> "Tensor":
        """Draw X from F/4 + N(0, 1) and Y from N(0, 0.1²)."""
        import torch

        slow = self.forcing / 4 + noise.use("initial").normal(1, self.sites)
        fast = 0.1 * noise.use("initial/fast").normal(self.fast, self.sites)
        return torch.cat([slow, fast], 1)

    def advance(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        """Take `steps` x `substeps` Runge-Kutta steps."""
        if compiled(self.name, self.backend, state):
            return self._advance_by_numba(state, steps, noise)
        for step in range(steps):
            state = self._step_by_torch(state, noise.at(noise.lead + step))
        return state

    def _advance_by_numba(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        import numpy as np
        import torch

        from geobench import LANES
        from geobench_plugins.kernels import two_scale as kernel
        from geobench_plugins.kernels.threads import over_rows

        rows = state.detach().contiguous().numpy()
        result = torch.empty_like(state, memory_format=torch.contiguous_format)
        pull = self.coupling * self.time_ratio / self.space_ratio
        fast = (pull, self.time_ratio * self.space_ratio, self.time_ratio)
        size = self.amplitude * math.sqrt(self.dt)
        numbers = np.array([self.forcing, *fast, self.dt / 2, self.dt, 1 / 6, size], rows.dtype)
        words = noise.words32()

        def piece(first: int, stop: int) -> None:
            kernel.advance(rows, result.numpy(), numbers, steps, self.substeps, *words, first, stop)

        over_rows(piece, len(state), block=LANES)
        return result

    def _step_by_torch(self, state: "Tensor", noise: "Noise") -> "Tensor":
        import torch

        size = self.amplitude * math.sqrt(self.dt)
        if size:
            kicks = size * noise.normal(self.substeps, 1, self.sites, dtype=state.dtype)
        for substep in range(self.substeps):
            k1 = self.tendency(state)
            k2 = self.tendency(state + self.dt / 2 * k1)
            k3 = self.tendency(state + self.dt / 2 * k2)
            k4 = self.tendency(state + self.dt * k3)
            state = state + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            if size:
                state = torch.cat([state[:, :1] + kicks[:, substep], state[:, 1:]], 1)
        return state

    def tendency(self, state: "Tensor") -> "Tensor":
        """d(X, Y)/dt without noise, per model unit: `(row, 1 + fast, site)`."""
        import torch

        x, fast = state[:, 0], state[:, 1:]
        y = fast.transpose(1, 2).flatten(1)  # one ring, site by site
        pull = self.coupling * self.time_ratio / self.space_ratio
        slow = (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + self.forcing
        slow = slow - pull * fast.sum(1)
        speed = self.time_ratio * self.space_ratio
        quick = speed * y.roll(-1, -1) * (y.roll(1, -1) - y.roll(-2, -1)) - self.time_ratio * y
        quick = quick.view(len(x), self.sites, self.fast).transpose(1, 2) + pull * x[:, None]
        return torch.cat([slow[:, None], quick], 1)

    def diagnostics(self, state: "Tensor") -> "dict[str, Tensor]":
        """The slow variable, and `energy`: the mean over the ring of X²/2."""
        return {"q": state[:, 0], "energy": state[:, 0].square().mean(-1) / 2}
