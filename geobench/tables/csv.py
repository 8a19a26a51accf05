"""Tables as CSV: the values, with eight digits, and the ends of their intervals."""

import csv
import io
import math
from collections.abc import Iterator

from geobench.tables.table import Cell, Column, Table, Value
from geobench_catalog.plain_text import csv_cell


def text(table: Table) -> str:
    """Return the text; what is not a finite number is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([key for column in table.columns for key in _keys(column)])
    for row in table.rows:
        cells = zip(table.columns, row.cells, strict=True)
        writer.writerow([csv_cell(value) for pair in cells for value in _values(*pair)])
    return written.getvalue()


def _keys(column: Column) -> list[str]:
    return [key for key in (column.key, *(column.end_keys or ())) if key]


def _values(column: Column, cell: Cell) -> Iterator[object]:
    if column.key:
        yield _written(cell.value)
    if column.end_keys:
        yield from map(_written, cell.ends or (None, None))


def _written(value: Value) -> object:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.8g}" if math.isfinite(value) else ""
    return int(value) if isinstance(value, bool) else value
