"""Which scores stand together: those of a family, as scorers declare it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geobench.interfaces.presentation import FAMILIES, Family
from geobench.interfaces.scorer import Scorer
from geobench.leaderboard import curves
from geobench.leaderboard.board import Board
from geobench.leaderboard.exhibit import Exhibit


@dataclass(frozen=True)
class Group:
    """A heading, what it tells, and the columns of a board that belong to it."""

    key: str
    title: str
    told: str
    columns: Sequence[int]
    figures: Sequence[str]
    """Keys of those that belong to it."""


def groups(exhibit: Exhibit) -> list[Group]:
    """The families of which the board has scores: those that geobench knows, then others."""
    board = exhibit.board
    family = {scorer.name: scorer.family for scorer in exhibit.scorers}
    figures = {
        curve.key: curve.family or scorer.family for scorer, curve in curves.declared(exhibit)
    }
    others = [name for name in dict.fromkeys(family.values()) if name not in FAMILIES]
    found = []
    for place, name in enumerate([*FAMILIES, *others]):
        columns = [i for i, column in enumerate(board.columns) if family[column.scorer] == name]
        if columns:
            known = FAMILIES.get(name) or Family(name)
            key = name if name in FAMILIES else f"family-{place}"
            drawn = [curve for curve, own in figures.items() if own == name]
            found.append(Group(key, known.title, known.about, columns, drawn))
    return found


def words(group: Group, board: Board, scorers: Sequence[Scorer]) -> Iterator[tuple[str, str]]:
    """Of each scorer of a group: the name of its first column, and what it says of itself."""
    for scorer in scorers:
        own = [place for place in group.columns if board.columns[place].scorer == scorer.name]
        if own:
            yield board.columns[own[0]].name, f"{scorer.summary()} ({scorer.name})"


def best(board: Board, column: int, lead: int) -> list[int]:
    """Rows with the best score among those that are models; all that tie to four digits."""
    from geobench.interfaces.scorer import IDEALS

    own = board.columns[column]
    told = {
        place: own.cells[place][lead].score.value
        for place, row in enumerate(board.rows)
        if not (row.knows_law or row.failed)
    }
    if own.better in IDEALS:
        size = {place: abs(value - IDEALS[own.better]) for place, value in told.items()}
    else:
        sign = -1 if own.better == "higher" else 1
        size = {place: sign * value for place, value in told.items()}
    finite = {place: value for place, value in size.items() if value == value}
    if len(finite) < 2:
        return []
    least = min(finite.values())
    return [place for place, value in finite.items() if f"{value:.4g}" == f"{least:.4g}"]
