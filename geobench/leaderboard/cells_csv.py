"""Every number of boards as CSV: a line for each entry, score and lead time."""

import csv
import io
import math
from collections.abc import Iterator, Sequence

from geobench.leaderboard.board import Board, Cell

_HEADINGS = (
    "experiment", "rank", "model", "seed", "knows_law", "imported", "failed", "score", "scorer",
    "version", "better", "lead_hours", "value", "low", "high", "excess", "excess_low",
    "excess_high", "share", "share_low", "share_high", "forecast",
)  # fmt: skip


def lines(boards: Sequence[Board]) -> str:
    """Return the text; what is not a number is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_HEADINGS)
    for board in boards:
        writer.writerows(_of_board(board))
    return written.getvalue()


def _of_board(board: Board) -> Iterator[list[object]]:
    for place, row in enumerate(board.rows):
        seeds = " ".join(map(str, row.seeds))
        for column in board.columns:
            for hours, cell in zip(board.lead_hours, column.cells[place], strict=True):
                yield [
                    board.name, row.rank, row.label, seeds, int(row.knows_law),
                    int(row.imported), row.failed, column.name, column.scorer, column.version,
                    column.better, f"{hours:g}", *_numbers(cell), row.entries["forecast"],
                ]  # fmt: skip


def _numbers(cell: Cell) -> list[str]:
    told = []
    for each in (cell.score, cell.excess, cell.share):
        values = (each.value, each.low, each.high) if each else (math.nan,) * 3
        told += [f"{value:.8g}" if math.isfinite(value) else "" for value in values]
    return told
