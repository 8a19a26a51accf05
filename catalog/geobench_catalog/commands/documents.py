"""What is printed for other programs: with `--json` one JSON document, and nothing else on stdout.

Whatever a plugin prints meanwhile, from Python or not, goes to stderr. A command that fails prints
`{"error": "…"}`, unless it has printed its document before.
"""

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

import click

from geobench_catalog.json_values import json_values

if TYPE_CHECKING:
    from geobench_catalog.entry import Entry


class _Out:
    """Where documents go: stdout, or what it was before plugins were kept away from it."""

    stream: IO[str] | None = None
    shown = False


def show(value: Any) -> None:
    """Print a document."""
    write(json.dumps(json_values(value), indent=1, allow_nan=False, default=str) + "\n")


def write(text: str) -> None:
    """Print text for another program."""
    _Out.shown = True
    click.echo(text, nl=False, file=_Out.stream)


@contextmanager
def alone(words: Sequence[str]) -> Iterator[None]:
    """Keep stdout for documents, if these words of a command line ask for any."""
    if not _asks(words):
        yield
        return
    stdout = sys.stdout
    _Out.shown = False
    if stdout is not sys.__stdout__ or not isinstance(
        stdout, io.TextIOWrapper
    ):  # a test's, which has no descriptor of its own
        _Out.stream, sys.stdout = stdout, sys.stderr
        try:
            yield
        finally:
            _Out.stream, sys.stdout = None, stdout
        return
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)  # what compiled code and child processes print
    stream = open(kept, "w", encoding=stdout.encoding, errors="replace")  # noqa: SIM115, PTH123
    _Out.stream, sys.stdout = stream, sys.stderr
    try:
        yield
    finally:
        _Out.stream, sys.stdout = None, stdout
        try:
            stream.flush()
        finally:
            os.dup2(kept, 1)
            with suppress(OSError):  # it could not be written to; that was told by `flush`
                stream.close()


def failed(message: str) -> None:
    """Print the document of a command that failed, unless it has printed its own."""
    if _Out.stream is not None and not _Out.shown:
        show({"error": message})


def _asks(words: Sequence[str]) -> bool:
    forms = [after for word, after in pairwise([*words, ""]) if word == "--format"]
    given = [word.partition("=")[2] for word in words if word.startswith("--format=")]
    return "--json" in words or "--csv" in words or bool({"json", "csv"} & {*forms, *given})


def of_entry(entry: "Entry") -> dict[str, Any]:
    """An entry as a document: its reference, its id and its record."""
    record = entry.record.model_dump(mode="json")
    return {"reference": str(entry.reference), "id": entry.id, **record}
