"""Where an entry of a board comes from: recipe, lineage, circumstances, how to make it again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geobench.leaderboard.board import Competitor
from geobench.leaderboard.exhibit import Exhibit
from geobench_catalog import Entry
from geobench_catalog.references import Reference

_LONGEST = 2000  # characters of one value


@dataclass(frozen=True)
class Origin:
    """What is recorded of one entry of the catalog, for people."""

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
    alike: str
    """Role of one before it that was made with the very same; "": there is none."""


def origins(exhibit: Exhibit, own: Competitor) -> list[Origin]:
    """Return forecast, forecaster and dataset of a row, the nearest first."""
    told = [
        ("forecast", own.forecast),
        ("forecaster", own.forecaster),
        ("dataset", exhibit.dataset),
        ("reference", exhibit.reference.forecast),
    ]
    made = [entry.record.environment for _, entry in told]
    firsts = [told[made.index(each)][0] for each in made]
    return [
        _origin(role, entry, "" if first == role else first)
        for (role, entry), first in zip(told, firsts, strict=True)
    ]


def remakes(
    exhibit: Exhibit, own: Competitor, *, imported: bool
) -> Iterator[tuple[str, list[Reference]]]:
    """Return what is behind a row, and can be made again: one of each for each of its seeds.

    What was imported cannot be drawn again.
    """
    for place, scorer in enumerate(exhibit.scorers):
        scores = [run.scores[place].reference for run in own.runs]
        yield f"scores of {scorer.name} {scorer.version}", scores
    listed = {score.id for score in own.scores}
    for place, score in own.against_law.items():
        if score.id not in listed:
            runs = [run.against_law[place] for run in own.runs if place in run.against_law]
            named = f"{score.record.recipe['use']} {score.record.recipe['version']}"
            yield f"scores of {named}", [each.reference for each in runs]
    if not imported:
        yield "forecast", [run.forecast.reference for run in own.runs]
        yield "forecaster", [run.forecaster.reference for run in own.runs]
    yield "dataset", [exhibit.dataset.reference]


def _origin(role: str, entry: Entry, alike: str) -> Origin:
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
        [] if alike else list(_flat(record.environment)),
        alike,
    )


def _flat(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{path}{key}", text[:_LONGEST]


def newest(exhibit: Exhibit) -> datetime:
    """When the youngest number was made: a site says that, and not when it was built."""
    return max(
        score.record.created
        for own in (exhibit.reference, *exhibit.competitors)
        for run in own.runs
        for score in (*run.scores, *run.against_law.values())
    )
