"""Which scores stand together: those of a family, as scorers declare it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geobench.board.model import Board
from geobench.board.text import models
from geobench.contracts.presentation import FAMILIES, Family
from geobench.contracts.scorer import IDEALS, Scorer


@dataclass(frozen=True)
class Group:
    """A heading, what it is about, and the columns of a board that belong to it."""

    key: str
    title: str
    about: str
    columns: Sequence[int]
    section: str
    """Where its figures stand."""
    scores: Sequence[tuple[str, str]]
    """Of each scorer: the name of its first column, and what it says of itself."""


def section(family: str) -> str:
    """Name of the section of a page that is a family's."""
    return f"family {family}"


def groups(board: Board, scorers: Sequence[Scorer]) -> list[Group]:
    """The families of which the board has scores: those that geobench knows, then others.

    Without `scorers` nobody says what family a score is of: all stand together.
    """
    if not scorers:
        every = range(len(board.columns))
        return [Group("scores", "Every score", "", every, section(""), [])]
    family = {scorer.name: scorer.family for scorer in scorers}
    others = [name for name in dict.fromkeys(family.values()) if name not in FAMILIES]
    made = []
    for index, name in enumerate([*FAMILIES, *others]):
        columns = [i for i, column in enumerate(board.columns) if family[column.scorer] == name]
        if columns:
            known = FAMILIES.get(name) or Family(name)
            key = name if name in FAMILIES else f"family-{index}"
            words = list(_words(columns, board, scorers))
            made.append(Group(key, known.title, known.about, columns, section(name), words))
    return made


def _words(
    columns: Sequence[int], board: Board, scorers: Sequence[Scorer]
) -> Iterator[tuple[str, str]]:
    for scorer in scorers:
        matching = [column for column in columns if board.columns[column].scorer == scorer.name]
        if matching:
            yield board.columns[matching[0]].name, f"{scorer.summary()} ({scorer.name})"


def best(board: Board, column: int, lead: int) -> list[int]:
    """Rows with the best score among those that are models; all that tie to four digits."""
    score_column = board.columns[column]
    values = {row: score_column.cells[row][lead].score.value for row in models(board)}
    if score_column.better in IDEALS:
        ideal = IDEALS[score_column.better]
        size = {row: abs(value - ideal) for row, value in values.items()}
    else:
        sign = -1 if score_column.better == "higher" else 1
        size = {row: sign * value for row, value in values.items()}
    finite = {row: value for row, value in size.items() if value == value}
    if len(finite) < 2:
        return []
    least = min(finite.values())
    return [row for row, value in finite.items() if f"{value:.4g}" == f"{least:.4g}"]
