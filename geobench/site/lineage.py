"""Where an entry of a board comes from: recipe, lineage, circumstances, how to make it again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geobench.board.comparison import Comparison
from geobench.board.competitor import Competitor
from geobench.tables.numbers import number_cell
from geobench.tables.table import Cell, Column, Row, Table
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


def origins(comparison: Comparison, competitor: Competitor) -> list[Origin]:
    """Return forecast, forecaster and dataset of a row, the nearest first."""
    entries = [
        ("forecast", competitor.forecast),
        ("forecaster", competitor.forecaster),
        ("dataset", comparison.dataset),
        ("reference", comparison.reference.forecast),
    ]
    environments = [entry.record.environment for _, entry in entries]
    firsts = [entries[environments.index(environment)][0] for environment in environments]
    return [
        _origin(role, entry, "" if first == role else first)
        for (role, entry), first in zip(entries, firsts, strict=True)
    ]


def lineage(origins: Sequence[Origin]) -> Table:
    """The origins of a row as a table."""
    columns = [
        Column("Role", "left"),
        Column("Reference", "left", code=True),
        Column("Made", "left"),
        Column("Seconds"),
        Column("Id (SHA-256 of all files)", "left", code=True),
        Column("Data alone", "left", code=True),
    ]
    rows = [
        Row(
            [
                Cell(o.role),
                Cell(o.reference),
                Cell(o.created),
                number_cell(o.seconds, 1),
                Cell(o.id),
                Cell(o.content),
            ]
        )
        for o in origins
    ]
    title = "Lineage: this entry was made from these, and compared with the reference"
    return Table(columns, rows, title)


def reproduction(comparison: Comparison, competitor: Competitor, *, imported: bool) -> Table:
    """Return the command that makes each number behind a row again, for each of its seeds."""
    seeds = [str(run.seed) for run in competitor.runs]
    rows = [
        Row([Cell(what), Cell("\n".join(f"geobench reproduce {name}" for name in references))])
        for what, references in _remakes(comparison, competitor, imported=imported)
    ]
    title = "Every stored number and the command that reproduces it"
    if len(seeds) > 1:
        title += f": one for each of seeds {', '.join(seeds)}"
    return Table([Column("What", "left"), Column("Command", "left", code=True)], rows, title)


def _remakes(
    comparison: Comparison, competitor: Competitor, *, imported: bool
) -> Iterator[tuple[str, list[Reference]]]:
    """Return what can be made again. What was imported cannot be drawn again."""
    for index, scorer in enumerate(comparison.scorers):
        scores = [run.scores[index].reference for run in competitor.runs]
        yield f"scores of {scorer.name} {scorer.version}", scores
    listed = {score.id for score in competitor.scores}
    for index, score in competitor.against_law.items():
        if score.id not in listed:
            runs = [run.against_law[index] for run in competitor.runs if index in run.against_law]
            named = f"{score.record.recipe['use']} {score.record.recipe['version']}"
            yield f"scores of {named}", [entry.reference for entry in runs]
    if not imported:
        yield "forecast", [run.forecast.reference for run in competitor.runs]
        yield "forecaster", [run.forecaster.reference for run in competitor.runs]
    yield "dataset", [comparison.dataset.reference]


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


def newest(comparison: Comparison) -> datetime:
    """When the youngest number was made: a site says that, and not when it was built."""
    return max(
        score.record.created
        for competitor in (comparison.reference, *comparison.competitors)
        for run in competitor.runs
        for score in (*run.scores, *run.against_law.values())
    )
