"""What `--json` prints: one JSON document on stdout, and nothing else there."""

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from geobench_catalog.entry import Entry


def show(value: Any) -> None:
    """Print a document."""
    click.echo(json.dumps(finite(value), indent=1, allow_nan=False, default=str))


def of_entry(entry: "Entry") -> dict[str, Any]:
    """An entry as a document: its reference, its id and its record."""
    record = entry.record.model_dump(mode="json")
    return {"reference": str(entry.reference), "id": entry.id, **record}


def finite(value: Any) -> Any:
    """Put null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
