"""The tables of a board's page that are about its rows: ranking, seeds, cost, exact tests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from geobench.board.model import Board, Row
from geobench.board.ranking import excess_cell, member_cell, rank_range_cell, skill_cells
from geobench.board.text import headline_leads, lead_name, rank, remarks, seed_sd, seeds
from geobench.site.page import Links
from geobench.site.rendering import LogScale, p_value, render
from geobench.statistics.seeds import Summary
from geobench.tables.numbers import count_cell, interval_cell, number_cell
from geobench.tables.table import Cell, Column, Remark, Table

if TYPE_CHECKING:
    from markupsafe import Markup

Exact = Mapping[str, Sequence[tuple[str, float, float, float, float]]]
"""Of forecasts by reference: score, its value, the law's, p and q of the exact test."""
_LAW = Remark("knows the true distribution", "law")


def with_rows(table: Table, indices: Sequence[int], board: Board) -> Table:
    """Tell the script of the page which row of the board each row of a table shows."""
    rows = [
        replace(row, data={"row": index}, style="of-law" if board.rows[index].knows_law else "")
        for row, index in zip(table.rows, indices, strict=True)
    ]
    return replace(table, rows=rows)


def ranking(board: Board, entries: Sequence[str], links: Links) -> Table:
    """The ranking, with a log scale. `entries`: the pages of the rows; empty: there are none."""
    first, scale = board.columns[0].name, LogScale(board)
    skills = [
        (
            Column("Skill", note=f"{first}, {lead_name(board, lead)}"),
            _without_marks(skill_cells(board, lead)),
        )
        for lead in headline_leads(board)
    ]
    table = Table.of_columns(
        [
            (Column("Rank", style="rank"), [Cell(rank(row), row.rank) for row in board.rows]),
            (
                Column("Rank range", note="95 %, all rows"),
                _without_marks([rank_range_cell(row) for row in board.rows]),
            ),
            (Column("Model", "left", names_rows=True), _names(board, entries, links)),
            (
                Column("Excess", note="mean of leads, 95 %"),
                _without_marks([excess_cell(row) for row in board.rows]),
            ),
            (
                Column("Log scale", "left", note=render("axis.html", scale=scale), sortable=False),
                [Cell(_track(row, scale)) for row in board.rows],
            ),
            *skills,
            (Column("Member", units="ms"), [member_cell(row) for row in board.rows]),
        ],
        f"{board.ranked_by[0].upper()}{board.ranked_by[1:]}, averaged over lead times. Rank range: "
        f"the ranks that a model may have, at 95 %. • may be the best model.",
    )
    return with_rows(table, range(len(board.rows)), board)


def _without_marks(cells: Sequence[Cell]) -> list[Cell]:
    """Leave out that a cell is the best: the bullet of the rank range says what is significant."""
    return [replace(cell, marks=()) for cell in cells]


def _names(board: Board, entries: Sequence[str], links: Links) -> list[Cell]:
    paths = [f"entries/{entry}.html" for entry in entries] or [""] * len(board.rows)
    return [
        Cell(
            row.label,
            row.label,
            remarks=[*([_LAW] if row.knows_law else []), *remarks(row)],
            small=[f"{row.ensemble} members · {seeds(row)}"],
            link=links.to(path) if path else "",
        )
        for row, path in zip(board.rows, paths, strict=True)
    ]


def _track(row: Row, scale: LogScale) -> "Markup":
    return render("track.html", row=row, scale=scale)


def over_seeds(board: Board) -> Table:
    """Models of several seeds: how much they differ, and how sure the mean is."""
    joined = any(len(row.seeds) > 1 for row in board.rows)
    excess = (
        Column("Excess", note="95 % over cases and seeds"),
        [interval_cell(model.excess, 4) for model in board.models],
    )
    return Table.of_columns(
        [
            (Column("Model", "left"), [Cell(model.label) for model in board.models]),
            (Column("Seeds"), [count_cell(len(model.seeds)) for model in board.models]),
            *([] if joined else [excess]),
            (
                Column("Between seeds", note="standard deviation"),
                [Cell(seed_sd(model), model.seed_sd or 0) for model in board.models],
            ),
            (
                Column("For these seeds", note="95 % over cases alone"),
                [_for_these(model, joined=joined) for model in board.models],
            ),
        ],
        "How much the trainings of a model differ, without what the cases add (below: the upper "
        "95 % limit), and how sure the mean of just these is"
        if joined
        else "Models of several seeds: the mean excess over seeds",
    )


def _for_these(model: Summary, *, joined: bool) -> Cell:
    """The interval for given seeds; where rows are models, their excess stands above."""
    cell = interval_cell(model.over_cases, 4)
    if joined and cell.ends_text:
        return Cell(" to ".join(cell.ends_text), cell.value)
    return cell


def cost(board: Board) -> Table:
    """What it takes to train a model and to draw a member."""
    rows = board.rows
    table = Table.of_columns(
        [
            (Column("Model", "left"), [short_name(board, index) for index in range(len(rows))]),
            (
                Column("Excess", note="mean of leads"),
                [number_cell(row.excess.value, 4) for row in rows],
            ),
            (Column("Parameters"), [count_cell(row.parameters or None) for row in rows]),
            (Column("Training", note="sample-passes"), [_passes(row) for row in rows]),
            (Column("Training", units="s"), [_seconds(row) for row in rows]),
            (Column("Evaluations", note="a step"), [_evaluations(row) for row in rows]),
            (Column("Member", note="ms, all leads"), [member_cell(row) for row in rows]),
            (Column("Members"), [Cell(row.ensemble, row.members) for row in rows]),
        ],
        "What it takes to train a model and to draw a member. Times were measured on the machine "
        "that did it. * knows the true distribution.",
    )
    return with_rows(table, range(len(rows)), board)


def short_name(board: Board, index: int, *, always: bool = True) -> Cell:
    """The name of a row; * knows the law. `always`: with its seeds, even where it needs none."""
    row = board.rows[index]
    several = always or sum(other.label == row.label for other in board.rows) > 1
    return Cell(row.label + "*" * row.knows_law, small=[seeds(row)] if several else [])


def _passes(row: Row) -> Cell:
    return count_cell(row.sample_passes if row.parameters else None)


def _seconds(row: Row) -> Cell:
    if not row.parameters or row.sample_passes is None:
        return Cell("–")
    cell = number_cell(row.training_seconds, 0)
    return cell if row.device == "cpu" else replace(cell, small=[row.device])


def _evaluations(row: Row) -> Cell:
    return Cell(f"{row.evaluations:g}" if row.evaluations > 0 else "–", row.evaluations)


def exact_tests(board: Board, exact: Exact) -> Table:
    """The p-values of exact tests, a column for each score."""
    indices = [i for i, row in enumerate(board.rows) if row.entries["forecast"] in exact]
    tests = [exact[board.rows[index].entries["forecast"]] for index in indices]
    columns = [
        (Column(name, word="p"), [_p_cell(test[score][3], test[score][4]) for test in tests])
        for score, (name, *_) in enumerate(tests[0])
    ]
    table = Table.of_columns(
        [(Column("Model", "left"), [Cell(board.rows[index].label) for index in indices]), *columns],
        "p, and q (corrected for there being many scores) of each entry that does not know the law",
    )
    return with_rows(table, indices, board)


def _p_cell(p: float, q: float) -> Cell:
    return Cell(p_value(p), p, marks=["significant"] if q < 0.05 else [], small=[f"q {p_value(q)}"])


def exact_of_entry(tests: Sequence[tuple[str, float, float, float, float]]) -> Table:
    """The exact tests of one entry, a row for each score."""
    return Table.of_texts(
        ["Score", "This entry", "The law", "p", "q"],
        [
            [name, f"{value:.4g}", f"{law:.4g}", p_value(p), p_value(q)]
            for name, value, law, p, q in tests
        ],
        title="Exact tests against draws of the law",
    )
