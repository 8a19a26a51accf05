"""Where an entry of a board comes from: recipe, lineage, circumstances, how to make it again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geobench.leaderboard.board import Competitor
from geobench.leaderboard.exhibit import Exhibit
from geobench_catalog import Entry

_LONGEST = 2000  # characters of one value


@dataclass(frozen=True)
class Origin:
    """What is recorded of one entry of the catalogue, for people."""

    role: str
    reference: str
    id: str
    content: str
    created: str
    seconds: float
    size: int
    recipe: str
    summary: Sequence[tuple[str, str]]
    environment: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Remake:
    """A stored number and the command that makes it again."""

    what: str
    reference: str
    command: str


def origins(exhibit: Exhibit, own: Competitor) -> list[Origin]:
    """Return forecast, forecaster and dataset of a row, the nearest first."""
    told = [
        ("forecast", own.forecast),
        ("forecaster", own.forecaster),
        ("dataset", exhibit.dataset),
        ("reference", exhibit.reference.forecast),
    ]
    return [_origin(role, entry) for role, entry in told]


def remakes(exhibit: Exhibit, own: Competitor, *, imported: bool) -> Iterator[Remake]:
    """Return the command behind each cell of a row; what was imported cannot be drawn again."""
    for run in own.runs:
        called = f", seed {run.seed}" if own.others else ""
        for scorer, score in zip(exhibit.scorers, run.scores, strict=True):
            yield _remake(f"scores of {scorer.name} {scorer.version}{called}", score)
        if not imported:
            yield _remake(f"forecast{called}", run.forecast)
            yield _remake(f"forecaster{called}", run.forecaster)
    yield _remake("dataset", exhibit.dataset)


def _remake(what: str, entry: Entry) -> Remake:
    return Remake(what, str(entry.reference), f"geobench reproduce {entry.reference}")


def _origin(role: str, entry: Entry) -> Origin:
    record = entry.record
    return Origin(
        role,
        str(entry.reference),
        entry.id,
        record.content,
        f"{record.created:%Y-%m-%d %H:%M} UTC",
        record.seconds,
        record.size,
        json.dumps(record.recipe, indent=2, ensure_ascii=False),
        list(_flat({k: v for k, v in record.summary.items() if k != "scores"})),
        list(_flat(record.environment)),
    )


def _flat(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{path}{key}", text[:_LONGEST]


def newest(exhibits: Sequence[Exhibit]) -> str:
    """When the youngest number of all was made: a site says that, and not when it was built."""
    created = [
        score.record.created
        for exhibit in exhibits
        for own in exhibit.competitors
        for run in own.runs
        for score in run.scores
    ]
    return f"{max(created):%Y-%m-%d %H:%M} UTC" if created else "–"
