"""Samplers: from noise to a draw, along an ordinary differential equation, with churn.

A sample r and noise e ~ N(0, I) are mixed as x_t = a(t) r + t e, with a(t) = 1 - t on the straight
path of flow matching (Lipman et al., 2023) and a(t) = 1 on that of EDM (Karras et al., 2022), whose
t is the noise level sigma. With D(x, t) = E[r | x_t = x] both have dx/dt = (x - D(x, t)) / t, so
a sampler needs to know a alone. What is evaluated is counted by whoever holds the network.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from geobench import Noise
from geobench_plugins.networks.sampling import Method, Sampler

Denoise = Callable[[Tensor, float], Tensor]
"""D(x, t) for all rows of x at one t."""


class Path(NamedTuple):
    """Which of the two paths: `straight` has a(t) = 1 - t, t in [0, 1]; else a = 1."""

    straight: bool

    def signal(self, t: float) -> float:
        """Return a(t)."""
        return 1 - t if self.straight else 1.0

    def level(self, t: float) -> float:
        """Noise over signal."""
        signal = self.signal(t)
        return t / signal if signal > 0 else math.inf

    def time(self, level: float) -> float:
        """Return the t of a level: the inverse of `level`."""
        return level / (1 + level) if self.straight else level


def draw(denoise: Denoise, start: Tensor, sampler: Sampler, path: Path, noise: Noise) -> Tensor:
    """Follow the path from x = `start`, at the highest time, to a draw at 0.

    `noise` has a row for each row of x; churn draws from it.
    """
    x = start
    for x in along(denoise, start, sampler, path, noise):  # noqa: B007 # the last of them
        pass
    return x


def along(
    denoise: Denoise, start: Tensor, sampler: Sampler, path: Path, noise: Noise
) -> Iterator[Tensor]:
    """Give x after each step of `draw`."""
    x, times = start, sampler.times()
    step = _euler if sampler.evaluations == 1 else _STEPS[sampler.method]
    for index, (t, after) in enumerate(itertools.pairwise(times)):
        if _churns(sampler, path.level(t)):
            fresh = noise.use(f"churn {index}").normal(*x.shape[1:], dtype=x.dtype)
            x, t = _churned(x, t, fresh, path, sampler)
        x = step(denoise, x, t, after, path)
        yield x


def _churns(sampler: Sampler, level: float) -> bool:
    highest = math.inf if sampler.churn_highest is None else sampler.churn_highest
    inside = sampler.churn_lowest <= level <= highest
    return sampler.churn > 0 and inside and math.isfinite(level)


def _churned(
    x: Tensor, t: float, fresh: Tensor, path: Path, sampler: Sampler
) -> tuple[Tensor, float]:
    level = path.level(t)
    higher = level * (1 + min(sampler.churn / sampler.steps, math.sqrt(2) - 1))
    later = path.time(higher)
    added = sampler.churn_noise * math.sqrt(higher**2 - level**2)
    return path.signal(later) * (x / path.signal(t) + added * fresh), later


def _velocity(denoise: Denoise, x: Tensor, t: float) -> Tensor:
    return (x - denoise(x, t)) / t


def _euler(denoise: Denoise, x: Tensor, t: float, after: float, _path: Path) -> Tensor:
    return x + (after - t) * _velocity(denoise, x, t)


def _heun(denoise: Denoise, x: Tensor, t: float, after: float, _path: Path) -> Tensor:
    """Second order; at t = 0 there is no velocity, so the last step is one of Euler."""
    first = _velocity(denoise, x, t)
    guess = x + (after - t) * first
    if after == 0:
        return guess
    return x + (after - t) / 2 * (first + _velocity(denoise, guess, after))


def _midpoint(denoise: Denoise, x: Tensor, t: float, after: float, _path: Path) -> Tensor:
    middle = (t + after) / 2
    half = x + (middle - t) * _velocity(denoise, x, t)
    return x + (after - t) * _velocity(denoise, half, middle)


def _dpm_solver_2s(denoise: Denoise, x: Tensor, t: float, after: float, path: Path) -> Tensor:
    """Two-stage step of second order in the logarithm of the level (Lu et al., 2022).

    Exact where D does not change along the way.
    """
    if after == 0:
        return _exponential(denoise(x, t), x, t, after, path)
    high, low = path.level(t), path.level(after)
    middle = path.time(math.sqrt(high * low)) if math.isfinite(high) else (t + after) / 2
    half = _exponential(denoise(x, t), x, t, middle, path)
    return _exponential(denoise(half, middle), x, t, after, path)


def _exponential(sample: Tensor, x: Tensor, t: float, after: float, path: Path) -> Tensor:
    """The solution for a constant D."""
    kept = after / t
    return kept * x + (path.signal(after) - path.signal(t) * kept) * sample


_STEPS: dict[Method, Callable[[Denoise, Tensor, float, float, Path], Tensor]] = {
    "euler": _euler,
    "heun": _heun,
    "midpoint": _midpoint,
    "dpm-solver++2s": _dpm_solver_2s,
}
