"""The board as one HTML file: no server, no network, no script."""

import math
from collections.abc import Sequence

from geobench.leaderboard import figures
from geobench.leaderboard.board import Board
from geobench.leaderboard.text import decimals, headline_leads, number, with_interval


def render(boards: Sequence[Board], *, title: str, notes: Sequence[str] = ()) -> str:
    """Render boards as a page; every name in them is escaped."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geobench.leaderboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "with_interval": with_interval,
        "day": lambda hours: f"{hours / 24:g}",
        "position": _position,
    }
    sections = [
        {
            "board": board,
            "leads": headline_leads(board),
            "digits": [decimals(column) for column in board.columns],
            "scale": _scale(board),
            # Markup: made by matplotlib, which escapes the text it is given.
            "figures": [
                (f"Excess {board.columns[0].name} over the oracle by lead time", board.columns[0].name,
                 Markup(figures.excess(board, board.columns[0]))),  # noqa: S704
                *(
                    (f"{column.name} by lead time", column.name, Markup(figures.values(board, column)))  # noqa: S704
                    for column in board.columns
                    if column.better == "one"
                ),
            ],
        }
        for board in boards
    ]
    template = environment.get_template("page.html")
    return template.render(title=title, sections=sections, notes=list(notes))


def _scale(board: Board) -> tuple[float, float]:
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


def _position(value: float, scale: tuple[float, float]) -> float:
    """Place of a value on the log scale, per cent; what is not positive stands at the left end."""
    low, high = scale
    if not value > 0:
        return 0.0
    return round(100 * min(1.0, max(0.0, (math.log10(value) - low) / (high - low))), 2)


