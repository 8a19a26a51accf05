"""What is wrong with fields that a user gave, on one line, with what may have been meant."""

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MOST = 10  # mistakes in one message
_LONGEST = 200  # characters of a value in a message
_DEEPEST = 4  # groups inside one another that are searched for a key
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}


def message(error: ValidationError, cls: type[BaseModel]) -> str:
    """Tell every mistake in the fields of `cls`."""
    mistakes = error.errors()
    text = "; ".join(_mistake(mistake, cls) for mistake in mistakes[:_MOST])
    more = f"; and {len(mistakes) - _MOST:,} more" if len(mistakes) > _MOST else ""
    return text + more


def groups_of(annotation: Any) -> list[type[BaseModel]]:
    """Return the groups of fields that a field may hold."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for part in get_args(annotation) for group in groups_of(part)]


def shortened(given: object) -> str:
    """Show what was given, but no more of it than fits on a line."""
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) >= 10**30:
        return "a number of more than 30 digits"
    text = repr(given)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def number_meant(text: str) -> str:
    """Return `: 20000` for `20k`, `20_000` and `20,000`; nothing where no number is meant."""
    match = re.fullmatch(r"([-+]?\d[\d_,]*(?:\.\d+)?) ?([kKmM]?)", text)
    if not match:
        return ""
    number = float(re.sub("[_,]", "", match[1])) * _FACTORS[match[2].lower()]
    return f": {number:.0f}" if number.is_integer() else f": {number:g}"


def _mistake(error: ErrorDetails, cls: type[BaseModel]) -> str:
    parts, groups = _path(error["loc"], cls)
    key = ".".join(parts)
    if error["type"] == "extra_forbidden":
        return f"there is no key '{key}'. {_cure(parts, groups, cls)}"
    if error["type"] == "missing":
        return f"the key '{key}' is missing"
    if error["type"].startswith("union_tag"):
        tags, field = _tags_at(parts, groups), error["ctx"]["discriminator"].strip("'")
        return f"{key}.{field}: write one of {', '.join(tags)}"
    text = error["msg"].removeprefix("Value error, ")
    about_parts = error["type"] == "value_error" and isinstance(error["input"], Mapping)
    if about_parts and key and re.match(r"\w+ = ", text):
        return f"{key}.{text}"
    if not key or about_parts:
        return f"{key}: {text}".removeprefix(": ")
    return f"{key} = {shortened(error['input'])}: {text}"


def _path(
    place: Sequence[int | str], cls: type[BaseModel]
) -> tuple[list[str], list[type[BaseModel]]]:
    """Return the keys that lead to a mistake, as a user writes them, and the groups around it.

    pydantic puts the tag of a group between them where there are several: `backbone.unet.width`.
    """
    parts, groups = list[str](), [cls]
    for index, part in enumerate(place):
        fields = [group.model_fields[str(part)] for group in groups if part in group.model_fields]
        tagged = [group for group in groups if part in _tags(group)]
        if len(groups) > 1 and not fields and index > 0 and tagged:
            groups = tagged
            continue
        parts.append(str(part))
        if index < len(place) - 1 and not isinstance(part, int):
            groups = [group for field in fields for group in groups_of(field.annotation)]
    return parts, groups


def _tags_at(parts: list[str], groups: list[type[BaseModel]]) -> list[str]:
    """Return the tags of the groups that a field may hold."""
    fields = [group.model_fields[parts[-1]] for group in groups if parts[-1] in group.model_fields]
    inside = [group for field in fields for group in groups_of(field.annotation)]
    literals = [
        field.annotation for group in inside for field in group.model_fields.values()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    ]  # fmt: skip
    return [str(get_args(literal)[0]) for literal in literals]


def _tags(group: type[BaseModel]) -> list[Any]:
    return [value for field in group.model_fields.values() for value in get_args(field.annotation)]


def _cure(parts: list[str], groups: list[type[BaseModel]], cls: type[BaseModel]) -> str:
    """Say which key may have been meant: beside it, or in another group."""
    *before, last = parts
    beside = list(dict.fromkeys(key for group in groups for key in group.model_fields))
    paths = dict.fromkeys(".".join(path) for path in _paths(cls))
    same = [path for path in paths if path.rpartition(".")[2] == last]
    names = [path.rpartition(".")[2] for path in paths]
    typed = difflib.get_close_matches(last, names, n=1, cutoff=0.85)
    close = difflib.get_close_matches(last, beside, n=1)
    if not same and typed and typed[0] not in beside:
        same = [path for path in paths if path.rpartition(".")[2] == typed[0]]
    if not same and close:
        same = [".".join([*before, close[0]])]
    if not same:
        near = difflib.get_close_matches(last, names, n=1, cutoff=0.8)
        same = [path for path in paths if near and path.rpartition(".")[2] == near[0]]
    if same:
        named = "' or '".join(same[:3])
        return f"Did you mean '{named}'?"
    return f"Keys: {', '.join(beside) or 'none'}."


def _paths(cls: type[BaseModel], depth: int = 0) -> Iterator[tuple[str, ...]]:
    """Every key, and those of the groups that they hold."""
    for key, field in cls.model_fields.items():
        yield (key,)
        for group in groups_of(field.annotation) if depth < _DEEPEST else ():
            for path in _paths(group, depth + 1):
                yield (key, *path)
