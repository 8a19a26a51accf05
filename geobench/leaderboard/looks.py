"""Colour, marker and line of each entry, the same in all figures of a board."""

from dataclasses import dataclass

from geobench.leaderboard.board import Board
from geobench.plotting import COLOURS, MARKERS

_DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Look:
    """How an entry is drawn, in matplotlib's words."""

    name: str
    colour: str
    marker: str
    dash: str


def looks(board: Board) -> list[Look]:
    """Return the look of each row: colour and marker by model, line by seed."""
    labels = list(dict.fromkeys(row.label for row in board.rows))
    seeds = sorted({row.seed for row in board.rows})
    return [
        _look(board, place, labels.index(row.label), seeds.index(row.seed))
        for place, row in enumerate(board.rows)
    ]


def _look(board: Board, row: int, place: int, seed: int) -> Look:
    turn = place // len(COLOURS)  # a second round has other markers and lines
    return Look(
        title(board, row),
        COLOURS[place % len(COLOURS)],
        MARKERS[(place + turn) % len(MARKERS)],
        _DASHES[(seed + turn) % len(_DASHES)],
    )


def title(board: Board, row: int) -> str:
    """Return the label of a row, with its seed where there are several."""
    own = board.rows[row]
    several = sum(each.label == own.label for each in board.rows) > 1
    return f"{own.label} (seed {own.seed})" if several else own.label
