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


def estimates(draws: "Draws") -> list[Estimate]:
    """Estimates of several numbers, of draws `(draw, number)`."""
    import numpy as np

    with np.errstate(invalid="ignore"):  # a share may be infinite, where there is no gap
        low, high = np.quantile(draws[1:], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    told = zip(draws[0], low, high, strict=True)
    return [Estimate(*(float(each) for each in own)) for own in told]
