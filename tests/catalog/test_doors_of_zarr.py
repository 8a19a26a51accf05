"""What is used of other libraries and is not promised by them: a change is told here, by name.

The list is complete: a test looks for imports of private parts that are not on it.
"""

import ast
import re
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

import geobench
import geobench_catalog
from geobench.foreign.reading import lazily

PRIVATE = re.compile(
    r"(zarr|xarray|numpy|pandas|fsspec|s3fs|click|pydantic)\.(.*\.)?(_\w+|core)(\.|$)"
)
KNOWN = {
    # xarray's guide ("How to add a new backend") tells authors of backends to use it.
    ("foreign/reading.py", "xarray.core.indexing"),
    # click's reference documents it under this name.
    ("cli/doctor.py", "click.core.ParameterSource"),
    ("cli/settings.py", "click.core.ParameterSource"),
    ("cli/simulator.py", "click.core.ParameterSource"),
}


def _imported(file: Path) -> set[str]:
    """Modules that a file imports, wherever in it, for types alone or not."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def test_no_other_private_part_of_a_library_is_imported() -> None:
    found = set()
    for package in (geobench_catalog, geobench):
        folder = Path(str(package.__file__)).parent
        for file in folder.rglob("*.py"):
            names = {name for name in _imported(file) if PRIVATE.match(name)}
            found |= {(file.relative_to(folder).as_posix(), name) for name in names}
    assert found == KNOWN


def test_xarray_reads_an_array_of_ours_only_where_it_is_asked_for() -> None:
    """`xarray.core.indexing` wraps it (geobench/foreign/reading.py)."""
    from xarray.core import indexing

    told = (
        "xarray has changed xarray.core.indexing, through which geobench/foreign/reading.py reads "
        "forecasts lazily. See 'How to add a new backend' in its documentation for the new way."
    )
    for name in ("LazilyIndexedArray", "IndexingSupport", "explicit_indexing_adapter"):
        assert hasattr(indexing, name), told
    numbers, asked = np.arange(24.0).reshape(4, 6), []

    def read(key: tuple[Any, ...]) -> Any:
        asked.append(key)
        rows, columns = (np.atleast_1d(np.arange(n)[k]) for n, k in zip((4, 6), key, strict=True))
        block = numbers[np.ix_(rows, columns)]
        return block[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)]

    opened = xr.Dataset({"q": (("a", "b"), lazily(read, (4, 6), np.float64))})
    part = opened["q"].isel(a=[3, 1], b=slice(2, 5))
    assert not asked, told
    np.testing.assert_array_equal(part, numbers[[3, 1], 2:5], err_msg=told)
    assert len(asked) == 1, told


def test_click_gives_the_options_of_its_parser() -> None:
    """So that an option that is given twice is an error (geobench_catalog/commands/one_line.py)."""
    told = "click has changed its parser: mend _refuse_repeats in commands/one_line.py."
    command = click.Command("x", params=[click.Option(["--size", "-s"])])
    parser: Any = command.make_parser(click.Context(command))
    long, short = (getattr(parser, name, {}) for name in ("_long_opt", "_short_opt"))
    assert "--size" in long, told
    assert "-s" in short, told
    option = long["--size"]
    assert (option.action, option.obj.name) == ("store", "size"), told
    assert callable(option.process), told
