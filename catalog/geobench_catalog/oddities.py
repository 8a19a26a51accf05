"""What no record may hold: values that an index, a terminal or a table cannot take."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

DEEPEST = 64  # levels of a record; what is deeper nobody means
LONGEST = 2**20  # letters of a text
_LONGEST_KEY = 1000
_MOST = 10**6  # values of a record
INTEGERS = range(-(2**63), 2**63)


def oddity(value: object, where: str) -> str | None:
    """The first value within JSON that cannot be kept, in words; None if all can."""
    return next(_odd(value, where, [_MOST], DEEPEST), None)


def day(created: datetime) -> str:
    """The time of a record, in UTC, as an index sorts it; "" if it cannot be told."""
    try:
        return created.astimezone(UTC).isoformat()
    except (OverflowError, OSError, ValueError):  # at the ends of the calendar
        return ""


def _odd(value: object, where: str, left: list[int], depth: int) -> Iterator[str]:
    left[0] -= 1
    if left[0] < 0:
        yield f"it holds more than {_MOST:,} values"
    elif depth < 0:
        yield f"{short(where)} is nested more than {DEEPEST} deep"
    elif isinstance(value, str):
        if len(value) > LONGEST:
            yield f"{short(where)} is a text of {len(value):,} letters, more than {LONGEST:,}"
        elif not _is_text(value):
            yield f"{short(where)} is no valid text: it has half of a letter (a lone surrogate)"
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if value not in INTEGERS:
            yield f"{short(where)} is a whole number of {value.bit_length()} bits, more than 64"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{short(where)} is {value}, and not a finite number"
    elif isinstance(value, Mapping):
        for key, child in value.items():
            if not isinstance(key, str) or len(key) > _LONGEST_KEY or not _is_text(key):
                yield f"a key in {short(where)} is no text of at most {_LONGEST_KEY:,} letters"
                return
            yield from _odd(child, f"{where}.{key}", left, depth - 1)
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _odd(child, f"{where}.{index}", left, depth - 1)
    else:
        yield f"{short(where)} is of the type {type(value).__name__}, which JSON does not have"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def short(where: str) -> str:
    """The path of a value, cut where it is long."""
    return where if len(where) <= 80 else f"{where[:77]}…"
