"""The rooms of a site: a board with all its pages, finished but for the frame around each.

A room is plain data. What it was made of, the statistics of every case, is let go with each, and
another process may make it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from geobench.leaderboard import pages
from geobench.leaderboard.board import Board
from geobench.leaderboard.estimates import Estimate
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.gallery import Scene, scenes
from geobench.leaderboard.pages import Exact, Sheet
from geobench.leaderboard.plain import plain
from geobench.leaderboard.provenance import newest
from geobench.leaderboard.slugs import slug
from geobench.leaderboard.soundness import all_sound

_DIGITS = 6  # of a number in board.json: what moves it is told as a change


@dataclass(frozen=True)
class Card:
    """What the first page of a site tells of a board."""

    title: str
    study: str
    entries: int
    cases: int
    lead_hours: Sequence[float]
    scores: int
    best: Sequence[tuple[str, str]]
    """Models that may be the best: label and page."""


@dataclass(frozen=True)
class Room:
    """A board with its pages and pictures. `told` are its numbers, as JSON values."""

    page: str
    name: str
    card: Card
    newest: datetime
    told: Mapping[str, Any]
    sheets: Sequence[Sheet]
    pictures: Mapping[str, bytes]
    """By path in the site."""
    sound: bool = True
    """Whether no row is incomplete or degenerate."""


def page_of(study: str, experiment: str) -> str:
    """Name of the page of a board."""
    return slug(f"{study}-{experiment}")


def room(study: str, title: str, exhibit: Exhibit, exact: Exact) -> Room:
    """Make the room of an exhibit of a study, with what exact tests told of it."""
    board = exhibit.board
    page = page_of(study, board.name)
    entries = [
        slug(f"{page}-{row.label}-s{row.seed}-{row.entries['forecast'].partition('@')[2]}")
        for row in board.rows
    ]
    seen = scenes(exhibit) if len(exhibit.spec.dims) <= 2 else []
    wall = pages.Wall(page, title, exhibit, entries, exact, seen)
    return Room(
        page,
        board.name,
        _card(board, title, entries),
        newest(exhibit),
        _told(board),
        list(pages.sheets(wall)),
        {f"gallery/{page}/{file}": png for file, png in _pictures(seen)},
        all_sound([board]),
    )


def _told(board: Board) -> dict[str, Any]:
    """All of a board as JSON values; of the many cells without names (`changes.CELL`)."""
    bare = [replace(column, cells=[]) for column in board.columns]
    told: dict[str, Any] = plain(replace(board, columns=bare).as_dict(), _DIGITS)
    for column, own in zip(told["columns"], board.columns, strict=True):
        column["cells"] = [
            [[_numbers(each) for each in (cell.score, cell.excess, cell.skill)] for cell in cells]
            for cells in own.cells
        ]
    return told


def _numbers(each: Estimate | None) -> list[float | None] | None:
    if each is None:
        return None
    return [plain(value, _DIGITS) for value in (each.value, each.low, each.high)]


def _card(board: Board, study: str, entries: Sequence[str]) -> Card:
    rows = zip(board.rows, entries, strict=True)
    best = [
        (row.label, entry)
        for row, entry in rows
        if row.in_set and not (row.knows_law or row.failed)
    ]
    return Card(
        board.title or board.name,
        study,
        len(board.rows),
        board.cases,
        board.lead_hours,
        len(board.columns),
        best,
    )


def _pictures(seen: Sequence[Scene]) -> list[tuple[str, bytes]]:
    every = [each.bar for each in seen]
    every += [strip.picture for each in seen for strip in each.strips]
    return [(picture.file, picture.png) for picture in every]
