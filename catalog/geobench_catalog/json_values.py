"""Numbers as JSON has them: not every number is one."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

ALL = 17
"""Digits that tell every number of double precision from its neighbours."""


def json_values(value: Any, digits: int = ALL) -> Any:
    """Return what JSON can hold: null for NaN and infinities, lists for arrays.

    `digits`: significant digits that a number is rounded to; default: all.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_values(item, digits) for key, item in value.items()}
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [json_values(item, digits) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits >= ALL else float(f"{value:.{digits}g}")
    return value
