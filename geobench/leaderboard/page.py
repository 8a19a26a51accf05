"""The board as one HTML file: no server, no network, no script."""

import math
from collections.abc import Sequence
from typing import Any

from geobench.interfaces.scorer import IDEALS
from geobench.leaderboard import figures
from geobench.leaderboard.board import Board
from geobench.leaderboard.soundness import marks
from geobench.leaderboard.text import (
    decimals,
    headline_leads,
    number,
    rank,
    rank_range,
    seed_sd,
    units,
    with_interval,
)


def environment() -> Any:
    """Return where templates are rendered: names are escaped, and what is missing is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("geobench.leaderboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "with_interval": with_interval,
        "rank": rank,
        "rank_range": rank_range,
        "seed_sd": seed_sd,
        "units": units,
        "marks": marks,
        "day": lambda hours: f"{hours / 24:g}",
        "position": position,
        "p_value": lambda p: number(p) if p >= 0.001 else "<0.001",
    }
    return made


def render(boards: Sequence[Board], *, title: str, notes: Sequence[str] = ()) -> str:
    """Render boards as a page; every name in them is escaped."""
    sections = [
        {
            "board": board,
            "leads": headline_leads(board),
            "digits": [decimals(column) for column in board.columns],
            "scale": scale(board),
            "figures": _figures(board),
        }
        for board in boards
    ]
    template = environment().get_template("page.html")
    text: str = template.render(title=title, sections=sections, notes=list(notes))
    return text


def _figures(board: Board) -> list[tuple[str, str, str]]:
    """(What it shows, the score it shows, SVG) of each figure."""
    from markupsafe import Markup

    first = board.columns[0]
    drawn = [(f"Excess {first.name} over the oracle", first, figures.excess(board, first))] + [
        (each.name, each, figures.values(board, each))
        for each in board.columns
        if each.better in IDEALS
    ]
    # matplotlib made the SVG, and escaped the names in it.
    return [(f"{what} by lead time", c.name, Markup(svg)) for what, c, svg in drawn]  # noqa: S704


def scale(board: Board) -> tuple[float, float]:
    """Powers of ten that hold every mean excess which can be drawn on a log scale."""
    shown = [
        value
        for row in board.rows
        for value in (row.excess.value, row.excess.high)
        if math.isfinite(value) and value > 0
    ]
    if not shown:
        return -3.0, 0.0
    return math.floor(math.log10(min(shown))), math.ceil(math.log10(max(shown)) + 1e-9)


def position(value: float, scale: tuple[float, float]) -> float:
    """Place of a value on the log scale, per cent; what is not positive stands at the left end."""
    low, high = scale
    if not value > 0:
        return 0.0
    return round(100 * min(1.0, max(0.0, (math.log10(value) - low) / (high - low))), 2)
