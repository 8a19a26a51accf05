"""The lead times of a board as an axis of charts."""

from geobench.board.model import Board
from geobench.charts.chart import Axis


def lead_days(board: Board) -> list[float]:
    """Lead times, days."""
    return [hours / 24 for hours in board.lead_hours]


def lead_axis(board: Board) -> Axis:
    """Return the axis, with ten lead times written along it at most."""
    days = lead_days(board)
    return Axis("lead time", "days", ticks=days[:: -(-len(days) // 10)])
