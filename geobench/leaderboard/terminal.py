"""The board as a table in a terminal."""

import io
import math
import shutil
import sys
from typing import TYPE_CHECKING

from geobench.leaderboard.board import Board, Row
from geobench.leaderboard.soundness import marks
from geobench.leaderboard.text import (
    headline_leads,
    number,
    placing,
    rank,
    rank_range,
    seed_sd,
    with_interval,
)
from geobench_catalog.plain_text import plain

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 10_000  # columns: what a table needs is measured there


def ranking(board: Board) -> str:
    """Rank range, excess, skill at some lead times, and cost."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    first = board.columns[0]
    leads = headline_leads(board)
    caption = (
        f"{placing(board)} day N: skill in {first.name}, 0 is {board.baseline}, 1 is the true "
        f"distribution."
    )
    table = Table(
        title=Text(plain(f"{board.name}: {board.ranked_by}, {board.cases} cases")),
        caption=Text(plain("\n".join([caption, *board.notes]))),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    _numbers(table, "rank", "rank range")
    table.add_column("model")
    days = [f"day {board.lead_hours[lead] / 24:g}" for lead in leads]
    _numbers(table, "excess [95 %]", *days, "parameters", "evaluations", "ms/member")
    for row, cells in zip(board.rows, first.cells, strict=True):
        skills = [cells[lead].skill for lead in leads]
        table.add_row(
            rank(row),
            rank_range(row),
            Text(plain(model(board, row))),
            "failed" if row.failed else with_interval(row.excess, 4),
            *(number(skill.value) if skill else "–" for skill in skills),
            "–" if row.parameters is None else f"{row.parameters:,}",
            "–" if math.isnan(row.evaluations) else f"{row.evaluations:g}",
            number(1e3 * row.seconds_per_member, 2),
        )
    console = Console(file=io.StringIO(), width=_WIDE, force_terminal=sys.stdout.isatty() or None)
    # A table that is piped somewhere keeps its lines whole; one in a terminal keeps its numbers.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 160
    tables = [table, *([_over_seeds(board)] if board.models else [])]
    for each in tables:
        keep_numbers(each)
    needed = max(console.measure(each).minimum for each in tables)
    with console.capture() as captured:
        for each in tables:
            console.print(each, width=max(width, needed))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip() + "\n"


def _numbers(table: "Table", *headings: str) -> None:
    """Add columns of numbers, which no terminal is too narrow for: they are never cut."""
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


def keep_numbers(table: "Table") -> None:
    """Make columns of numbers as wide as they need, which rich would cut in a narrow terminal."""
    from rich.cells import cell_len

    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(cell_len(str(cell)) for cell in (column.header, *column.cells))


def _over_seeds(board: Board) -> "Table":
    """Models that were trained several times."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title="Over seeds, of training and members",
        caption="excess: mean over seeds, with its interval over cases and seeds. sd: standard "
        "deviation between seeds, without what the cases add; below: its upper 95 % limit.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("model")
    _numbers(table, "seeds", "excess [95 %]", "for these seeds [95 %]", "sd")
    for each in board.models:
        table.add_row(
            Text(plain(each.label)),
            str(len(each.seeds)),
            with_interval(each.excess, 4),
            with_interval(each.over_cases, 4),
            seed_sd(each),
        )
    return table


def model(board: Board, row: Row) -> str:
    """A row's name, with its seed where there are several, and its marks."""
    several = sum(each.label == row.label for each in board.rows) > 1
    name = f"{row.label} (seed {row.seed})" if several else row.label
    suspicious = ["better than the true distribution: a leak or a bug"] if row.suspicious else []
    told = [*(["imported"] if row.imported else []), *marks(row), *suspicious]
    return " – ".join([name + "*" * row.knows_law, *told])
