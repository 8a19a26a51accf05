"""What the first page of a site and its `board.json` say of a board."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from geobench.board.model import Board
from geobench.statistics.estimates import Estimate
from geobench_catalog.json_values import json_values

_DIGITS = 6  # of a number in board.json: what moves it is listed as a change


@dataclass(frozen=True)
class Overview:
    """What the first page says of a board."""

    title: str
    study: str
    entries: int
    cases: int
    lead_hours: Sequence[float]
    scores: int
    best: Sequence[tuple[str, str]]
    """Models that may be the best: label and page."""


def overview(board: Board, study: str, entries: Sequence[str]) -> Overview:
    """Return the overview; `entries` are the pages of the rows."""
    best = [
        (row.label, entry)
        for row, entry in zip(board.rows, entries, strict=True)
        if row.in_set and not (row.knows_law or row.failed)
    ]
    return Overview(
        board.title or board.name,
        study,
        len(board.rows),
        board.cases,
        board.lead_hours,
        len(board.columns),
        best,
    )


def numbers(board: Board) -> dict[str, Any]:
    """All of a board as JSON values; the many cells without names (`changes.CELL`)."""
    bare = [replace(column, cells=[]) for column in board.columns]
    values: dict[str, Any] = json_values(replace(board, columns=bare).as_dict(), _DIGITS)
    for column, scored in zip(values["columns"], board.columns, strict=True):
        column["cells"] = [
            [[_ends(part) for part in (cell.score, cell.excess, cell.skill)] for cell in cells]
            for cells in scored.cells
        ]
    return values


def _ends(estimate: Estimate | None) -> list[float | None] | None:
    if estimate is None:
        return None
    return [json_values(v, _DIGITS) for v in (estimate.value, estimate.low, estimate.high)]
