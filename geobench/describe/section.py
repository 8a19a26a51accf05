"""A section of a report: a heading, a table, notes."""

from collections.abc import Sequence

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


def units_of(units: str) -> str:
    """Write units after a number or a heading; nothing for a plain number."""
    return "" if units in ("", "1") else f" {units}"
