"""Every number of boards as one table: a row for each entry, score and lead time."""

from collections.abc import Iterator, Sequence

from geobench.board.model import Board, Row, ScoreCell, ScoreColumn
from geobench.board.soundness import marks
from geobench.statistics.estimates import Estimate
from geobench.tables.table import Cell, Column, Table, Value
from geobench.tables.table import Row as TableRow

_WITH_ENDS = {"rank", "mean_excess", "excess", "skill"}
_KEYS = (
    "experiment", "rank", "model", "seed", "knows_law", "imported", "failed", "marks",
    "mean_excess", "parameters", "training_seconds", "evaluations", "ms_per_member", "score",
    "scorer", "version", "better", "units", "lead_hours", "value", "excess", "skill",
    "bootstrap_draws", "forecast",
)  # fmt: skip


def every_number(boards: Sequence[Board]) -> Table:
    """Return the table; its columns have keys, and no headings."""
    columns = [Column("", key=key, end_keys=_end_keys(key)) for key in _KEYS]
    return Table(columns, [row for board in boards for row in _rows(board)])


def _end_keys(key: str) -> tuple[str, str] | None:
    if key == "value":
        return "low", "high"
    return (f"{key}_low", f"{key}_high") if key in _WITH_ENDS else None


def _rows(board: Board) -> Iterator[TableRow]:
    for index, row in enumerate(board.rows):
        for column in board.columns:
            for hours, cell in zip(board.lead_hours, column.cells[index], strict=True):
                yield TableRow(
                    [
                        *_cells(board.name),
                        Cell(value=row.rank, ends=row.rank_range),
                        *_about(row),
                        *_cost(row),
                        *_of_score(column),
                        *_cells(hours),
                        *_of_cell(cell),
                        *_cells(board.draws, row.entries["forecast"]),
                    ]
                )


def _about(row: Row) -> list[Cell]:
    seeds = " ".join(map(str, row.seeds))
    return [
        *_cells(row.label, seeds, row.knows_law, row.imported, row.failed, "; ".join(marks(row))),
        _estimate(row.excess),
    ]


def _cost(row: Row) -> list[Cell]:
    milliseconds = 1e3 * row.seconds_per_member
    return _cells(row.parameters, row.training_seconds, row.evaluations, milliseconds)


def _of_score(column: ScoreColumn) -> list[Cell]:
    return _cells(column.name, column.scorer, column.version, column.better, column.units)


def _of_cell(cell: ScoreCell) -> list[Cell]:
    return [_estimate(cell.score), _estimate(cell.excess), _estimate(cell.skill)]


def _estimate(value: Estimate | None) -> Cell:
    return Cell(value=value.value, ends=(value.low, value.high)) if value else Cell()


def _cells(*values: Value) -> list[Cell]:
    return [Cell(value=value) for value in values]
