"""Rows as a table for people, as JSON, as CSV."""

import csv
import io
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from geobench_catalog.commands import documents
from geobench_catalog.narrow_tables import left_out, shown_columns
from geobench_catalog.plain_text import csv_cell, plain


def show(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    form: str = "table",
    minor: Mapping[str, int] | None = None,
    others: str = "--json",
) -> None:
    """Print rows; `form` is table, json or csv.

    A narrow terminal shows fewer columns: those with the largest number in `minor` are left out
    first, `others` are the options that print them. None: all are shown.
    """
    if form == "json":
        documents.show([dict(zip(columns, row, strict=True)) for row in rows])
    elif form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([csv_cell(value) for value in row] for row in rows)
        documents.write(text.getvalue())
    else:
        cells = [
            [_cell(name, value) for name, value in zip(columns, row, strict=True)] for row in rows
        ]
        _table(*_fitting(columns, cells, minor, others))


def _fitting(
    columns: Sequence[str], rows: list[list[str]], minor: Mapping[str, int] | None, others: str
) -> tuple[Sequence[str], list[list[str]], str]:
    """Return columns and rows as far as there is room, and a line about those left out."""
    if minor is None or not sys.stdout.isatty() or not columns:
        return columns, rows, ""
    widths, width = _widths(columns, rows), shutil.get_terminal_size().columns
    empty = [all(row[place] in ("", "–") for row in rows) for place in range(len(columns))]
    order = [100 if empty[place] else minor.get(name, 0) for place, name in enumerate(columns)]
    kept = shown_columns(
        order, 0, lambda places: sum(widths[place] + 2 for place in places) - 2 <= width
    )
    hidden = [name for place, name in enumerate(columns) if place not in kept and not empty[place]]
    note = left_out(hidden, width, others) if hidden else ""
    return [columns[place] for place in kept], [[row[p] for p in kept] for row in rows], note


def _widths(columns: Sequence[str], rows: list[list[str]]) -> list[int]:
    return [max(map(len, texts)) for texts in zip(columns, *rows, strict=True)]


def _table(columns: Sequence[str], rows: list[list[str]], note: str) -> None:
    widths = _widths(columns, rows)
    numeric = [
        bool(rows) and all(_is_number(row[column]) for row in rows)
        for column in range(len(columns))
    ]
    for index, row in enumerate([list(columns), *rows]):
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        line = "  ".join(cells).rstrip()
        click.echo(click.style(line, bold=True) if index == 0 else line)
    if note:
        click.echo(click.wrap_text(note, shutil.get_terminal_size().columns))


def _is_number(text: str) -> bool:
    return text in ("", "–") or text.replace(",", "").lstrip("-−")[:1].isdigit()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name in ("size", "bytes"):
        return size(value)
    if name == "created":
        return str(value)[:16].replace("T", " ")
    if name == "id":
        return str(value)[:12]
    if name == "seconds":
        return f"{value:.1f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return plain(" ".join(str(value).split()))


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError


def form(*, as_json: bool, as_csv: bool) -> str:
    """Which form the options ask for."""
    return "json" if as_json else "csv" if as_csv else "table"
