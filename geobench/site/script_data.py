"""What the script of a board's page is given: the numbers that it shows, in few bytes."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from geobench.board import families
from geobench.board.model import Board, ScoreCell
from geobench.board.scorecard import Scorecard
from geobench.board.text import decimals, lead_names
from geobench.plots import interactive
from geobench.plots.chart import Figure
from geobench.plots.figures import series_styles
from geobench.plots.lead_axis import leads
from geobench.statistics.estimates import Estimate


def data(board: Board, figures: Sequence[Figure], cards: Sequence[Scorecard]) -> dict[str, Any]:
    """Return everything, as JSON values; `site.js` unpacks it."""
    styles = series_styles(board)
    return {
        "styles": [interactive.style(style) for style in styles],
        "rows": [{"label": row.label, "seed": row.seed} for row in board.rows],
        "leads": leads(board.lead_hours),
        "leadNames": lead_names(board.lead_hours),
        "figures": {figure.key: interactive.figure(figure, styles) for figure in figures},
        "cards": [_card(card) for card in cards],
        "columns": [_column(board, index) for index in range(len(board.columns))],
    }


def _card(card: Scorecard) -> dict[str, Any]:
    """Means, and a letter for each pair of rows and lead time: whether it is clear."""
    clear = [
        ["".join("01"[sure] for row in reference for sure in row) for reference in column]
        for column in card.clear
    ]
    return {"columns": card.columns, "sign": card.sign, "means": card.means, "clear": clear}


def _column(board: Board, index: int) -> dict[str, Any]:
    """Cells as whole numbers, of units of the last decimal that is shown; finer for the excess.

    Each is a value, and how far below and above it its interval ends.
    """
    column = board.columns[index]
    digits = decimals(column)
    scales = digits, digits + 2, 3
    cells = [[list(_whole(cell, scales)) for cell in cells] for cells in column.cells]
    best = [families.best(board, index, lead) for lead in range(len(board.lead_hours))]
    return {"digits": digits, "scales": scales, "cells": cells, "best": best}


def _whole(cell: ScoreCell, scales: Sequence[int]) -> Iterator[int | None]:
    estimates: Sequence[Estimate | None] = cell.score, cell.excess, cell.skill
    for estimate, scale in zip(estimates, scales, strict=True):
        if estimate is None:
            continue
        ends = estimate.value, estimate.low, estimate.high
        if all(map(math.isfinite, ends)):
            value, low, high = (round(end * 10**scale) for end in ends)
            yield from (value, value - low, high - value)
        else:
            yield from (None, None, None)
