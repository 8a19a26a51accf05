"""Scores against draws of the law: in a study, and by hand."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench_catalog import Catalog
from geobench_plugins.scorers.crps import CRPS


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def _geobench(catalog: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--quiet", "--catalog", str(catalog), *words])


def test_a_study_compares_with_its_reference(study: Path, catalog: Path) -> None:
    fields = yaml.safe_load(study.read_text()) | {
        "models": {"oracle": {"use": "oracle"}, "climatology": {"use": "climatology"}},
        "scorers": ["crps", "law-crps", "law-spread"],
    }
    study.write_text(yaml.safe_dump(fields))
    ran = _geobench(catalog, "run", str(study))
    assert ran.exit_code == 0, ran.output
    (board,) = json.loads(_geobench(catalog, "leaderboard", str(study), "--json").stdout)
    names = [column["name"] for column in board["columns"]]
    assert names == ["CRPS", "excess CRPS", "spread over the law's"]
    sources = [column["excess_from"] for column in board["columns"]]
    assert sources == ["law-crps", "law-crps", "law-spread"]
    labels = [row["label"] for row in board["rows"]]
    first = {
        name: dict(zip(labels, (cells[0] for cells in column["cells"]), strict=True))
        for name, column in zip(names, board["columns"], strict=True)
    }
    # What lies between a model and the law is its score; the law itself has none.
    for cell in first["excess CRPS"].values():
        assert cell["score"] == cell["excess"]
    for cell in first["spread over the law's"].values():  # 0 is best: its excess is its size
        assert cell["excess"]["value"] == abs(cell["score"]["value"])
    oracle, climatology = (first["excess CRPS"][label]["score"] for label in labels[:2])
    assert abs(oracle["value"]) < climatology["value"] / 20
    assert oracle["low"] < 0 < oracle["high"]
    # By one outcome or by draws of the law: the same expectation.
    by_outcome = first["CRPS"]["climatology"]["excess"]
    assert by_outcome["low"] < climatology["value"] < by_outcome["high"]
    done = _geobench(catalog, "run", str(study), "--dry-run").stdout
    assert "to do" not in done


def _board(catalog: Path, study: Path, *words: str) -> dict[str, Any]:
    shown = _geobench(catalog, "leaderboard", str(study), "--json", *words)
    assert shown.exit_code == 0, shown.output
    (board,) = json.loads(shown.stdout)
    return cast("dict[str, Any]", board)


def _cells(board: dict[str, Any], column: int) -> dict[str, list[dict[str, Any]]]:
    labels = [row["label"] for row in board["rows"]]
    return dict(zip(labels, board["columns"][column]["cells"], strict=True))


def test_a_study_run_without_law_forms_gets_them_and_nothing_else(
    study: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = yaml.safe_load(study.read_text()) | {
        "models": {"oracle": {"use": "oracle"}, "climatology": {"use": "climatology"}},
    }
    study.write_text(yaml.safe_dump(fields))
    with monkeypatch.context() as before:
        before.setattr(CRPS, "law_form", lambda _self: None)
        assert _geobench(catalog, "run", str(study)).exit_code == 0
        by_outcome = _board(catalog, study)
    kept = {entry.id for entry in Catalog(catalog).entries()}

    # The board still works, by the outcome, and says what is missing; it writes nothing.
    old = _board(catalog, study)
    (told,) = (note for note in old["notes"] if "missing" in note)
    assert told.startswith("Scores against the true distribution are missing (law-crps). Run ")
    assert old["columns"] == by_outcome["columns"]
    assert old["rows"] == by_outcome["rows"]
    assert {entry.id for entry in Catalog(catalog).entries()} == kept
    plan = _geobench(catalog, "run", str(study), "--dry-run").stdout.splitlines()
    assert [line.split()[-1] for line in plan if line.startswith("to do")] == [
        "tiny.climatology.s0.law-crps",
        "tiny.oracle.s0.law-crps",
    ]

    assert _geobench(catalog, "run", str(study)).exit_code == 0
    added = [entry for entry in Catalog(catalog).entries() if entry.id not in kept]
    assert sorted(str(entry.reference) for entry in added) == [
        "score/tiny.climatology.s0.law-crps@1",
        "score/tiny.oracle.s0.law-crps@1",
    ]
    new = _board(catalog, study)
    assert [column["name"] for column in new["columns"]] == ["CRPS", "spread/skill"]
    assert [column["excess_from"] for column in new["columns"]] == ["law-crps", "outcome"]
    assert any("8 draws of the true distribution per case: crps" in each for each in new["notes"])
    # The score stays that against the outcome, excess and skill are the law form's.
    scores = {
        entry.record.labels["model"]: entry.record.summary["scores"]["excess CRPS"]
        for entry in added
    }
    for label, cells in _cells(new, 0).items():
        before_cells = _cells(by_outcome, 0)[label]
        for cell, earlier, value in zip(cells, before_cells, scores[label], strict=True):
            assert cell["score"] == earlier["score"]
            assert cell["excess"]["value"] == pytest.approx(value, rel=1e-6)
            widths = [each["excess"]["high"] - each["excess"]["low"] for each in (cell, earlier)]
            if label == "oracle":  # climatology's interval is of the cases, not of one outcome
                assert widths[0] < widths[1] / 2
    gaps = scores["climatology"]
    for cell, own, gap in zip(_cells(new, 0)["oracle"], scores["oracle"], gaps, strict=True):
        assert cell["skill"]["value"] == pytest.approx(1 - own / gap, rel=1e-6)
    rows = {row["label"]: row["excess"]["value"] for row in new["rows"]}
    assert rows["climatology"] == pytest.approx(sum(gaps) / len(gaps), rel=1e-6)

    # A guest is scored by the law form, too.
    drawn = _geobench(catalog, "forecast", "forecaster/tiny.oracle.s0@1", "--members", "5",
                      "--seed", "7")  # fmt: skip
    assert drawn.exit_code == 0, drawn.output
    guest = drawn.stdout.split()[0]
    with_guest = _board(catalog, study, "--with", guest)
    assert len(with_guest["rows"]) == len(new["rows"]) + 1
    assert with_guest["columns"][0]["excess_from"] == "law-crps"


def test_the_law_is_asked_for(ran: Path) -> None:
    catalog = ran
    (drawn,) = (
        line.split()[0]
        for line in _geobench(catalog, "catalog", "list", "--kind", "forecast").stdout.splitlines()
        if ".climatology." in line
    )
    refused = _geobench(catalog, "score", drawn, "--scorer", "law-crps")
    assert refused.exit_code == 2
    assert refused.output.count("\n") == 1
    assert "the scorer law-crps compares with the true law. Name a forecast of it (--law)" in (
        refused.output
    )
    law = drawn.replace(".climatology.s0", ".reference.s1000000")
    scored = _geobench(catalog, "score", drawn, "--scorer", "law-crps", "--law", law)
    assert scored.exit_code == 0, scored.output
    assert "excess CRPS" in scored.stdout
    unlawful = _geobench(catalog, "score", law, "--scorer", "law-crps", "--law", drawn)
    assert unlawful.exit_code == 2
    assert f"{drawn} is not of the law. Name a forecast of a model that is given it" in (
        unlawful.output
    )


def test_what_scorers_notice_is_told(study: Path, catalog: Path) -> None:
    fields = yaml.safe_load(study.read_text()) | {"models": {"oracle": {"use": "oracle"}}}
    study.write_text(yaml.safe_dump(fields))
    assert _geobench(catalog, "run", str(study)).exit_code == 0
    law = "forecast/tiny.reference.s1000000@1"
    told = _geobench(catalog, "scorers", "power", law, "--members", "4", "--scorer", "crps")
    assert told.exit_code == 0, told.output
    header, _, row, foot = told.stdout.splitlines()
    assert header.split()[:3] == ["score", "none", "bias"]
    assert row.split()[0] == "CRPS"
    assert len(row.split()) == len(header.split())
    assert (
        foot == "Fraction of 2 pairs in which a test at 5 % notices the defect; none: false alarms."
    )
    words = ("scorers", "power", law, "--members", "4", "--scorer", "crps", "--json")
    found = json.loads(_geobench(catalog, *words).stdout)
    assert {each["defect"] for each in found} >= {"none", "shuffled"}
    refused = _geobench(catalog, "scorers", "power", "forecast/tiny.climatology.s0@1")
    assert refused.exit_code == 2
    assert "is not of the law. Name a forecast of a model that is given it" in refused.output


def test_a_forecast_is_tested_against_the_law(study: Path, catalog: Path) -> None:
    fields = yaml.safe_load(study.read_text()) | {"models": {"oracle": {"use": "oracle"}}}
    study.write_text(yaml.safe_dump(fields))
    assert _geobench(catalog, "run", str(study)).exit_code == 0
    law = "forecast/tiny.reference.s1000000@1"
    words = ("--scorer", "crps", "--scorer", "law-crps", "--exchanges", "19")
    told = _geobench(catalog, "test", "forecast/tiny.climatology.s0@1", "--law", law, *words)
    assert told.exit_code == 0, told.output
    header, _, crps, excess, foot = told.stdout.splitlines()
    assert header.split() == ["score", "the", "law", "p", "q"]
    assert crps.split()[-2] == excess.split()[-2] == "0.050"
    assert foot.startswith("Means over lead times; 19 exchanges")
    same = _geobench(catalog, "test", law, "--law", law, *words)
    assert same.exit_code == 2
    assert "have the same noise (seed 1000000)" in same.output
    unlawful = ("test", law, "--law", "forecast/tiny.climatology.s0@1", *words)
    assert "is not of the law" in _geobench(catalog, *unlawful).output
