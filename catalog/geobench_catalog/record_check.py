"""Whether a record may be published or come in, so that none makes a catalog unusable.

Records that are there already are read as they are.
"""

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from geobench_catalog.oddities import INTEGERS, oddity, short
from geobench_catalog.record import Record
from geobench_catalog.vocabulary import Kind

LARGEST = 2**24
"""Bytes of a record."""
_YEARS = range(2000, 2100)
_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "a list",
}
"""What was wanted, by pydantic's name of an error."""


def check(record: Record, text: bytes, kind: Kind) -> None:
    """Raise `ValueError` if a record of a kind, written as `text`, holds what cannot be kept."""
    if len(text) > LARGEST:
        raise ValueError(f"its record has {len(text):,} bytes, more than {LARGEST:,}")
    for problem in _problems(record, kind):
        raise ValueError(problem)


def _problems(record: Record, kind: Kind) -> Iterator[str]:
    """What in a record cannot be kept, or is not what its name says."""
    parents = {role: parent.reference for role, parent in record.parents.items()}
    parts = {"key": record.key, "recipe": record.recipe, "parents": parents}
    parts |= {"labels": record.labels, "summary": record.summary, "environment": record.environment}
    for name, value in parts.items():
        if problem := oddity(value, name):
            yield problem
    if not math.isfinite(record.seconds) or record.size not in INTEGERS:
        yield f"it tells of {record.seconds} seconds and {record.size} bytes"
    if record.created.year not in _YEARS:
        yield f"it was created in the year {record.created.year}"
    yield from _wrong("recipe", record.recipe, kind.recipe)
    yield from _wrong("summary", record.summary, kind.summary)


def _wrong(part: str, content: dict[str, Any], model: type[BaseModel] | None) -> Iterator[str]:
    if model is not None:
        try:
            model.model_validate(dict(content))
        except ValidationError as error:
            yield described(part, error)


def described(part: str, error: ValidationError) -> str:
    """The first thing in a part of a record that its model does not take, in words."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = short(".".join(map(str, (part, *first["loc"]))))
    if first["type"] == "missing":
        return f"{where} is missing"
    wanted = _WANTED.get(first["type"])
    if wanted is None:
        return f"{where}: {first['msg']}"
    return f"{where} is {_told(first['input'])}, and not {wanted}"


def _told(value: object) -> str:
    words = {list: "a list", dict: "an object", str: "a text", bool: "true or false"}
    return words.get(type(value), "a number")
