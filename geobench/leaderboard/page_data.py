"""What the script of a page is given: the numbers that it shows, in few bytes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from geobench.leaderboard import board_charts, groups
from geobench.leaderboard.board import Board, Cell
from geobench.leaderboard.chart_svg import INK
from geobench.leaderboard.charts import Chart, Figure, Line
from geobench.leaderboard.estimates import Estimate
from geobench.leaderboard.looks import Look
from geobench.leaderboard.scorecard import Scorecard
from geobench.leaderboard.text import decimals

_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip
_USUAL = {field.name: field.default for field in fields(Line)}


def data(
    board: Board, own: Sequence[Look], figures: Sequence[Figure], cards: Sequence[Scorecard]
) -> dict[str, Any]:
    """Return everything, as JSON values; `site.js` unpacks it."""
    return {
        "looks": [_look(each) for each in own],
        "rows": [{"label": row.label, "seed": row.seed} for row in board.rows],
        "days": board_charts.days(board),
        "figures": {figure.key: _figure(figure, own) for figure in figures},
        "cards": [_card(card) for card in cards],
        "columns": [_column(board, place) for place in range(len(board.columns))],
    }


def _look(look: Look) -> dict[str, str]:
    return {
        "name": look.name,
        "colour": "" if look.colour == INK else look.colour,
        "symbol": _SYMBOLS[look.marker],
        "dash": _DASHES[look.dash],
    }


def _figure(figure: Figure, own: Sequence[Look]) -> dict[str, Any]:
    variants = [{"name": name, "chart": _chart(chart, own)} for name, chart in figure.variants]
    return {"variants": variants, "chosen": figure.chosen}


def _chart(chart: Chart, own: Sequence[Look]) -> dict[str, Any]:
    """A chart; lines that show cells of a column are not told again, nor equal places along x."""
    told = {each.name: getattr(chart, each.name) for each in fields(chart)}
    if chart.cells:
        return told | {"lines": []}
    first = list(chart.lines[0].x)
    shared = first if all(list(line.x) == first for line in chart.lines) else []
    return told | {"along": shared, "lines": [_line(each, shared, own) for each in chart.lines]}


def _line(line: Line, shared: Sequence[float], own: Sequence[Look]) -> dict[str, Any]:
    usual = _USUAL | {"x": shared}
    if line.row is not None:
        usual["name"] = own[line.row].name
    every = {each.name: getattr(line, each.name) for each in fields(line)}
    return {key: value for key, value in every.items() if value != usual[key]}


def _card(card: Scorecard) -> dict[str, Any]:
    """Means, and a letter for each pair of rows and lead time: whether it is clear."""
    clear = [
        ["".join("01"[sure] for row in other for sure in row) for other in column]
        for column in card.clear
    ]
    return {"columns": card.columns, "sign": card.sign, "means": card.means, "clear": clear}


def _column(board: Board, place: int) -> dict[str, Any]:
    """Cells as whole numbers, of units of the last decimal that is shown; finer for the excess.

    Each is a value, and how far below and above it its interval ends.
    """
    column = board.columns[place]
    digits = decimals(column)
    scales = digits, digits + 2, 3
    cells = [[list(_whole(cell, scales)) for cell in cells] for cells in column.cells]
    best = [groups.best(board, place, lead) for lead in range(len(board.lead_hours))]
    return {"digits": digits, "scales": scales, "cells": cells, "best": best}


def _whole(cell: Cell, scales: Sequence[int]) -> Iterator[int | None]:
    told: Sequence[Estimate | None] = cell.score, cell.excess, cell.skill
    for own, scale in zip(told, scales, strict=True):
        if own and all(map(math.isfinite, (own.value, own.low, own.high))):
            value, low, high = (round(each * 10**scale) for each in (own.value, own.low, own.high))
            yield from (value, value - low, high - value)
        elif own:
            yield from (None, None, None)
