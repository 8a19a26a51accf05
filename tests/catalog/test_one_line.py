"""A command that fails prints one line and exits with a code that says how it ended."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

import click
import pytest
from click.testing import CliRunner

from geobench_catalog.commands import documents
from geobench_catalog.commands.one_line import OneLine
from geobench_catalog.errors import CatalogError


def _raise(error: BaseException) -> NoReturn:
    raise error


def _group(ends: Callable[[], object]) -> OneLine:
    @click.group(cls=OneLine)
    @click.option("--debug", is_flag=True)
    def program(**_: bool) -> None:
        pass

    @program.command()
    @click.option("--json", "as_json", is_flag=True)
    def do(*, as_json: bool) -> None:
        if as_json:
            documents.show({"done": True})
        ends()

    return program


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (CatalogError("it is broken."), "it is broken.", 2),
        (MemoryError("8 GiB"), "there is not enough memory (8 GiB). Make the numbers smaller.", 2),
        (MemoryError(), "there is not enough memory. Make the numbers smaller.", 2),
        (SystemExit("bye"), "test_one_line.py ended the program (bye). Mend or remove it.", 2),
        (KeyboardInterrupt(), "stopped. Finished steps are kept; run it again to go on.", 130),
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied. Look at", 2),
    ],
)
def test_it_is_told_in_one_line(error: BaseException, told: str, code: int) -> None:
    done = CliRunner().invoke(_group(lambda: _raise(error)), ["do"])
    assert done.exit_code == code
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("error", [CatalogError("it"), MemoryError(), SystemExit("bye"), OSError()])
def test_with_debug_it_is_raised(error: BaseException) -> None:
    done = CliRunner().invoke(_group(lambda: _raise(error)), ["--debug", "do"])
    assert done.exception is error or done.exception.__cause__ is error  # type: ignore[union-attr]


def test_stdout_is_one_document_whatever_else_is_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printed by Python, by compiled code, or by a child: it goes to stderr."""
    with open(os.dup(1), "w", encoding="utf-8") as own:  # noqa: PTH123 # with a descriptor
        monkeypatch.setattr(sys, "__stdout__", own)
        monkeypatch.setattr(sys, "stdout", own)

        def chat() -> None:
            print("from Python")
            os.write(1, b"from C\n")

        with pytest.raises(SystemExit):
            _group(chat).main(["do", "--json"])
        assert sys.stdout is own
        print("afterwards", file=own)
    out, err = capfd.readouterr()
    assert out == '{\n "done": true\n}\nafterwards\n'
    assert sorted(err.splitlines()) == ["from C", "from Python"]
