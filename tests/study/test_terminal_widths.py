"""Tables in a narrow terminal: whole numbers, fewer columns, and a line about those left out."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

from geobench.tables import terminal
from geobench.tables.table import Column, Table
from geobench_catalog.commands import tables
from geobench_catalog.narrow_tables import left_out, shown_columns


def _in_terminal(columns: int, *words: str) -> str:
    """What a command prints in a terminal of so many columns, without colours."""
    process, terminal_end = pty.fork()
    if process == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        # Not the environment of this process, in which readline has set COLUMNS behind Python.
        ours = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
        command = [sys.executable, "-m", "geobench", *words]
        os.execve(sys.executable, command, ours | {"TERM": "xterm-256color"})
    printed = b""
    while True:
        try:
            part = os.read(terminal_end, 65_536)
        except OSError:  # the command has ended
            break
        if not part:
            break
        printed += part
    os.close(terminal_end)
    os.waitpid(process, 0)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode()).replace("\r\n", "\n")


def _numbers(text: str) -> list[str]:
    return re.findall(r"[−-]?\d[\d,]*\.\d+", text)


def test_the_headline_table_fits_80_columns_and_says_what_it_leaves_out(
    ran: Path, study: Path
) -> None:
    words = ("--catalog", str(ran), "leaderboard", str(study))
    narrow, wide = (_in_terminal(columns, *words) for columns in (80, 200))
    assert max(len(line) for line in narrow.splitlines()) <= 80
    shown, note = narrow.split("5 columns are left out in 80 characters: ")
    assert " ".join(note.split()).startswith("rank, day 2, parameters, evaluations, ms/member. A")
    assert "--format csv" in " ".join(note.split())
    assert "left out" not in wide
    # Every number of the narrow table is one of the wide table, with all its digits.
    assert set(_numbers(shown)) <= set(_numbers(wide))
    assert len(_numbers(shown)) > 12


def test_the_list_of_the_catalog_fits_80_columns(ran: Path) -> None:
    words = ("--catalog", str(ran), "catalog", "list", "--kind", "forecast")
    heading, *rows = _in_terminal(80, *words).splitlines()
    assert heading.split()[:2] == ["reference", "size"]
    assert max(map(len, rows)) <= 80
    assert all(re.match(r"forecast/tiny\.\S+@1 +[\d.]+ kB", row) for row in rows if "tiny" in row)
    assert "seconds" in _in_terminal(200, *words).splitlines()[0]


@pytest.mark.parametrize(
    ("minor", "room", "shown"),
    [
        ((0, 0, 0, 0), 4, [0, 1, 2, 3]),
        ((0, 0, 0, 0), 3, [0, 1, 2]),  # of equal ones the rightmost goes
        ((0, 2, 0, 1), 3, [0, 2, 3]),
        ((0, 2, 0, 1), 2, [0, 2]),
        ((9, 0, 0, 0), 2, [0, 1]),  # what names the rows stays
        ((0, 0, 0, 0), 0, [0, 1]),  # and one column beside it
        ((5,), 0, [0]),
    ],
)
def test_the_least_important_column_goes_first(
    minor: tuple[int, ...], room: int, shown: list[int]
) -> None:
    assert shown_columns(minor, 0, lambda places: len(places) <= room) == shown


def test_one_column_is_named_in_the_singular() -> None:
    assert left_out(["", "a"], 80, "--json").startswith(
        "2 columns are left out in 80 characters: remarks, a. A wider terminal shows them, and"
    )
    assert left_out(["a"], 80, "--json") == (
        "1 column is left out in 80 characters: a. A wider terminal shows it, and so does --json."
    )


def test_a_pipe_gets_every_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    table = Table.of_texts(["name", "a long heading", "another one"], [["x", "1.5", "2.5"]])
    assert "another one" in terminal.text(table)
    tables.show(("name", "a long heading", "another"), [["x", 1.5, 2.5]], minor={})
    assert "another" in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    narrow = terminal.text(table)
    assert "2.5" not in narrow
    assert "1.5" in narrow


def test_columns_that_were_asked_for_by_name_all_stay(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    columns, rows = ("reference", "size", "created", "loss"), [["dataset/a@1", 5, "2026", 0.25]]
    tables.show(columns, rows, minor=None)
    assert "created" in capsys.readouterr().out
    tables.show(columns, rows, minor={"size": 2, "created": 1})
    printed = capsys.readouterr().out
    assert "reference    loss" in printed
    assert "size, created" in " ".join(printed.split())


def test_a_column_may_say_how_readily_it_is_left_out() -> None:
    table = Table([Column("a"), Column("b", minor=1)], [])
    assert [column.heading for column in table.only([0]).columns] == ["a"]
    assert table.only([0], "a note").notes == ["a note"]
