"""How long to run for each measurement, so that small and large systems cost about the same."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from geobench.contracts.state import StateSpec

Level = Literal["quick", "normal", "long"]

_NUMBERS: dict[Level, float] = {"quick": 2.5e6, "normal": 2e7, "long": 1e8}
_RESAMPLES: dict[Level, int] = {"quick": 40, "normal": 100, "long": 100}


@dataclass(frozen=True)
class Effort:
    """Numbers of rows and steps. Every field decides results; none depends on the machine."""

    trajectories: int
    steps: int
    exponents: int
    exponent_rows: int
    exponent_steps: int
    inits: int
    members: int
    leads: int
    horizon_inits: int
    horizon_members: int
    horizon_steps: int
    resamples: int
    """Fits of a tail to resampled trajectories, for the intervals of return levels."""

    @classmethod
    def of(
        cls, level: Level, spec: StateSpec, leads: int, exponents: int | None = None
    ) -> "Effort":
        """Effort for states like `spec`: `level` bounds the numbers each measurement computes.

        `exponents`: how many; default: all of a small state, a few of a large one.
        """
        size = prod(spec.shape)
        rows = _NUMBERS[level] / size  # member-steps
        steps = _between((16 * rows) ** 0.5, 40, 10_000)
        exponents = min(size, exponents or (size if size <= 64 else 6))
        exponent_rows = 8 if size <= 64 else 2
        leads = _between(leads, 1, 60)
        members = 2 * _between(rows / leads / 32, 32, 128)
        horizon_members = _between(rows / 60 / 16, 8, 32)
        return cls(
            trajectories=_between(rows / steps, 8, 1024),
            steps=steps,
            exponents=exponents,
            exponent_rows=exponent_rows,
            exponent_steps=4 * _between(rows / exponent_rows / exponents / 4, 10, 2000),
            inits=_between(rows / leads / members, 4, 64),
            members=members,
            leads=leads,
            horizon_inits=_between(rows / 60 / horizon_members, 4, 64),
            horizon_members=horizon_members,
            horizon_steps=60,
            resamples=_RESAMPLES[level],
        )


def _between(value: float, low: int, high: int) -> int:
    return max(low, min(high, round(value)))
