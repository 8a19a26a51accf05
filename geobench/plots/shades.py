"""The colours of a heat map: how strong a value is shown, on either side of zero."""

import math
from dataclasses import dataclass

from geobench.plots.chart import Chart
from geobench.tables.numbers import number


@dataclass(frozen=True)
class Shades:
    """Values from `low` to `high`. What lies below zero has a colour of its own."""

    low: float
    high: float

    @classmethod
    def of(cls, chart: Chart) -> "Shades":
        """Return the shades that hold every value of a heat map."""
        return cls(*chart.extent())

    def strength(self, value: float) -> float:
        """How strong a value is shown, from 0 to 1; negative for the colour below zero."""
        if self.low < 0:
            return value / max(-self.low, self.high)
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0

    def written(self, value: float | None) -> str:
        """Write a value in its cell: all with as many decimals, the largest with four digits."""
        if value is None:
            return "–"
        largest = max(-self.low, self.high)
        digits = 3 - math.floor(math.log10(largest)) if largest > 0 else 3
        return number(value, min(6, max(0, digits)))
