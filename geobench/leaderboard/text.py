"""How numbers of a board are written, in a terminal and on a page alike."""

import math

from geobench.leaderboard.board import Board, Column, Row
from geobench.leaderboard.estimates import Estimate
from geobench.leaderboard.seeds import Summary

_HEADLINE_DAYS = (1, 3, 5, 10)


def number(value: float, digits: int = 3) -> str:
    """Write a number with `digits` decimals; what is not finite is a dash."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def rank(row: Row) -> str:
    """Write the place of a row; what knows the true distribution has none."""
    return "–" if row.rank is None else str(row.rank)


def rank_range(row: Row) -> str:
    """Write the ranks that a row may have, marked where it may be the best model."""
    if row.rank_range is None:
        return "–"
    low, high = row.rank_range
    return f"{low}–{high}" + " •" * row.in_set if low < high else f"{low}" + " •" * row.in_set


def seed_sd(summary: Summary) -> str:
    """Write the standard deviation between seeds, or its upper limit where it may be zero."""
    if summary.seed_sd is None:
        return f"below {small(summary.seed_sd_below)}"
    return small(summary.seed_sd)


def small(value: float) -> str:
    """Write a number that may be small: four decimals, or more for two significant digits."""
    if not math.isfinite(value) or value == 0:
        return number(value, 4)
    return number(value, max(4, 1 - math.floor(math.log10(abs(value)))))


def units(column: Column) -> str:
    """Write the units of a score, after a comma; nothing if it has none."""
    if column.units == "1":
        return ""
    own = column.units
    return f", units {own}" if own.startswith("of ") else f", {own}"


def placing(board: Board) -> str:
    """Say, in sentences, how rows are placed and what intervals are made of."""
    return (
        f"Rows are numbered by their excess. Rank range: the ranks that a model may have, at 95 % "
        f"for all rows at once; models that know the true distribution (*) are not counted. "
        f"• may be the best model. Intervals: 95 %, {board.draws:,} bootstrap draws of "
        f"{board.resampled}."
    )


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
