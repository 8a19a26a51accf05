"""Stochastic Lorenz95."""

import math
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import Dimension, Simulator, StateSpec, Variable
from geobench_plugins.simulators.backends import Backend, compiled
from geobench_plugins.simulators.model_time import whole_steps

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from geobench import Noise

RMS = 4.33  # root mean square of X at F = 8: sqrt(2.34² + 3.64²)
STABLE = 1.0  # dt max(F, 8): 256 noisy rows ran 80 units at 1.2 (F = 8) and .8 (F = 16), not at 1.3


class Lorenz95(Simulator):
    """dX_i/dt = (X_{i+1} - X_{i-2}) X_{i-1} - X_i + F on a ring, with white noise of many kinds.

    Lorenz (1996), "Predictability: a problem partly solved"; Lorenz and Emanuel (1998). Classical
    Runge-Kutta steps; after each, a kick is added (Itô):

        X_i += sqrt(dt) amplitude (1 - multiplicative + multiplicative |X_i| / 4.33)
               [X_i > threshold] Σ_k B_ik g(z_k),  z_k ~ N(0, 1) independent,
        g(z) = (z + tails z³) / sqrt(1 + 6 tails + 15 tails²)   (unit variance)

    B Bᵀ is the covariance exp(-d²/2 correlation²) on the ring, cut to its `rank` leading modes and
    scaled so that the mean variance stays 1; by default the identity: full rank, white in space.
    4.33 is the root mean square of X at F = 8. amplitude = 0 is the deterministic system.
    """

    name = "lorenz95"
    version = "2"

    sites: int = Field(40, ge=4, description="number of sites on the ring")
    forcing: float = Field(8.0, description="F")
    dt: float = Field(0.05, gt=0, description="time step, model units of 5 days")
    output_hours: float = Field(24.0, gt=0, description="time between stored states, h")
    amplitude: float = Field(1.0, ge=0, description="of the noise, per square root of a model unit")
    rank: int | None = Field(None, gt=0, description="independent modes; default: one per site")
    correlation: float = Field(0.0, ge=0, description="length of the noise's covariance, sites")
    multiplicative: float = Field(
        0.0, ge=0, le=1, description="share of the noise that is proportional to |X_i|"
    )
    tails: float = Field(
        0.0, ge=0, le=1, description="cubic share of a kick; 0.1 has an excess kurtosis of 3.6"
    )
    threshold: float | None = Field(None, description="only sites above it are kicked")
    backend: Backend = Field(
        "auto", description="auto: compiled on a CPU unless a gradient is asked for"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        whole_steps(self.output_hours, self.dt)
        stable = STABLE / max(8.0, abs(self.forcing))
        if self.dt > stable:
            raise ValueError(
                f"dt = {self.dt:g} is unstable at F = {self.forcing:g}; use dt <= {stable:.3g}"
            )
        if self.correlation > self.sites / 8:
            raise ValueError(
                f"correlation = {self.correlation:g} is too long for {self.sites} sites: on so "
                f"short a ring that is no covariance; use at most {self.sites / 8:g}"
            )
        if self.rank is not None and self.rank > self.sites:
            raise ValueError(
                f"rank = {self.rank} is more than the {self.sites} sites; use rank <= {self.sites}"
            )
        return self

    @property
    def spec(self) -> StateSpec:
        """One variable on a ring."""
        return StateSpec(
            variables=(Variable(name="q", long_name="Lorenz95 variable X"),),
            dims=(
                Dimension(name="x", size=self.sites, periodic=True, homogeneous=self._homogeneous),
            ),
        )

    @property
    def _homogeneous(self) -> bool:
        """Whether all sites are alike: unless the rank cuts a pair of modes, cosine and sine."""
        return self.rank is None or self.rank % 2 == 1 or self.rank == self.sites

    @property
    def output_step(self) -> timedelta:
        """`output_hours`."""
        return timedelta(hours=self.output_hours)

    @property
    def substeps(self) -> int:
        """Runge-Kutta steps in one output step."""
        return whole_steps(self.output_hours, self.dt)

    @cached_property
    def mixing(self) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        """B: `(site, mode)`, or `(site, 0)` where it is the identity."""
        import numpy as np

        if self.correlation == 0 and self.rank in (None, self.sites):
            return np.zeros((self.sites, 0))
        return ring_modes(self.sites, self.rank or self.sites, self.correlation)

    def initial(self, noise: "Noise") -> "Tensor":
        """Draw F/4 + N(0, 1) at every site: near the climatological mean, and off the attractor."""
        return self.forcing / 4 + noise.use("initial").normal(1, self.sites)

    def advance(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        """Take `steps` x `substeps` noisy Runge-Kutta steps."""
        if compiled(self.name, self.backend, state):
            return self._advance_by_numba(state, steps, noise)
        for step in range(steps):
            state = self._step_by_torch(state, noise.at(noise.lead + step))
        return state

    def _advance_by_numba(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        import torch

        from geobench import LANES
        from geobench_plugins.kernels import lorenz95 as kernel
        from geobench_plugins.kernels.threads import over_rows

        rows = state.detach().reshape(len(state), self.sites).contiguous().numpy()
        result = torch.empty_like(state, memory_format=torch.contiguous_format)
        out = result.view(len(state), self.sites).numpy()
        fixed = (self.mixing.astype(rows.dtype), self._numbers(rows.dtype), steps, self.substeps)
        words = noise.words32()

        def piece(first: int, stop: int) -> None:
            kernel.advance(rows, out, *fixed, *words, first, stop)

        over_rows(piece, len(state), block=LANES)
        return result

    def _numbers(
        self, dtype: "np.dtype[np.floating]"
    ) -> "np.ndarray[tuple[int], np.dtype[np.floating]]":
        import numpy as np

        size, slope = self._sizes()
        threshold = -math.inf if self.threshold is None else self.threshold
        steps = (self.forcing, self.dt / 2, self.dt, self.dt / 6, 1 / 3)
        return np.array([*steps, size, slope, threshold, self.tails, self._scale()], dtype)

    def _sizes(self) -> tuple[float, float]:
        """Constant part of a kick's size, and its part per |X_i|."""
        size = self.amplitude * math.sqrt(self.dt)
        return size * (1 - self.multiplicative), size * self.multiplicative / RMS

    def _scale(self) -> float:
        return 1 / math.sqrt(1 + 6 * self.tails + 15 * self.tails**2)

    def _step_by_torch(self, x: "Tensor", noise: "Noise") -> "Tensor":
        size, slope = self._sizes()
        if self.amplitude:
            modes = self.mixing.shape[1] or self.sites
            z = noise.normal(self.substeps, 1, modes, dtype=x.dtype)
            kicks = self._mixed((z + self.tails * z**3) * self._scale())
        for substep in range(self.substeps):
            x = self._runge_kutta(x)
            if self.amplitude:
                kick = (size + slope * x.abs()) * kicks[:, substep]
                x = x + (kick if self.threshold is None else kick * (x > self.threshold))
        return x

    def _mixed(self, z: "Tensor") -> "Tensor":
        """B z, summed mode by mode: the bits of a row do not depend on how many rows there are."""
        import torch

        if not self.mixing.shape[1]:
            return z
        modes = torch.from_numpy(self.mixing.T.copy()).to(z)
        mixed = z[..., :1] * modes[0]
        for mode in range(1, len(modes)):
            mixed = mixed + z[..., mode : mode + 1] * modes[mode]
        return mixed

    def _runge_kutta(self, x: "Tensor") -> "Tensor":
        k1 = self.tendency(x)
        k2 = self.tendency(x + self.dt / 2 * k1)
        k3 = self.tendency(x + self.dt / 2 * k2)
        k4 = self.tendency(x + self.dt * k3)
        return x + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def tendency(self, x: "Tensor") -> "Tensor":
        """dX/dt without noise, per model unit."""
        return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + self.forcing

    def diagnostics(self, state: "Tensor") -> "dict[str, Tensor]":
        """The variable, and `energy`: the mean over the ring of X²/2."""
        return {**super().diagnostics(state), "energy": state[:, 0].square().mean(-1) / 2}


def ring_modes(
    sites: int, rank: int, correlation: float
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """B `(site, mode)`: B Bᵀ is the Gaussian covariance on a ring, cut to its leading modes.

    Modes are the constant, then cosine and sine of rising wavenumber, each scaled by the root of
    its eigenvalue; all by one factor so that the mean over the sites of the variance is 1.
    correlation = 0 is white: all eigenvalues are equal.
    """
    import numpy as np

    site = np.arange(sites)
    distance = np.minimum(site, sites - site)
    row = np.exp(-0.5 * (distance / correlation) ** 2) if correlation else (site == 0) * 1.0
    values = np.maximum(np.fft.rfft(row).real, 0)
    modes = [np.full(sites, math.sqrt(values[0] / sites))]
    for wave in range(1, sites // 2 + 1):
        angle = 2 * math.pi * wave * site / sites
        last = 2 * wave == sites
        factor = math.sqrt((1 if last else 2) * values[wave] / sites)
        modes += [factor * np.cos(angle)] + ([] if last else [factor * np.sin(angle)])
    mixing = np.stack(modes[:rank], 1)
    scaled: np.ndarray[tuple[int, int], np.dtype[np.float64]] = mixing / math.sqrt(
        (mixing**2).sum() / sites
    )
    return scaled
