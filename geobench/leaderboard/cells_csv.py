"""Every number of boards as CSV: a line for each entry, score and lead time."""

import csv
import io
import math
from collections.abc import Iterator, Sequence

from geobench.leaderboard.board import Board, Cell, Row
from geobench.leaderboard.estimates import Estimate
from geobench.leaderboard.soundness import marks
from geobench_catalog.plain_text import csv_cell

_HEADINGS = (
    "experiment", "rank", "rank_low", "rank_high", "model", "seed", "knows_law", "imported",
    "failed", "marks", "mean_excess", "mean_excess_low", "mean_excess_high", "parameters",
    "training_seconds", "evaluations", "ms_per_member", "score", "scorer", "version", "better",
    "units", "lead_hours", "value", "low", "high", "excess", "excess_low", "excess_high", "skill",
    "skill_low", "skill_high", "bootstrap_draws", "forecast",
)  # fmt: skip


def lines(boards: Sequence[Board]) -> str:
    """Return the text; what is not a number is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_HEADINGS)
    for board in boards:
        writer.writerows([csv_cell(value) for value in line] for line in _of_board(board))
    return written.getvalue()


def _of_board(board: Board) -> Iterator[list[object]]:
    for place, row in enumerate(board.rows):
        placed, seeds = _placed(row), " ".join(map(str, row.seeds))
        about = [row.label, seeds, int(row.knows_law), int(row.imported), row.failed]
        cost = [
            "" if row.parameters is None else row.parameters,
            _number(row.training_seconds),
            _number(row.evaluations),
            _number(1e3 * row.seconds_per_member),
        ]
        for column in board.columns:
            score = [column.name, column.scorer, column.version, column.better, column.units]
            for hours, cell in zip(board.lead_hours, column.cells[place], strict=True):
                yield [
                    board.name, *placed, *about, "; ".join(marks(row)), *_numbers(row.excess),
                    *cost, *score, f"{hours:g}", *_of_cell(cell), board.draws,
                    row.entries["forecast"],
                ]  # fmt: skip


def _placed(row: Row) -> list[object]:
    """Number of the row and its rank range; empty where it has none."""
    low, high = row.rank_range or ("", "")
    return ["" if row.rank is None else row.rank, low, high]


def _of_cell(cell: Cell) -> list[str]:
    return [text for each in (cell.score, cell.excess, cell.skill) for text in _numbers(each)]


def _numbers(each: Estimate | None) -> list[str]:
    values = (each.value, each.low, each.high) if each else (math.nan,) * 3
    return [_number(value) for value in values]


def _number(value: float) -> str:
    return f"{value:.8g}" if math.isfinite(value) else ""
