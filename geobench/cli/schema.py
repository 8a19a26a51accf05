"""geobench schema: the form of what a command prints with --json."""

import difflib
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import click

from geobench.errors import GeobenchError

_CATALOG = "catalog-"
_SHARED = "definitions"


@click.command(short_help="Print the form of a command's --json.")
@click.argument("command", nargs=-1)
def schema(command: tuple[str, ...]) -> None:
    """Print the JSON schema of what COMMAND prints with --json; without COMMAND, list them.

    A command that fails prints the document that 'geobench schema error' describes.

    For example: geobench schema leaderboard show
    """
    if not command:
        click.echo("\n".join(name.replace("-", " ", 1) for name in schemas()))
        return
    click.echo(json.dumps(schema_of(" ".join(command)), indent=1, ensure_ascii=False))


def schema_of(command: str) -> dict[str, Any]:
    """Return the JSON schema of a command, `leaderboard show`, with all that it refers to."""
    known = schemas()
    file = known.get(command.replace(" ", "-"))
    if file is None:
        close = difflib.get_close_matches(command.replace(" ", "-"), known, n=1)
        hint = f" Did you mean '{close[0].replace('-', ' ', 1)}'?" if close else ""
        raise GeobenchError(
            f"no schema describes '{command}'.{hint} 'geobench schema' lists the commands that "
            f"have one."
        )
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    shared: dict[str, Any] = {}
    for folder in _folders().values():
        shared |= json.loads((folder / f"{_SHARED}.json").read_text("utf-8"))["$defs"]
    used = dict.fromkeys(_used(document, shared))
    return {**document, "$defs": {name: shared[name] for name in used}} if used else document


def schemas() -> dict[str, Traversable]:
    """Return the file of each schema, by command: `leaderboard-show`."""
    found = {
        ("error" if file.name == "error.json" else prefix + file.name.removesuffix(".json")): file
        for prefix, folder in _folders().items()
        for file in folder.iterdir()
        if file.name.endswith(".json") and file.name != f"{_SHARED}.json"
    }
    return dict(sorted(found.items()))


def _folders() -> dict[str, Traversable]:
    """Folders of schemas, by what their commands begin with; those of the core come last.

    The core gives some commands of the catalog more than they have by themselves.
    """
    return {
        _CATALOG: files("geobench_catalog.commands") / "schemas",
        "": files("geobench.cli") / "schemas",
    }


def _used(part: Any, shared: Mapping[str, Any]) -> Iterator[str]:
    """Names of the shared definitions that a schema refers to, also by way of others."""
    if isinstance(part, list):
        for inner in part:
            yield from _used(inner, shared)
    elif isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/$defs/")
            yield name
            yield from _used(shared[name], shared)
        for inner in part.values():
            yield from _used(inner, shared)
