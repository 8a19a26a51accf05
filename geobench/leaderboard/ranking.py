"""The ranking as a table of texts, for Markdown and LaTeX alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from geobench.leaderboard.board import Board, Row
from geobench.leaderboard.looks import title
from geobench.leaderboard.soundness import marks
from geobench.leaderboard.text import (
    headline_leads,
    number,
    placing,
    rank,
    rank_range,
    with_interval,
)


@dataclass(frozen=True)
class Text:
    """What stands in a cell. `best`: it may be the best of the models, or has the largest skill."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Ranking:
    """Headings, and a row of texts for each entry."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Text]]


def ranking(board: Board) -> Ranking:
    """Return ranks with their ranges, excess, skill, and cost."""
    first, leads = board.columns[0], headline_leads(board)
    skills = [[cells[lead].skill for cells in first.cells] for lead in leads]
    told = [[each.value if each else None for each in column] for column in skills]
    columns: list[tuple[str, list[Text]]] = [
        ("rank", _texts(board, rank)),
        ("rank range", [Text(rank_range(row), row.in_set) for row in board.rows]),
        ("model", [Text(_name(board, place)) for place in range(len(board.rows))]),
        ("excess [95 %]", [_excess(row) for row in board.rows]),
        *(
            (f"day {board.lead_hours[lead] / 24:g}", _best_skill(board, values))
            for lead, values in zip(leads, told, strict=True)
        ),
        ("parameters", _texts(board, lambda row: f"{row.parameters:,}" if row.parameters else "–")),
        (
            "evaluations",
            _texts(board, lambda row: f"{row.evaluations:g}" if row.evaluations > 0 else "–"),
        ),
        ("ms/member", _texts(board, lambda row: number(1e3 * row.seconds_per_member, 2))),
    ]
    caption = (
        f"{board.title or board.name}: {board.ranked_by}, {board.cases} cases. {placing(board)} "
        f"day N: skill in {first.name}, 0 is {board.baseline}, 1 is the true distribution. "
        f"Bold: models that may be the best, and the largest skill of a column."
    )
    headings = [heading for heading, _ in columns]
    return Ranking(caption, headings, list(zip(*(own for _, own in columns), strict=True)))


def _texts(board: Board, write: Callable[[Row], str]) -> list[Text]:
    return [Text(write(row)) for row in board.rows]


def _models(board: Board) -> list[Row]:
    return [row for row in board.rows if not (row.knows_law or row.failed)]


def _name(board: Board, place: int) -> str:
    row = board.rows[place]
    told = [*(["imported"] if row.imported else []), *marks(row)]
    if row.suspicious:
        told.append("better than the true distribution: a leak or a bug")
    return title(board, place) + "*" * row.knows_law + f" ({'; '.join(told)})" * bool(told)


def _excess(row: Row) -> Text:
    return Text("failed" if row.failed else with_interval(row.excess, 4), row.in_set)


def _best_skill(board: Board, values: Sequence[float | None]) -> list[Text]:
    models = _models(board)
    own = [v for v, row in zip(values, board.rows, strict=True) if v is not None and row in models]
    most = number(max(own)) if own else ""
    return [
        Text("–" if v is None else number(v), v is not None and row in models and number(v) == most)
        for v, row in zip(values, board.rows, strict=True)
    ]
