"""A linear stochastic field."""

import math
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import Dimension, Simulator, StateSpec, Variable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from geobench import Noise


class OrnsteinUhlenbeck(Simulator):
    """∂q/∂t = -speed ∂q/∂x + diffusivity ∂²q/∂x² - q/memory + noise, exact in time, on a ring.

    Every Fourier mode is a complex Ornstein-Uhlenbeck process, so the law at every lead is
    Gaussian and known in closed form (`mean_after`, `covariance_after`); the climate is N(0, C),
    C(d) = exp(-d²/2 correlation²), whatever the other fields. It is the benchmark's own
    calibration weight: here all that is measured can be computed as well. The derivatives are
    spectral. Gardiner (2009), "Stochastic Methods", section 4.5.
    """

    name = "ou"

    sites: int = Field(40, ge=3, description="number of sites on the ring")
    speed: float = Field(2.0, description="of advection, sites per day")
    diffusivity: float = Field(0.2, ge=0, description="sites² per day")
    memory: float = Field(5.0, gt=0, description="time in which the mean decays by e, days")
    correlation: float = Field(1.5, ge=0, description="length of the climate's covariance, sites")
    output_hours: float = Field(24.0, gt=0, description="time between stored states, h")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.correlation > self.sites / 8:
            raise ValueError(
                f"correlation = {self.correlation:g} is too long for {self.sites} sites: on so "
                f"short a ring that is no covariance; use at most {self.sites / 8:g}"
            )
        return self

    @property
    def spec(self) -> StateSpec:
        """One variable on a ring."""
        return StateSpec(
            variables=(Variable(name="q", long_name="linear stochastic field"),),
            dims=(Dimension(name="x", size=self.sites, periodic=True, homogeneous=True),),
        )

    @property
    def output_step(self) -> timedelta:
        """`output_hours`."""
        return timedelta(hours=self.output_hours)

    @cached_property
    def _climate(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Eigenvalues of the climate's covariance, by wavenumber 0 … sites - 1; their mean is 1."""
        import numpy as np

        site = np.arange(self.sites)
        distance = np.minimum(site, self.sites - site)
        if self.correlation == 0:
            return np.ones(self.sites)
        row = np.exp(-0.5 * (distance / self.correlation) ** 2)
        values: np.ndarray[tuple[int], np.dtype[np.float64]] = np.fft.fft(row).real
        scaled: np.ndarray[tuple[int], np.dtype[np.float64]] = np.maximum(values, 0)
        scaled /= scaled.mean()
        return scaled

    def _propagator(self, steps: int) -> "np.ndarray[tuple[int], np.dtype[np.complex128]]":
        """exp(λ t) of each wavenumber, `steps` output steps ahead."""
        import numpy as np

        wave = 2 * math.pi * np.fft.fftfreq(self.sites)
        rate = -1 / self.memory - self.diffusivity * wave**2 - 1j * self.speed * wave
        if self.sites % 2 == 0:  # the shortest wave has no direction
            rate[self.sites // 2] = rate[self.sites // 2].real
        days = steps * self.output_step / timedelta(days=1)
        grown: np.ndarray[tuple[int], np.dtype[np.complex128]] = np.exp(rate * days)
        return grown

    def mean_after(self, state: "Tensor", steps: int) -> "Tensor":
        """Exact mean `(row, 1, site)`, `steps` output steps after `state`."""
        import numpy as np

        return _around(state, np.fft.ifft(self._propagator(steps)).real)

    def covariance_after(self, steps: int) -> "Tensor":
        """Exact covariance `(site, site)`, float64, `steps` output steps after any state."""
        import numpy as np
        import torch

        values = self._climate * (1 - np.abs(self._propagator(steps)) ** 2)
        row = np.fft.ifft(values).real
        site = np.arange(self.sites)
        return torch.from_numpy(row[(site[:, None] - site) % self.sites])

    @cached_property
    def _kernels(self) -> "dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]":
        import numpy as np

        propagator = self._propagator(1)
        size = np.sqrt(self._climate * (1 - np.abs(propagator) ** 2))
        parts = {"carry": propagator, "kick": size, "climate": np.sqrt(self._climate)}
        return {name: np.fft.ifft(part).real for name, part in parts.items()}

    def initial(self, noise: "Noise") -> "Tensor":
        """Draw from the climate."""
        return _around(noise.use("initial").normal(1, self.sites), self._kernels["climate"])

    def advance(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        """Take `steps` exact steps."""
        for step in range(steps):
            z = noise.at(noise.lead + step).normal(1, self.sites, dtype=state.dtype)
            carried = _around(state, self._kernels["carry"])
            state = carried + _around(z, self._kernels["kick"])
        return state


def _around(field: "Tensor", kernel: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "Tensor":
    """Circular convolution, place by place: a row's bits do not depend on how many there are."""
    total = field * float(kernel[0])
    for shift in range(1, len(kernel)):
        total = total + field.roll(shift, -1) * float(kernel[shift])
    return total
