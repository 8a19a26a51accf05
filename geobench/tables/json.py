"""Tables, and anything else that holds numbers, as JSON that every reader takes."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from geobench.tables.table import Table


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


def json_values(value: Any, digits: int = 17) -> Any:
    """Return JSON values; null for numbers that JSON does not have.

    `digits`: significant digits that a number is rounded to; default: all.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_values(item, digits) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [json_values(item, digits) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def in_page(value: Any) -> str:
    """Return JSON that can stand in a `<script>` of a page, whatever names are in it."""
    try:  # mostly there is nothing that JSON does not have, and to look for it takes longer
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(json_values(value), ensure_ascii=True, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
