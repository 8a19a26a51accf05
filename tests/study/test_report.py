"""The report of the study says what the committed score tables say, and nothing else."""

import html
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report() -> ModuleType:
    """The command that writes it."""
    spec = importlib.util.spec_from_file_location("report", ROOT / "studies" / "report.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_number_of_the_report_comes_from_the_score_tables(report: ModuleType) -> None:
    assert report.REPORT.read_text("utf-8") == report.render()


def test_the_text_around_the_tables_holds_no_measured_number() -> None:
    """Decimals are computed; those of versions, links and commands are none."""
    text = (ROOT / "docs" / "results" / "report.md.j2").read_text("utf-8")
    for what in (
        r"\{\{.*?\}\}",
        r"\{%.*?%\}",
        r"\{#.*?#\}",
        r"`[^`]*`",
        r"\]\([^)]*\)",
        r"```.*?```",
    ):
        text = re.sub(what, "", text, flags=re.S)
    assert re.findall(r"\d+[.]\d+", text) == []


def test_another_table_gives_another_report(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = json.loads((report.RESULTS / "site" / "board.json").read_text("utf-8"))
    board = told["boards"][0]
    oracle = [row["label"] for row in board["rows"]].index("oracle")
    board["rows"][oracle]["excess"]["value"] += 1
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "board.json").write_text(json.dumps(told))
    for name in ("report.md.j2", "ablations.json", "ocean_seeds.json", "withdrawn.json"):
        (tmp_path / name).write_bytes((report.RESULTS / name).read_bytes())
    before = report.render()
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert report.render() != before


def test_withdrawn_rows_are_marked_in_every_table(report: ModuleType) -> None:
    """With their reason and without a rank; five models on the ocean, four on the other laws."""
    rows = json.loads((report.RESULTS / "withdrawn.json").read_text("utf-8"))
    text = report.REPORT.read_text("utf-8")
    parts = dict(re.findall(r"\n## (.+?)\n(.*?)(?=\n## |\Z)", text, re.S))
    marked = []
    for heading in ("Extremes", "The whole law", "The price", "The ocean"):
        for line in parts[heading].splitlines():
            found = re.match(r"\| (?:(\S+) )?`([^`]+)`([^|]*)", line)
            if not found or found[2] not in rows:
                continue
            if found[2] != "gaussian" or heading == "The ocean":
                assert rows[found[2]]["reason"] in found[3], line
                assert found[1] in (None, "–"), line
                marked.append(found[2])
            else:
                assert "withdrawn" not in line
    # Two tables of each of four laws, that of prices (which has no analog), two of the ocean.
    assert {label: marked.count(label) for label in rows} == {
        "aifs-crps": 11,
        "mc-dropout": 11,
        "archesweather-gen": 11,
        "analog": 10,
        "gaussian": 2,
    }


def test_no_sentence_uses_a_withdrawn_row(report: ModuleType) -> None:
    """What a member costs may be told; of larger budgets no row is withdrawn."""
    text = (report.RESULTS / report.TEMPLATE).read_text("utf-8")
    used = re.findall(r"\b(\w+)\.(?:row|cell|seed_sd)\(\"([a-z-]+)\"[^}]*?\}", text)
    rows = json.loads((report.RESULTS / "withdrawn.json").read_text("utf-8"))
    boards = {"one": "lorenz95-lorenz95", "sea": "shallow-water-shallow-water"}
    wrong = [
        (board, label)
        for board, label in used
        if label in rows
        and board not in ("abl", "gpu")
        and (rows[label]["boards"] is None or boards.get(board) in rows[label]["boards"])
    ]
    assert wrong == [("sea", "archesweather-gen")]
    assert 'sea.row("archesweather-gen").seconds_per_member' in text


def test_the_site_says_what_is_withdrawn(report: ModuleType) -> None:
    """On the overview, on the pages of each experiment, and on those of the entries."""
    site = report.RESULTS / "site"
    rows = json.loads((report.RESULTS / "withdrawn.json").read_text("utf-8"))
    overview = (site / "index.html").read_text("utf-8")
    assert all(html.escape(row["reason"]) in overview for row in rows.values())
    for page in sorted((site / "experiments").glob("*.html")):
        text = page.read_text("utf-8")
        for label, row in rows.items():
            here = row["boards"] is None or any(
                page.stem.removesuffix("-scores") == board for board in row["boards"]
            )
            assert (html.escape(row["reason"]) in text) == here, (page, label)
            heads = re.findall(
                rf'<th scope="row"[^>]*>(?:<a [^>]*>)?<bdi>{label}</bdi>( <small>\(withdrawn)?',
                text,
            )
            assert heads, (page, label)
            assert all(bool(mark) == here for mark in heads), (page, label)
    for label, row in rows.items():
        for page in sorted((site / "entries").glob(f"*-{label}-s*.html")):
            here = row["boards"] is None or "shallow-water" in page.name
            assert ('id="withdrawn"' in page.read_text("utf-8")) == here, page


def test_a_board_is_asked_by_names(report: ModuleType) -> None:
    estimate = {"value": 0.5, "low": 0.25, "high": None}
    cell = {"score": estimate, "excess": {"value": 0.125, "low": 0.0, "high": 1.0}, "share": None}
    row = {"label": "a", "excess": estimate}
    told = {
        "rows": [row, {"label": "b", "excess": {"value": 0.25}}],
        "columns": [{"name": "CRPS", "cells": [[cell, cell], [cell, cell]]}],
        "lead_hours": [24.0, 48.0],
        "models": [{"label": "a", "seed_sd": 0.75}],
    }
    board = report.Board(told)
    assert board.cell("b", "CRPS", 2) is cell
    assert board.mean("a", "CRPS") == 0.125
    assert board.best(["a", "b"]) == "b"
    assert (board.seed_sd("a"), str(board.seed_sd("b"))) == (0.75, "nan")
    with pytest.raises(ValueError, match="not in list"):
        board.cell("a", "CRPS", 3)
    assert report.interval(estimate, 2) == "0.50 [0.25, –]"
    assert report.interval(None) == "–"
    assert report.number(-1234.5678, 1) == "−1,234.6"
    assert report.number(-0.0001, 2) == "0.00"
    assert report.table(["m", "x"], [["a", "1"]]).splitlines()[1:] == [
        "| --- | ---: |",
        "| a | 1 |",
    ]


def test_the_site_of_the_study_is_light_enough_to_send(report: ModuleType) -> None:
    files = [path for path in (report.RESULTS / "site").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15e6
