"""Whatever a command does can be done from Python: the page lists both sides."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from geobench.cli import main
from geobench.lab.dataset import Dataset
from geobench.lab.forecast import Forecast
from geobench.lab.lab import Lab
from geobench.study.file import Study
from geobench_catalog import Catalog
from geobench_catalog.index import Index

PAGE = Path(__file__).parents[2] / "docs/python.md"
ROWS = dict(re.findall(r"^\| `([a-z -]+)` \| `([\w.]+)` \|$", PAGE.read_text("utf-8"), re.M))
FOR_SHELLS = {"completion", "schema"}
OBJECTS: dict[str, Any] = {
    "lab.catalog.index": Index,
    "lab.catalog": Catalog,
    "lab": Lab,
    "geobench.Study": Study,
    "data": Dataset,
    "forecast": Forecast,
}


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> list[str]:
    if not isinstance(command, click.Group):
        return [" ".join(path)]
    context = click.Context(command)
    return [
        name
        for key in command.list_commands(context)
        if (inner := command.get_command(context, key))
        for name in _commands(inner, (*path, key))
    ]


def test_every_command_has_a_counterpart() -> None:
    assert {*_commands(main)} - FOR_SHELLS == {*ROWS}


@pytest.mark.parametrize("counterpart", sorted({*ROWS.values()}))
def test_the_counterpart_is_there_and_documented(counterpart: str) -> None:
    home, _, name = counterpart.rpartition(".")
    holder = OBJECTS.get(home) or import_module(home)
    assert getattr(holder, name).__doc__
