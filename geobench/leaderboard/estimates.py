"""A number of the board with its interval."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Draws = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval (percentiles of a bootstrap over cases)."""

    value: float
    low: float
    high: float


def estimate(draws: "Draws") -> Estimate:
    """Estimate (the first draw) with the interval that the other draws give."""
    import numpy as np

    low, high = np.quantile(draws[1:], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Estimate(float(draws[0]), float(low), float(high))
