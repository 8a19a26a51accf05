"""The ranking of a board as a table, for terminals and papers; a page adds to its cells."""

import math
from collections.abc import Sequence
from dataclasses import replace

from geobench.board.model import Board, Row
from geobench.board.text import (
    headline_leads,
    in_days,
    lead_name,
    models,
    placing,
    rank,
    rank_range,
    remarks,
    seed_sd,
    title,
)
from geobench.tables.numbers import count_cell, interval_cell, number, number_cell
from geobench.tables.table import Cell, Column, Table

_SEEDS = (
    "excess: mean over seeds, with its interval over cases and seeds. sd: standard deviation "
    "between seeds, without what the cases add; below: its upper 95 % limit."
)
_BOLD = "Bold: models that may be the best, and the largest skill of a column."


def ranking(board: Board) -> Table:
    """Rank range, excess, skill at some lead times, and cost."""
    leads = headline_leads(board)
    between = leads[1:-1]
    return Table.of_columns(
        [
            (Column("rank", minor=3), [Cell(rank(row), row.rank) for row in board.rows]),
            (Column("rank range"), [rank_range_cell(row) for row in board.rows]),
            (
                Column("model", "left", names_rows=True),
                [name_cell(board, index) for index in range(len(board.rows))],
            ),
            (Column("excess", interval=True), [excess_cell(row) for row in board.rows]),
            *(
                (
                    Column(lead_name(board, lead), minor=2 if lead in between else 1),
                    skill_cells(board, lead),
                )
                for lead in leads
            ),
            (Column("parameters", minor=5), [count_cell(row.parameters) for row in board.rows]),
            (Column("evaluations", minor=5), [evaluations_cell(row) for row in board.rows]),
            (Column("ms/member", minor=4), [member_cell(row) for row in board.rows]),
        ],
        f"{board.name}: {board.ranked_by}, {board.cases} cases",
        [f"{placing(board)} {_days(board)}", *board.notes],
    )


def rankings(board: Board) -> list[Table]:
    """The ranking, and how much seeds differ where models have several."""
    return [ranking(board), *([over_seeds(board)] if board.models else [])]


def for_papers(board: Board) -> Table:
    """Return the ranking with a caption that needs nothing beside it."""
    return replace(
        ranking(board),
        title=f"{board.title or board.name}: {board.ranked_by}, {board.cases} cases",
        notes=[placing(board), _days(board), _BOLD],
    )


def _days(board: Board) -> str:
    named = "day N" if in_days(board.lead_hours) else "N h"
    return (
        f"{named}: skill in {board.columns[0].name}, 0 is {board.baseline}, 1 is the true "
        f"distribution."
    )


def over_seeds(board: Board) -> Table:
    """Models that were trained several times."""
    return Table.of_columns(
        [
            (Column("model", "left"), [Cell(model.label) for model in board.models]),
            (Column("seeds"), [count_cell(len(model.seeds)) for model in board.models]),
            (
                Column("excess", interval=True),
                [interval_cell(model.excess, 4) for model in board.models],
            ),
            (
                Column("for these seeds", interval=True),
                [interval_cell(model.over_cases, 4) for model in board.models],
            ),
            (Column("sd"), [Cell(seed_sd(model), model.seed_sd) for model in board.models]),
        ],
        "Over seeds, of training and members",
        [_SEEDS],
    )


def name_cell(board: Board, index: int) -> Cell:
    """The name of a row, with its seed where there are several, and remarks; * knows the law."""
    row = board.rows[index]
    return Cell(title(board, index) + "*" * row.knows_law, row.label, remarks=remarks(row))


def rank_range_cell(row: Row) -> Cell:
    """The ranks that a row may have."""
    low = row.rank_range[0] if row.rank_range else None
    return Cell(rank_range(row), low, marks=["best"] if row.in_set else [])


def excess_cell(row: Row) -> Cell:
    """The excess that places a row; a row of which a member failed has none."""
    if row.failed:
        return Cell("failed", row.excess.value)
    return interval_cell(row.excess, 4, ["best"] if row.in_set else [])


def skill_cells(board: Board, lead: int) -> list[Cell]:
    """The skill of each row at a lead time; the largest of the models is the best."""
    skills = [cells[lead].skill for cells in board.columns[0].cells]
    largest = _largest([skill.value for i in models(board) if (skill := skills[i])])
    return [
        interval_cell(
            skill, marks=["best"] if index in models(board) and number(value) == largest else []
        )
        for index, skill in enumerate(skills)
        for value in [skill.value if skill else math.nan]
    ]


def _largest(values: Sequence[float]) -> str:
    return number(max(values)) if values else ""


def evaluations_cell(row: Row) -> Cell:
    """Network evaluations of a step of a member."""
    text = "–" if math.isnan(row.evaluations) else f"{row.evaluations:g}"
    return Cell(text, row.evaluations)


def member_cell(row: Row) -> Cell:
    """Milliseconds of a member over all lead times."""
    return number_cell(1e3 * row.seconds_per_member, 2)
