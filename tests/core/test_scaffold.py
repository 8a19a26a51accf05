"""`geobench plugins new` writes a project whose tests pass as they are."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.registry.scaffold import KINDS


def _geobench(*words: object) -> Result:
    return CliRunner().invoke(main, ["-q", *map(str, words)])


def _generated(folder: Path, *kinds: str) -> Path:
    words = [word for kind in kinds for word in ("--kind", kind)]
    result = _geobench("plugins", "new", "small-waves", *words, "--out", folder / "project")
    assert result.exit_code == 0, result.output
    return folder / "project"


def _python(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the project is installed: its sources, and what pip notes of its hooks."""
    text = (project / "pyproject.toml").read_text("utf-8")
    metadata = tomllib.loads(text)["project"]
    noted = project / "noted" / "small_waves-0.1.0.dist-info"
    noted.mkdir(parents=True, exist_ok=True)
    points = [f"{k} = {v}" for k, v in metadata["entry-points"]["geobench"].items()]
    (noted / "entry_points.txt").write_text("[geobench]\n" + "\n".join(points))
    head = f"Metadata-Version: 2.1\nName: {metadata['name']}\nVersion: {metadata['version']}\n"
    (noted / "METADATA").write_text(head)
    paths = [str(noted.parent), str(project / "src"), *sys.path]
    return subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )


def _check_that_its_tests_pass(project: Path) -> None:
    done = _python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_a_model_passes_its_own_tests_as_generated(tmp_path: Path) -> None:
    """The statistical check that it generates is to six standard errors."""
    _check_that_its_tests_pass(_generated(tmp_path, "model"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "model"])
def test_every_kind_passes_its_own_tests_as_generated(kind: str, tmp_path: Path) -> None:
    """The statistical checks that it generates are to six standard errors."""
    _check_that_its_tests_pass(_generated(tmp_path, kind))


@pytest.mark.slow
def test_a_project_of_all_kinds_passes_its_tests_and_its_study_runs(tmp_path: Path) -> None:
    """The statistical checks that it generates are to six standard errors."""
    project = _generated(tmp_path, *KINDS)
    _check_that_its_tests_pass(project)
    done = _python(project, "-m", "geobench", "-q", "run", "study.yaml", "--json")
    assert done.returncode == 0, done.stderr
    (board,) = json.loads(done.stdout)
    assert "small-waves" in {row["label"] for row in board["rows"]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_study_of_every_kind_is_valid(kind: str, tmp_path: Path) -> None:
    done = _python(_generated(tmp_path, kind), "-m", "geobench", "run", "study.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("to do  dataset")


def test_a_project_holds_what_a_package_needs(tmp_path: Path) -> None:
    project = _generated(tmp_path, *KINDS)
    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    assert metadata["project"]["name"] == "small-waves"
    assert metadata["project"]["entry-points"] == {"geobench": {"small_waves": "small_waves"}}
    steps = yaml.safe_load((project / ".github/workflows/test.yaml").read_text())["jobs"]["test"]
    assert steps["steps"][-1] == {"run": "pytest"}
    files = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert {"README.md", ".gitignore", "study.yaml", "src/small_waves/__init__.py"} <= files
    assert {f"tests/test_{kind}.py" for kind in KINDS} <= files
    marks = [path for path in project.rglob("*") if path.is_file() and "<<" in path.read_text()]
    assert marks == []


@pytest.mark.parametrize("kinds", [[kind] for kind in KINDS] + [list(KINDS)])
def test_the_code_is_tidy(kinds: list[str], tmp_path: Path) -> None:
    project = _generated(tmp_path, *kinds)
    for words in (("check", "--select", "E,F,I,B,UP"), ("format", "--check")):
        ruff = [sys.executable, "-m", "ruff", *words, "--no-cache", "--line-length", "100", "."]
        done = subprocess.run(ruff, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_files_are_listed(tmp_path: Path) -> None:
    result = _geobench("plugins", "new", "one", "--out", tmp_path / "one", "--json")
    told = json.loads(result.stdout)
    assert told["folder"] == str(tmp_path / "one")
    assert str(tmp_path / "one/src/one/model.py") in told["files"]
    assert all(Path(file).is_file() for file in told["files"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fgn", "geobench-twin already offers the model 'fgn'. Choose another name."),
        ("numpy", "a Python module is already called 'numpy'"),
        ("geobench", "a Python module is already called 'geobench'"),
        ("json", "a Python module is already called 'json'"),
        ("class", "'class' cannot name a project"),
        ("Mine", "'Mine' cannot name a project"),
        ("a/b", "'a/b' cannot name a project"),
        ("two--dashes", "'two--dashes' cannot name a project"),
        ("x" * 41, "cannot name a project. Use at most 40"),
    ],
)
def test_a_name_that_is_illegal_or_taken_is_refused(
    name: str, message: str, tmp_path: Path
) -> None:
    result = _geobench("plugins", "new", name, "--out", tmp_path / "new")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    project = _generated(tmp_path, "model")
    (project / "README.md").write_text("mine")
    result = _geobench("plugins", "new", "other-waves", "--out", project)
    assert result.exit_code == 2
    assert "is there already, and nothing was written" in result.stderr
    assert (project / "README.md").read_text() == "mine"
    assert not (project / "src/other_waves").exists()
