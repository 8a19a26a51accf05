"""The colours of a heat map: how strong a value is shown, on either side of zero."""

from dataclasses import dataclass

from geobench.charts.chart import Chart


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


def written(value: float) -> str:
    """Write a value in its cell."""
    return f"{value:.3g}".replace("-", "−")
