"""The tables of scores: those of a family at one lead time, the scorecard, and every number."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from geobench.board.families import Group, best
from geobench.board.model import Board, ScoreCell, ScoreColumn
from geobench.board.scorecard import Scorecard
from geobench.board.text import decimals, lead_name, lead_names, title, units
from geobench.site.ranking_tables import short_name, with_rows
from geobench.tables.numbers import interval_cell, number
from geobench.tables.table import Cell, Column, Mark, Row, Table

_BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "one": "one is best",
    "zero": "zero is best",
}


def of_group(
    board: Board, group: Group, lead: int, variable_of: Callable[[ScoreColumn], str] | None
) -> Table:
    """The scores of a group at a lead time, which the script of the page may change.

    `variable_of`: the variable that a column is of, where there are several.
    """
    from markupsafe import Markup

    columns = []
    for index in group.columns:
        column = board.columns[index]
        data = {"score": column.name}
        if variable_of:
            data["variable"] = variable_of(column)
        word = word_of(column.scorer) if group.scores else "score"
        columns.append(
            (
                Column(column.name, note=_note(column), word=word, data=data),
                _cells(board, index, lead),
            )
        )
    names = [short_name(board, index, always=False) for index in range(len(board.rows))]
    caption = Markup(
        "{} at <span data-lead-name>{}</span>: <span data-view-name>score</span>, with 95 % "
        "interval. Bold: the best value of a model, whether or not it differs significantly from "
        "others. * knows the true distribution."
    ).format(group.title, lead_name(board, lead))
    table = Table.of_columns([(Column("Model", "left"), names), *columns], caption)
    return with_rows(table, range(len(board.rows)), board)


def word_of(scorer: str) -> str:
    """The word by which the glossary of a site defines what a scorer computes."""
    return f"score {scorer}"


def _note(column: ScoreColumn) -> str:
    notes = (_BETTER[column.better], "" if column.fair else "not fair", units(column))
    return ", ".join(note for note in notes if note)


def _cells(board: Board, index: int, lead: int) -> list[Cell]:
    column, bold = board.columns[index], best(board, index, lead)
    digits = decimals(column)
    return [
        replace(
            interval_cell(cells[lead].score, digits),
            marks=["best"] if row in bold else [],
            data={"column": index},
        )
        for row, cells in enumerate(column.cells)
    ]


def scorecard(board: Board, card: Scorecard, reference: int) -> Table:
    """Change of each row against a reference, in per cent, by column and lead time."""
    from markupsafe import Markup

    rows = [
        Row(
            [
                Cell(title(board, index)),
                Cell(column),
                *(
                    _change(value, clear=card.clear[number][reference][index][lead])
                    for lead, value in enumerate(card.change(number, reference, index))
                ),
            ],
            {"row": index},
        )
        for index in range(len(board.rows))
        for number, column in enumerate(card.columns)
    ]
    caption = Markup(
        "<span data-card-score>{}</span> against <bdi data-card-reference>{}</bdi>, per cent"
    ).format(", ".join(card.columns), title(board, reference))
    leads = [Column(name) for name in lead_names(board.lead_hours)]
    return Table([Column("Model", "left"), Column("Score", "left"), *leads], rows, caption)


def _change(value: float | None, *, clear: bool) -> Cell:
    if value is None:
        return Cell("–")
    if not clear:
        return Cell(number(value, 1), value)
    sign, shade = "▲" if value > 0 else "▼", min(abs(value) / 20, 1)
    mark: Mark = "better" if value > 0 else "worse"
    return Cell(f"{sign} {number(value, 1)}", value, marks=[mark], shade=shade)


def every_lead(board: Board, column: ScoreColumn) -> Table:
    """Every number of a score: score, interval, excess and skill at each lead time."""
    digits = decimals(column)
    shown = Cell("score", small=["95 %", "excess", "skill"])
    rows = [
        Row(
            [
                short_name(board, index, always=not board.seeds),
                shown,
                *(_every(cell, digits) for cell in cells),
            ]
        )
        for index, cells in enumerate(column.cells)
    ]
    leads = [Column(name) for name in lead_names(board.lead_hours)]
    columns = [Column("Model", "left"), Column("Shown", "left"), *leads]
    return Table(columns, rows, f"{column.name} by lead time")


def _every(cell: ScoreCell, digits: int) -> Cell:
    skill = [number(cell.skill.value)] if cell.skill else []
    score, excess = cell.score, number(cell.excess.value, digits + 1)
    between = f"{number(score.low, digits)} to {number(score.high, digits)}"
    return Cell(number(score.value, digits), small=[between, excess, *skill])


def described(column: ScoreColumn) -> str:
    """Say what is best, and which scorer made it."""
    return ", ".join(
        text
        for text in (
            _BETTER[column.better],
            units(column),
            "fair" if column.fair else "depends on the number of members",
        )
        if text
    )


def variables_of(names: Sequence[str]) -> Callable[[ScoreColumn], str] | None:
    """Return what tells the variable of a column; None where there is only one."""
    if len(names) < 2:
        return None

    def variable_of(column: ScoreColumn) -> str:
        return next((name for name in names if name in column.name.split()), "")

    return variable_of
