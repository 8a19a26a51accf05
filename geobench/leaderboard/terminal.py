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

if TYPE_CHECKING:
    from rich.table import Table


def ranking(board: Board) -> str:
    """Rank range, excess, skill at some lead times, and cost."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    first = board.columns[0]
    leads = headline_leads(board)
    table = Table(
        title=f"{board.name}: {board.ranked_by}, {board.cases} cases",
        caption=f"{placing(board)} day N: skill in {first.name}, 0 is {board.baseline}, 1 is the "
        "true distribution." + "".join(f"\n{note}" for note in board.notes),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("rank", justify="right")
    table.add_column("rank range", justify="right")
    table.add_column("model")
    table.add_column("excess [95 %]", justify="right")
    for lead in leads:
        table.add_column(f"day {board.lead_hours[lead] / 24:g}", justify="right")
    for heading in ("parameters", "evaluations", "ms/member"):
        table.add_column(heading, justify="right")
    for row, cells in zip(board.rows, first.cells, strict=True):
        skills = [cells[lead].skill for lead in leads]
        table.add_row(
            rank(row),
            rank_range(row),
            Text(model(board, row)),
            "failed" if row.failed else with_interval(row.excess, 4),
            *(number(skill.value) if skill else "–" for skill in skills),
            "–" if row.parameters is None else f"{row.parameters:,}",
            "–" if math.isnan(row.evaluations) else f"{row.evaluations:g}",
            number(1e3 * row.seconds_per_member, 2),
        )
    # A table that is piped somewhere keeps its lines whole.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 160
    console = Console(file=io.StringIO(), width=width, force_terminal=sys.stdout.isatty())
    with console.capture() as captured:
        console.print(table)
        if board.models:
            console.print(_over_seeds(board))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip() + "\n"


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
    for heading in ("seeds", "excess [95 %]", "for these seeds [95 %]", "sd"):
        table.add_column(heading, justify="right")
    for each in board.models:
        table.add_row(
            Text(each.label),
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
