"""A number of the board with its interval."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def estimates(draws: "Draws", *, centred: bool = False) -> list[Estimate]:
    """Estimates of several numbers, of draws `(draw, number)`.

    `centred`: of scores that chance makes larger, as squares of deviations. A draw has the chance
    of the cases in it twice; the interval is moved until the median of the draws is the estimate.
    """
    import numpy as np

    ends = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]
    with np.errstate(invalid="ignore"):  # a share may be infinite, where there is no gap
        low, high, *median = _quantiles(draws[1:], ends + [0.5] * centred)
        for middle in median:
            away = np.where(np.isfinite(draws[0] - middle), draws[0] - middle, 0.0)
            low, high = low + away, high + away
    rows = zip(draws[0], low, high, strict=True)
    return [Estimate(*(float(number) for number in row)) for row in rows]


def _quantiles(draws: "Draws", shares: "Sequence[float]") -> "list[Draws]":
    """What `np.quantile` gives along the first axis, in half the time: boards have many."""
    import numpy as np

    ordered = np.ascontiguousarray(draws.T)
    last = ordered.shape[1] - 1
    positions = [share * last for share in shares]
    below = [min(int(position), last - 1) for position in positions]
    ordered.partition(sorted({*below, *(index + 1 for index in below), last}), axis=1)
    broken = np.isnan(ordered[:, last])  # sorted last
    return [
        np.where(
            broken, np.nan, ordered[:, k] + (ordered[:, k + 1] - ordered[:, k]) * (position - k)
        )
        for k, position in zip(below, positions, strict=True)
    ]
