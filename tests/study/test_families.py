"""Scorers say how they are shown; the core knows none of them by name."""

import ast
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from shown_scorer import FILE, STUDY, check_that_gap_is_shown

import geobench
from geobench import FAMILIES
from geobench.cli import main
from geobench.registry import Registry


def _run(folder: Path, *words: object) -> str:
    start = ["-q", "--catalog", folder / "catalog", "--plugin", FILE]
    done = CliRunner().invoke(main, [str(word) for word in (*start, *words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_strangers_scorer_has_a_column_a_family_and_a_figure(tmp_path: Path) -> None:
    check_that_gap_is_shown(tmp_path, partial(_run, tmp_path))


def test_a_curve_that_fails_names_its_scorer(tmp_path: Path) -> None:
    study, plugin = tmp_path / "study.yaml", tmp_path / "gap.py"
    study.write_text(STUDY)
    plugin.write_text(FILE.read_text().replace('means["between"])', 'means["missing"])'))
    start = ["-q", "--catalog", tmp_path / "catalog", "--plugin", plugin]
    words = (["run", study], ["leaderboard", "build", study, "--out", tmp_path / "site"])
    done = [CliRunner().invoke(main, [str(word) for word in [*start, *own]]) for own in words]
    assert [each.exit_code for each in done] == [0, 2]
    assert "the scorer gap: its curve 'gaps' failed with KeyError" in done[1].stderr


def test_every_built_in_scorer_has_a_family_that_geobench_knows() -> None:
    scorers = [offer.value for offer in Registry().offers.values() if offer.kind == "scorer"]
    assert {scorer.name: scorer.family for scorer in scorers if scorer.family not in FAMILIES} == {}


OTHERWISE = {
    ("__init__.py", "reliability"): "a plot",
    ("defects.py", "bias"): "a defect",
    ("difficulty.py", "crps"): "a key of its cards",
    ("drawing.py", "reliability"): "a key of a curve, which any scorer may keep",
    ("difficulty.py", "energy"): "a key of its cards",
    ("figures.py", "crps"): "a key of its cards",
    ("lyapunov.py", "spectrum"): "of exponents",
    ("notes.py", "rmse"): "how good analyses are",
    ("realising.py", "rmse"): "how good analyses are",
    ("scored.py", "reliability"): "a key of a curve, which any scorer may keep",
    ("vocabulary.py", "xskillscore"): "the library, of which records say the version",
}
"""What has the name of a scorer in the core, and means something else."""


def test_the_core_names_no_scorer() -> None:
    names = {name for kind, name in Registry().offers if kind == "scorer"}
    found = {
        (path.name, node.value)
        for path in Path(geobench.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert found == set(OTHERWISE)


@pytest.mark.parametrize("name", ["spread-skill", "spectrum", "law-spectrum", "rank-histogram"])
def test_a_scorer_tells_of_its_curves(name: str) -> None:
    curves = Registry().scorer(name).curves()
    assert curves
    assert all(curve.key and curve.title and curve.caption for curve in curves)
