"""The pages of a site, from templates; every name in them is escaped and isolated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from geobench.leaderboard import board_charts, chart_svg, curves, groups, page, scorecard
from geobench.leaderboard.board import Board
from geobench.leaderboard.charts import Chart, Figure
from geobench.leaderboard.estimates import Estimate
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.gallery import Scene
from geobench.leaderboard.looks import Look, looks
from geobench.leaderboard.plain import in_page
from geobench.leaderboard.provenance import origins, remakes
from geobench.leaderboard.text import decimals, headline_leads

Exact = Mapping[str, Sequence[tuple[str, float, float, float, float]]]
"""Of forecasts by reference: score, its value, the law's, p and q of the exact test."""

_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip
_INK = "#000000"  # black lines take the colour of the text


@dataclass(frozen=True)
class Room:
    """A board with its page, the pages of its entries, and what is shown beside it."""

    page: str
    study: str
    exhibit: Exhibit
    entries: Sequence[str]
    exact: Exact
    scenes: Sequence[Scene]


@dataclass(frozen=True)
class Hall:
    """All of a site."""

    title: str
    rooms: Sequence[Room]
    newest: str
    told: Mapping[str, Any]
    notes: Sequence[str]


def render(hall: Hall) -> Iterator[tuple[str, str]]:
    """Return each page: its path in the site, and its text."""
    environment = page.environment()

    def made(template: str, root: str, **values: Any) -> str:
        told = {"hall": hall, "root": root, **values}
        return str(environment.get_template(f"site/{template}").render(told))

    yield "index.html", made("index.html", "", here="", leaders=_leaders(hall))
    for room in hall.rooms:
        board, here = room.exhibit.board, room.page
        yield (
            f"experiments/{here}.html",
            made("experiment.html", "../", here=here, room=room, board=board, **_shown(room)),
        )
        digits = [decimals(column) for column in board.columns]
        yield (
            f"experiments/{here}-scores.html",
            made("scores.html", "../", here=here, room=room, board=board, digits=digits),
        )
        for row, own, entry in zip(board.rows, room.exhibit.competitors, room.entries, strict=True):
            told = {
                "row": row,
                "origins": origins(room.exhibit, own),
                "remakes": list(remakes(room.exhibit, own, imported=row.imported)),
                "exact": room.exact.get(row.entries["forecast"], ()),
            }
            text = made("entry.html", "../", here=here, room=room, board=board, **told)
            yield f"entries/{entry}.html", text


def _leaders(hall: Hall) -> list[dict[str, Any]]:
    """What the index tells of each board: how many entries, which models may be the best."""
    told = []
    for room in hall.rooms:
        board = room.exhibit.board
        rows = list(zip(board.rows, room.entries, strict=True))
        models = [(row, entry) for row, entry in rows if not (row.knows_law or row.failed)]
        told.append({"room": room, "board": board, "best": [e for e in models if e[0].in_set]})
    return told


def _shown(room: Room) -> dict[str, Any]:
    """What the page of an experiment shows."""
    from markupsafe import Markup

    exhibit, board = room.exhibit, room.exhibit.board
    own = looks(board)
    made = every_figure(exhibit)
    cards = scorecard.scorecards(exhibit)
    lead = len(board.lead_hours) // 2 - (len(board.lead_hours) > 1)
    data = {
        "looks": [_look(each) for each in own],
        "rows": [{"label": row.label, "seed": row.seed} for row in board.rows],
        "days": board_charts.days(board),
        "figures": {figure.key: _figure(figure) for figure in made},
        "cards": [asdict(card) for card in cards],
        "columns": [_column(board, place) for place in range(len(board.columns))],
    }
    return {
        "figures": {f.key: (f, Markup(_svg(f.chart, own))) for f in made},  # noqa: S704
        "cards": cards,
        "against": scorecard.reference_row(board),
        "groups": groups.groups(board),
        "best": groups.best,
        "digits": [decimals(column) for column in board.columns],
        "lead": lead,
        "names": [each.name for each in own],
        "leads": headline_leads(board),
        "scale": page.scale(board),
        "data": Markup(in_page(data)),  # noqa: S704 # it has no '<' in it
    }


def every_figure(exhibit: Exhibit) -> list[Figure]:
    """All figures of a board."""
    board = exhibit.board
    of_board = (board_charts.excess(board), board_charts.ideals(board), board_charts.pareto(board))
    return [*(figure for figure in of_board if figure is not None), *curves.figures(exhibit)]


def _svg(chart: Chart, own: Sequence[Look]) -> str:
    """Draw a chart in the colours of the page, light or dark."""
    svg = chart_svg.text(chart, own)
    for ink, mark in ((_INK, "ink"), ("#e3e6ea", "line"), ("#8a929c", "soft"), ("#7a838e", "soft")):
        svg = svg.replace(ink, f"var(--{mark})")
    # Text has no colour of its own in SVG: it is black unless told.
    return svg.replace("<svg ", '<svg fill="var(--ink)" focusable="false" aria-hidden="true" ', 1)


def _look(look: Look) -> dict[str, str]:
    return {
        "name": look.name,
        "colour": "" if look.colour == _INK else look.colour,
        "symbol": _SYMBOLS[look.marker],
        "dash": _DASHES[look.dash],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    variants = [{"name": name, "chart": asdict(chart)} for name, chart in figure.variants]
    return {"variants": variants, "chosen": figure.chosen}


def _column(board: Board, place: int) -> dict[str, Any]:
    column = board.columns[place]
    cells = [
        [
            [_ends(cell.score), _ends(cell.excess), _ends(cell.share) if cell.share else None]
            for cell in cells
        ]
        for cells in column.cells
    ]
    best = [groups.best(board, place, lead) for lead in range(len(board.lead_hours))]
    return {"digits": decimals(column), "cells": cells, "best": best}


def _ends(value: Estimate) -> list[float | None]:
    return [float(f"{each:.6g}") for each in (value.value, value.low, value.high)]
