"""The lead times of a board as an axis of charts: in days, or in hours where not all are days."""

from collections.abc import Sequence

from geobench.board.text import in_days
from geobench.plots.chart import Axis


def leads(hours: Sequence[float]) -> list[float]:
    """Lead times in the units of the axis."""
    return [each / 24 for each in hours] if in_days(hours) else list(hours)


def lead_axis(hours: Sequence[float]) -> Axis:
    """Return the axis, with ten lead times written along it at most."""
    ticks = leads(hours)
    units = "days" if in_days(hours) else "hours"
    return Axis("lead time", units, ticks=ticks[:: -(-len(ticks) // 10)])
