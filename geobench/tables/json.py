"""Tables, and anything else that holds numbers, as JSON that every reader takes."""

import json
from typing import Any

from geobench.tables.table import Table
from geobench_catalog.json_values import json_values


def records(table: Table) -> list[dict[str, Any]]:
    """Return the values of each row by the keys of the columns, with the ends of intervals."""
    rows = []
    for row in table.rows:
        values: dict[str, Any] = {}
        for column, cell in zip(table.columns, row.cells, strict=True):
            if column.key:
                values[column.key] = cell.value
            if column.end_keys:
                values |= zip(column.end_keys, cell.ends or (None, None), strict=True)
        rows.append(values)
    return rows


def in_page(value: Any) -> str:
    """Return JSON that can stand in a `<script>` of a page, whatever names are in it."""
    try:  # mostly there is nothing that JSON does not have, and to look for it takes longer
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(json_values(value), ensure_ascii=True, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
