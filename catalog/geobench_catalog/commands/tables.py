"""Rows as a table for people, as JSON, as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import click

from geobench_catalog.commands import documents
from geobench_catalog.plain_text import csv_cell, plain


def show(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, form: str = "table") -> None:
    """Print rows; `form` is table, json or csv."""
    if form == "json":
        documents.show([dict(zip(columns, row, strict=True)) for row in rows])
    elif form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([csv_cell(value) for value in row] for row in rows)
        documents.write(text.getvalue())
    else:
        _table(columns, [[_cell(name, value) for name, value in zip(columns, row, strict=True)]
                         for row in rows])  # fmt: skip


def _table(columns: Sequence[str], rows: list[list[str]]) -> None:
    widths = [max(map(len, texts)) for texts in zip(columns, *rows, strict=True)]
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
