"""A section of a report: a heading, a table, notes; and how its numbers are written."""

import math
from collections.abc import Sequence

from geobench.statistics.intervals import Interval
from geobench.tables.numbers import number
from geobench.tables.table import Cell, Column, Row, Table

_NUMBER = 16  # letters of a cell at most; what is longer is text, and goes on in the next line


def section(
    title: str,
    headings: Sequence[str] = (),
    rows: Sequence[Sequence[str]] = (),
    notes: Sequence[str] = (),
) -> Table:
    """Return a table with a title, and notes to read it by.

    It may be empty. Without headings the first of two columns names the row.
    """
    columns = [
        Column(heading, "right" if index and any(headings) else "left", wrap=wraps)
        for index, heading in enumerate(headings)
        for wraps in [not index or any(len(row[index]) > _NUMBER for row in rows)]
    ]
    return Table(columns, [Row([Cell(text) for text in row]) for row in rows], title, notes)


def told(value: Interval | None, digits: int = 3, factor: float = 1.0) -> str:
    """Write `value [low, high]`; an end that lies beyond what was run is open."""
    if value is None or not math.isfinite(value.value):
        return "–"
    value = value.times(factor)
    ends = [number(end, digits) if math.isfinite(end) else "…" for end in value[1:]]
    return f"{number(value.value, digits)} [{', '.join(ends)}]"


def sized(value: Interval) -> str:
    """Write with digits that suit the interval."""
    width = value.high - value.low
    digits = 3 if not width > 0 else min(6, max(0, 1 - math.floor(math.log10(width / 2))))
    return told(value, digits)


def units_of(units: str) -> str:
    """Write units after a number or a heading; nothing for a plain number."""
    return "" if units in ("", "1") else f" {units}"
