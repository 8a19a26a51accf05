"""How numbers of a board are written, in a terminal and on a page alike."""

import math

from geobench.leaderboard.board import Board, Column, Row
from geobench.leaderboard.estimates import Estimate

_HEADLINE_DAYS = (1, 3, 5, 10)


def number(value: float, digits: int = 3) -> str:
    """Write a number with `digits` decimals; what is not finite is a dash."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def set_p(row: Row) -> str:
    """Write the p-value of the model confidence set, marked where the entry is in it."""
    if row.set_p is None:
        return "–"
    told = number(row.set_p) if row.set_p >= 0.001 else "<0.001"
    return f"{told}{' •' if row.in_set else '  '}"


def with_interval(value: Estimate, digits: int = 3) -> str:
    """Write `value [low, high]`."""
    if not math.isfinite(value.value):
        return "–"
    return (
        f"{number(value.value, digits)} [{number(value.low, digits)}, {number(value.high, digits)}]"
    )


def decimals(column: Column) -> int:
    """Decimals that show the reference's score to three or four digits."""
    sizes = [abs(cell.score.value) for cells in column.cells for cell in cells]
    finite = [size for size in sizes if math.isfinite(size) and size > 1e-6]
    smallest = min(finite, default=1.0)
    return min(5, max(2, 2 - math.floor(math.log10(smallest))))


def headline_leads(board: Board) -> list[int]:
    """Indices of the lead times that the ranking shows: days 1, 3, 5, 10, or the nearest ones."""
    count = len(board.lead_hours)
    wanted = {
        min(range(count), key=lambda i: abs(board.lead_hours[i] - 24 * day))
        for day in _HEADLINE_DAYS
    }
    return sorted(wanted if len(wanted) > 2 else {0, (count - 1) // 2, count - 1})
