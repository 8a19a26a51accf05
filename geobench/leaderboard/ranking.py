"""The ranking as a table of texts, for Markdown and LaTeX alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from geobench.leaderboard.board import Board, Row
from geobench.leaderboard.looks import title
from geobench.leaderboard.text import headline_leads, number, set_p, with_interval


@dataclass(frozen=True)
class Text:
    """What stands in a cell. `best`: the best of the models in its column, or tied with it."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Ranking:
    """Headings, and a row of texts for each entry; the first two columns are rank and model."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Text]]


def ranking(board: Board) -> Ranking:
    """Return ranks (shared ones marked “=”), excess, shares of the gap closed, and cost."""
    first, leads = board.columns[0], headline_leads(board)
    shares = [[cells[lead].share for cells in first.cells] for lead in leads]
    told = [[each.value if each else None for each in column] for column in shares]
    columns: list[tuple[str, list[Text]]] = [
        ("rank", [_rank(board, row) for row in board.rows]),
        ("model", [Text(_name(board, place)) for place in range(len(board.rows))]),
        ("excess [95 %]", [_excess(board, row) for row in board.rows]),
        ("set p", [Text(set_p(row).strip()) for row in board.rows]),
        *(
            (f"day {board.lead_hours[lead] / 24:g}", _best_share(board, values))
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
        f"{board.title or board.name}: {board.ranked_by}, {board.cases} cases. Equal ranks (=) are "
        f"not told apart at 95 %; day N: share of the {first.name} gap from {board.baseline} (0) "
        f"to the truth (1) that is closed; • may be the best model; * is given the law itself. "
        f"Bold: the best of the models, and what ties with it."
    )
    headings = [heading for heading, _ in columns]
    return Ranking(caption, headings, list(zip(*(own for _, own in columns), strict=True)))


def _texts(board: Board, write: Callable[[Row], str]) -> list[Text]:
    return [Text(write(row)) for row in board.rows]


def _models(board: Board) -> list[Row]:
    return [row for row in board.rows if not (row.knows_law or row.failed)]


def _leads(board: Board, row: Row) -> bool:
    """Whether it shares the best rank among models."""
    ranks = [each.rank for each in _models(board)]
    return row in _models(board) and row.rank == min(ranks)


def _rank(board: Board, row: Row) -> Text:
    tied = sum(each.rank == row.rank for each in board.rows) > 1
    return Text(f"{row.rank}{'=' if tied else ''}", _leads(board, row))


def _name(board: Board, place: int) -> str:
    row = board.rows[place]
    told = title(board, place) + "*" * row.knows_law
    return told + " (imported)" * row.imported + f" ({row.failed} failed)" * bool(row.failed)


def _excess(board: Board, row: Row) -> Text:
    return Text("failed" if row.failed else with_interval(row.excess, 4), _leads(board, row))


def _best_share(board: Board, values: Sequence[float | None]) -> list[Text]:
    models = _models(board)
    own = [v for v, row in zip(values, board.rows, strict=True) if v is not None and row in models]
    most = number(max(own)) if own else ""
    return [
        Text("–" if v is None else number(v), v is not None and row in models and number(v) == most)
        for v, row in zip(values, board.rows, strict=True)
    ]
