"""Scales of a chart: from numbers to places, and the numbers that are written beside them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` lie between the places `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a number; what a log scale does not have stands at its start."""
        if self.log and value <= 0:
            return self.start
        low, high, at = (_scaled(number, self.log) for number in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def limits(values: Iterable[float], *, log: bool, margin: float) -> tuple[float, float]:
    """Ends of an axis that holds all values, with a share of its length to spare."""
    scaled = [_scaled(value, log) for value in values if value > 0 or not log]
    low, high = min(scaled, default=0.0), max(scaled, default=1.0)
    if high - low < 1e-12 * max(1.0, abs(low)):
        low, high = low - 0.5, high + 0.5
    spare = margin * (high - low)
    ends = low - spare, high + spare
    return (10 ** ends[0], 10 ** ends[1]) if log else ends


def ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Round numbers between two, half a dozen."""
    if not log:
        return _linear(low, high)
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 1:
        return [10.0**power for power in range(first, last + 1, 1 + (last - first) // 6)]
    within = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
    within = [tick for tick in within if low <= tick <= high]
    return within if len(within) > 1 else _linear(low, high)


def _linear(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [step * multiple for multiple in range(first, math.floor(high / step + 1e-9) + 1)]


def labels(values: Sequence[float]) -> list[str]:
    """Write ticks; far powers of ten with an exponent."""
    return [_label(value) for value in values]


def _label(value: float) -> str:
    size = abs(value)
    if size and not 1e-4 < size < 1e6:
        power = math.floor(math.log10(size) + 1e-9)
        ahead = f"{value / 10.0**power:g}"
        raised = f"10{str(power).translate(RAISED)}"
        return raised if ahead == "1" else f"{ahead}·{raised}".replace("-", "−")
    return f"{round(value, 10):g}".replace("-", "−")


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else value
