"""Scores against draws of the law: in a study, and by hand."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from geobench.cli import main


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
    labels = [row["label"] for row in board["rows"]]
    first = {
        name: dict(zip(labels, (cells[0] for cells in column["cells"]), strict=True))
        for name, column in zip(names, board["columns"], strict=True)
    }
    # What lies between a model and the law is its score; the law itself has none.
    for name in names[1:]:
        for cell in first[name].values():
            assert cell["score"] == cell["excess"]
    oracle, climatology = (first["excess CRPS"][label]["score"] for label in labels[:2])
    assert abs(oracle["value"]) < climatology["value"] / 20
    assert oracle["low"] < 0 < oracle["high"]
    # By one outcome or by draws of the law: the same expectation.
    by_outcome = first["CRPS"]["climatology"]["excess"]
    assert by_outcome["low"] < climatology["value"] < by_outcome["high"]
    done = _geobench(catalog, "run", str(study), "--dry-run").stdout
    assert "to do" not in done


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
    header, row, foot = told.stdout.splitlines()
    assert header.split()[:2] == ["none", "bias"]
    assert row.startswith("CRPS ")
    assert foot == "Share of 2 pairs noticed at 5 %; none: false alarms."
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
    header, crps, excess, foot = told.stdout.splitlines()
    assert header.split() == ["score", "the", "law", "p", "q"]
    assert crps.split()[-2] == excess.split()[-2] == "0.050"
    assert foot.startswith("Means over lead times; 19 exchanges")
    same = _geobench(catalog, "test", law, "--law", law, *words)
    assert same.exit_code == 2
    assert "have the same noise (seed 1000000)" in same.output
    unlawful = ("test", law, "--law", "forecast/tiny.climatology.s0@1", *words)
    assert "is not of the law" in _geobench(catalog, *unlawful).output
