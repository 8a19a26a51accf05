"""How a board is written, in a terminal and on a page alike."""

import math
from collections.abc import Sequence

from geobench.board.model import Board, Row, ScoreColumn
from geobench.board.soundness import marks
from geobench.statistics.seeds import Summary
from geobench.tables.numbers import small
from geobench.tables.table import Remark

_HEADLINE_DAYS = (1, 3, 5, 10)
TOO_GOOD = "better than the true distribution: a leak or a bug"


def title(board: Board, row: int) -> str:
    """Return the label of a row, with its seed where there are several."""
    label, seed = board.rows[row].label, board.rows[row].seed
    several = sum(other.label == label for other in board.rows) > 1
    return f"{label} (seed {seed})" if several else label


def seeds(row: Row) -> str:
    """Write the seeds of a row: how many, or which."""
    return f"{len(row.seeds)} seeds" if len(row.seeds) > 1 else f"seed {row.seed}"


def remarks(row: Row) -> list[Remark]:
    """What a reader must know of a row, in a few words each."""
    return [
        *([Remark("imported")] if row.imported else []),
        *(Remark(m, "plain" if m == "deterministic" else "warning") for m in marks(row)),
        *([Remark(TOO_GOOD, "warning")] if row.suspicious else []),
    ]


def rank(row: Row) -> str:
    """Write the number of a row; what knows the true distribution has none."""
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


def units(column: ScoreColumn) -> str:
    """Write the units of a score; nothing if it has none."""
    if column.units == "1":
        return ""
    return f"units {column.units}" if column.units.startswith("of ") else column.units


def in_days(hours: Sequence[float]) -> bool:
    """Whether lead times are written in days: all are whole days."""
    return all(each % 24 == 0 for each in hours)


def lead_names(hours: Sequence[float]) -> list[str]:
    """Write lead times for headings: day 1, day 3; or 6 h, 12 h where not all are whole days."""
    whole = in_days(hours)
    return [f"day {each / 24:g}" if whole else f"{each:g} h" for each in hours]


def lead_name(board: Board, lead: int) -> str:
    """Write a lead time of a board for a heading."""
    return lead_names(board.lead_hours)[lead]


def placing(board: Board) -> str:
    """Say, in sentences, how rows are placed and what intervals are made of."""
    return (
        f"Rows are numbered by their excess. Rank range: the ranks that a model may have, at 95 % "
        f"for all rows at once; models that know the true distribution (*) are not counted. "
        f"• may be the best model. Intervals: 95 %, {board.draws:,} bootstrap draws of "
        f"{board.resampled}."
    )


def decimals(column: ScoreColumn) -> int:
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


def models(board: Board) -> Sequence[int]:
    """Rows that are models, and finished: those that may be the best."""
    return [index for index, row in enumerate(board.rows) if not (row.knows_law or row.failed)]
