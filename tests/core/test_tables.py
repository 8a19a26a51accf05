"""One table, in every place that shows it."""

import csv as stdlib_csv
import io
import json as stdlib_json
import re
from typing import Any

import numpy as np
import pytest

from geobench.statistics.estimates import Estimate
from geobench.tables import csv, json, latex, markdown, terminal
from geobench.tables.html import html
from geobench.tables.numbers import count_cell, interval_cell, number, number_cell, small
from geobench.tables.table import Cell, Column, Remark, Row, Table
from geobench_catalog.json_values import json_values

EVIL = "<b>|_{$&\\ \x1b[31m\u202e=1+1"
LONG = "a long name of many words that a narrow terminal has no room for"


def _table() -> Table:
    """A name, a number with its interval, a count and a command, for two entries."""
    excess = Estimate(0.01234567891, -0.5, 1234.5)
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    return Table.of_columns(
        [
            (
                Column("model", "left", key="model"),
                [
                    Cell(EVIL, EVIL, remarks=[Remark("imported")], link="one.html"),
                    Cell(LONG, LONG, small=["8 members"]),
                ],
            ),
            (
                Column("excess", interval=True, key="excess", end_keys=("low", "high")),
                [interval_cell(excess, 4, ["best"]), interval_cell(nothing, 4)],
            ),
            (Column("members", units="1", key="members"), [count_cell(12345), count_cell(None)]),
            (Column("command", "left", code=True), [Cell("one\ntwo"), Cell("three")]),
        ],
        "A <title>",
        ["A note."],
    )


def test_a_cell_on_one_line_has_its_interval_and_its_remarks() -> None:
    printed = terminal.text(_table())
    assert "0.0123 [−0.5000, 1,234.5000]" in printed
    assert " – imported" in printed
    assert "excess [95 %]" in printed
    assert "members, 1" in printed
    assert printed.splitlines()[0] == "A <title>"
    assert printed.rstrip().endswith("A note.")


def test_no_number_is_cut_in_a_narrow_terminal() -> None:
    printed = terminal.text(_table(), piped=30)
    assert "0.0123 [−0.5000, 1,234.5000]" in printed
    assert "12,345" in printed
    assert LONG not in printed  # it goes on in further lines
    assert printed.count("narrow") == 1


def test_a_terminal_obeys_no_name() -> None:
    assert "\x1b" not in terminal.text(_table())
    assert "\u202e" not in terminal.text(_table())


def test_markdown_keeps_names_as_text_and_marks_the_best() -> None:
    written = markdown.text(_table())
    lines = written.splitlines()
    assert lines[1] == "| :-- | --: | --: | :-- |"
    assert lines[2].startswith(r"| \<b\>\|\_\{$&\\ ")
    assert "**0.0123 \\[−0.5000, 1,234.5000\\]**" in lines[2]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines[:4])
    assert lines[-1] == r"A \<title\>. A note."


def test_latex_keeps_names_as_text_and_marks_the_best() -> None:
    written = latex.text(_table())
    assert r"\begin{tabular}{lrrl}" in written
    assert r"\textless{}b\textgreater{}|\_\{\$\&\textbackslash{}" in written
    assert r"\textbf{0.0123 [$-$0.5000, 1,234.5000]}" in written
    assert r"\caption{A \textless{}title\textgreater{}. A note.}" in written


def test_csv_holds_values_and_ends_of_intervals_with_eight_digits() -> None:
    lines = list(stdlib_csv.DictReader(io.StringIO(csv.text(_table()))))
    assert [line["excess"] for line in lines] == ["0.012345679", ""]
    assert [line["low"] for line in lines] == ["-0.5", ""]
    assert [line["high"] for line in lines] == ["1234.5", ""]
    assert [line["members"] for line in lines] == ["12345", ""]
    assert "command" not in lines[0]  # it has no key


def test_json_holds_the_same_values_in_full() -> None:
    first, second = json.records(_table())
    assert first == {
        "model": EVIL, "excess": 0.01234567891, "low": -0.5, "high": 1234.5, "members": 12345
    }  # fmt: skip
    assert second["members"] is second["low"] is None


def test_a_page_escapes_and_isolates_names_and_says_what_it_sorts_by() -> None:
    page = html(_table(), "A region", sortable=True)
    assert "<b>" not in page
    assert '<th scope="row"><a href="one.html"><bdi>&lt;b&gt;' in page
    assert '<span class="tag">imported</span>' in page
    best = '<td class="best" data-sort="0.012345679">0.0123<small>−0.5000 to 1,234.5000</small>'
    assert best in page
    assert '<td data-sort="">–</td>' in page
    assert "<small>8 members</small>" in page
    assert "<code>one</code><br><code>two</code>" in page
    assert 'aria-label="A region"' in page
    assert re.findall(r'data-kind="(\w+)"', page) == [
        "text", "number", "number", "text"
    ]  # fmt: skip


def test_markup_in_a_table_is_written_as_it_is() -> None:
    from markupsafe import Markup

    table = Table([Column("drawn", "left")], [Row([Cell(Markup("<i>drawn</i>"))])])
    assert "<i>drawn</i>" in html(table)


def test_the_first_column_names_the_rows_unless_another_does() -> None:
    columns = [Column("rank"), Column("model", "left", names_rows=True)]
    rows = [Row([Cell("1"), Cell("fgn")])]
    assert '<td>1</td><th scope="row"><bdi>fgn</bdi></th>' in html(Table(columns, rows))
    rows_named_first = Table([columns[0], Column("model", "left")], rows)
    assert '<th scope="row">1</th><td class="left"><bdi>fgn</bdi></td>' in html(rows_named_first)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (number_cell(-0.0004, 3), "0.000"),
        (number_cell(float("inf")), "–"),
        (count_cell(1234567), "1,234,567"),
        (interval_cell(None), "–"),
    ],
)
def test_cells_are_written_for_people(cell: Cell, written: str) -> None:
    assert cell.text == written


def test_a_small_number_keeps_two_digits() -> None:
    assert small(0.00001234) == "0.000012"
    assert small(12.3) == number(12.3, 4) == "12.3000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        ({1: (np.float32(0.5), np.inf)}, {"1": [0.5, None]}),
        (Estimate(1.0, float("-inf"), 2.0), {"value": 1.0, "low": None, "high": 2.0}),
        (np.arange(3), [0, 1, 2]),
        (True, True),
    ],
)
def test_json_values_are_what_every_reader_takes(value: Any, expected: Any) -> None:
    made = json_values(value)
    assert made == expected
    stdlib_json.dumps(made, allow_nan=False)


def test_json_in_a_page_ends_no_script() -> None:
    assert "<" not in json.in_page({"name": "</script>"})
    assert stdlib_json.loads(json.in_page({"name": "</script>"})) == {"name": "</script>"}
