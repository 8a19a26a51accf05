"""JSON that every reader takes: no NaN, and nothing that ends a script in a page."""

import json
import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any, digits: int = 17) -> Any:
    """Return JSON values; null for numbers that JSON does not have.

    `digits`: to how many that count a number is rounded; default: to none fewer.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each, digits) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, digits) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def in_page(value: Any) -> str:
    """Return JSON that can stand in a `<script>` of a page, whatever names are in it."""
    try:  # mostly there is nothing that JSON does not have, and to look for it takes longer
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(plain(value), ensure_ascii=True, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
