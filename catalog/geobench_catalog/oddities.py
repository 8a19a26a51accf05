"""What no record may hold: values that an index, a terminal or a board cannot take.

A record is checked before its entry is published and when one comes in, so that none makes a
catalog unusable. Records that are there already are read as they are.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from geobench_catalog.record import Record

DEEPEST = 64  # levels of a record; what is deeper nobody means
LONGEST = 2**20  # letters of a text
_LONGEST_KEY = 1000
_MOST = 10**6  # values of a record
_INTEGERS = range(-(2**63), 2**63)
_YEARS = range(2000, 2100)


class _Wanted(NamedTuple):
    """A field that is read by name: where it is, of what type, and in words."""

    path: str
    types: tuple[type, ...]
    words: str


_NUMBER = (int, float)
_FIELDS = {
    "forecaster": [
        _Wanted("recipe.model", (dict,), "an object"),
        _Wanted("recipe.model.use", (str,), "a text"),
        _Wanted("recipe.seed", (int,), "a whole number"),
        _Wanted("summary.parameters", _NUMBER, "a number"),
        _Wanted("summary.sample_passes", _NUMBER, "a number"),
        _Wanted("summary.training_seconds", _NUMBER, "a number"),
        _Wanted("summary.knows_law", (bool, int), "true or false"),
        _Wanted("summary.device", (str,), "a text"),
    ],
    "forecast": [
        _Wanted("recipe.members", (int,), "a whole number"),
        _Wanted("recipe.seed", (int,), "a whole number"),
        _Wanted("summary.failed_members", (int,), "a whole number"),
        _Wanted("summary.failures", (dict,), "an object"),
        _Wanted("summary.evaluations_per_step", _NUMBER, "a number"),
        _Wanted("summary.seconds_per_member", _NUMBER, "a number"),
    ],
    "dataset": [
        _Wanted("recipe.leads", (int,), "a whole number"),
        _Wanted("recipe.seed", (int,), "a whole number"),
    ],
    "control": [_Wanted("recipe.event", (dict,), "an object")],
    "score": [
        _Wanted("recipe.use", (str,), "a text"),
        _Wanted("recipe.version", (str,), "a text"),
        _Wanted("summary.better", (str, *_NUMBER), "a text or a number"),
        _Wanted("summary.scores", (dict,), "an object"),
        _Wanted("summary.lead_hours", (list,), "a list"),
    ],
}


def oddity(value: object, where: str) -> str | None:
    """The first value within JSON that cannot be kept, in words; None if all can."""
    return next(_odd(value, where, [_MOST], DEEPEST), None)


def of_record(record: "Record") -> str | None:
    """The first thing in a record that cannot be kept, or is not what its name says."""
    parents = {role: parent.reference for role, parent in record.parents.items()}
    parts = {"key": record.key, "recipe": record.recipe, "parents": parents}
    parts |= {"labels": record.labels, "summary": record.summary, "environment": record.environment}
    for name, value in parts.items():
        if found := oddity(value, name):
            return found
    if not math.isfinite(record.seconds) or record.size not in _INTEGERS:
        return f"it tells of {record.seconds} seconds and {record.size} bytes"
    if record.created.year not in _YEARS:
        return f"it was created in the year {record.created.year}"
    return next(_wrong(record), None)


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
        yield f"{_short(where)} is nested more than {DEEPEST} deep"
    elif isinstance(value, str):
        if len(value) > LONGEST:
            yield f"{_short(where)} is a text of {len(value):,} letters, more than {LONGEST:,}"
        elif not _is_text(value):
            yield f"{_short(where)} is no valid text: it has half of a letter (a lone surrogate)"
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if value not in _INTEGERS:
            yield f"{_short(where)} is a whole number of {value.bit_length()} bits, more than 64"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{_short(where)} is {value}, and not a finite number"
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str) or len(key) > _LONGEST_KEY or not _is_text(key):
                yield f"a key in {_short(where)} is no text of at most {_LONGEST_KEY:,} letters"
                return
            yield from _odd(each, f"{where}.{key}", left, depth - 1)
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from _odd(each, f"{where}.{place}", left, depth - 1)
    else:
        yield f"{_short(where)} is of the type {type(value).__name__}, which JSON does not have"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(where: str) -> str:
    return where if len(where) <= 80 else f"{where[:77]}…"


def _wrong(record: "Record") -> Iterator[str]:
    """Fields that are read by name, and are of another type than that name says."""
    for wanted in _FIELDS.get(record.kind, ()):
        value = _at(record, wanted.path)
        if value is not None and not isinstance(value, wanted.types):
            yield f"{wanted.path} is {_told(value)}, and not {wanted.words}"
    hours, scores = record.summary.get("lead_hours"), record.summary.get("scores")
    lists = {"lead_hours": hours} if isinstance(hours, list) else {}
    if isinstance(scores, Mapping):
        lists |= {f"scores.{column}": values for column, values in scores.items()}
    for name, values in lists.items():
        if not isinstance(values, list):
            yield f"summary.{_short(name)} is {_told(values)}, and not a list of numbers"
        for value in values if isinstance(values, list) else ():
            if value is not None and type(value) not in _NUMBER:
                yield f"summary.{_short(name)} holds {_told(value)} in place of a number"


def _at(record: "Record", path: str) -> Any:
    part, *keys = path.split(".")
    value: Any = getattr(record, part)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _told(value: object) -> str:
    words = {list: "a list", dict: "an object", str: "a text", bool: "true or false"}
    return words.get(type(value), "a number")
