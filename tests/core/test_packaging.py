"""What is installed is what is meant to be, and strangers' plugins install beside it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import nbclient
import nbformat
import pytest
import shown_scorer

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_three_packages(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "geobench",
        "geobench_plugins",
        "geobench_catalog",
    }
    assert "geobench/tables/templates/table.html" in names
    assert "geobench/site/templates/board.html" in names
    assert "geobench/site/assets/site.js" in names
    assert "geobench_plugins/experiments/lorenz95.yaml" in names
    assert "geobench/study/new.yaml" in names
    published = {name for name in names if name.startswith("geobench/study/published_files/")}
    assert {Path(name).name for name in published} == {p.name for p in ROOT.glob("studies/*.yaml")}
    assert all(f"{package}/py.typed" in names for package in top if "." not in package)


STUDY = """
experiments:
  tiny:
    use: lorenz95
    spin_up: 5
    train: {trajectories: 10, steps: 10}
    validation: {trajectories: 2, steps: 10}
    test: {trajectories: 8}
    leads: 2
models:
  climatology: {use: climatology}
  drift: {use: drift, damping: 0.4}
members: 4
scorers: [crps]
reference: {members: 4}
"""


PROJECTS = (
    ROOT / "tests/third_party",
    shown_scorer.PROJECT,
    *sorted((ROOT / "tests/third_party_broken").iterdir()),
)
OF_GEOBENCH = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "geobench",
    "plugins/geobench_plugins",
    "catalog/geobench_catalog",
    "studies",
)
"""What geobench's own wheel is built from."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with wheels of geobench and of plugins; it sees all other packages."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    here = sysconfig.get_paths()["purelib"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pth = folder / "lib" / version / "site-packages" / "outer.pth"
    pth.write_text(f"import site; site.addsitedir({here!r})\n")
    # Copies: a build writes into the project's folder.
    sources = [folder / "src/geobench", *(folder / "src" / each.name for each in PROJECTS)]
    for part in OF_GEOBENCH:
        _copy(ROOT / part, sources[0] / part)
    for project, source in zip(PROJECTS, sources[1:], strict=True):
        _copy(project, source)
    wheels = folder / "wheels"
    _pip(folder, "wheel", "--no-build-isolation", "--wheel-dir", wheels, *sources)
    # The outer geobench has the same version, so pip must not take it for this one.
    _pip(folder, "install", "--ignore-installed", *sorted(wheels.iterdir()))
    return folder


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _pip(environment: Path, *words: object) -> None:
    command, *rest = map(str, words)
    pip = [environment / "bin/python", "-m", "pip", command, "--quiet", "--no-deps"]
    subprocess.run([*pip, *rest], check=True, capture_output=True, env=_without_path())


def _without_path() -> dict[str, str]:
    """The environment, but for folders that Python would take geobench from before its wheel."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def _python(environment: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment / "bin/python", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=environment,
        env=_without_path(),
    )


def _run(environment: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return _python(environment, "-m", "geobench", "-q", *words)


@pytest.mark.slow
@pytest.mark.parametrize("source", OF_GEOBENCH[3:6])
def test_what_runs_is_the_wheel_of_these_sources(environment: Path, source: str) -> None:
    package = Path(source).name
    done = _python(environment, "-c", f"import {package}; print({package}.__file__)")
    file = Path(done.stdout.strip())
    assert file.is_relative_to(environment / "lib")
    assert _sources(file.parent) == _sources(ROOT / source)


def _sources(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}


@pytest.mark.slow
def test_an_installed_plugin_is_listed_and_broken_ones_are_set_aside(environment: Path) -> None:
    done = _run(environment, "plugins", "list")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    assert lines["drift"].endswith("  geobench-drift")
    assert "No module named 'a_package_that_nobody_has'" in lines["geobench-broken-import"]
    assert "favourite_colour" in lines["geobench-broken-signature"]
    told = lines["geobench-broken-duplicate"]
    assert "offers the model 'fgn', which geobench-twin already offers" in told
    assert "Functional generative network" in lines["fgn"]


@pytest.mark.slow
def test_a_published_study_comes_with_the_wheel(environment: Path, tmp_path: Path) -> None:
    done = _run(environment, "--catalog", tmp_path / "none", "run", "quick", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("to do  dataset")


@pytest.mark.slow
def test_an_installed_plugin_runs_in_a_study(environment: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    done = _run(environment, "--catalog", tmp_path / "catalog", "run", study)
    assert done.returncode == 0, done.stderr
    assert "drift" in done.stdout
    aside = [line for line in done.stderr.splitlines() if "is set aside" in line]
    assert len(aside) == 3
    shown = _run(environment, "plugins", "show", "drift")
    assert "damping: float, default 0.3  share of the last change that goes on" in shown.stdout


@pytest.mark.slow
def test_a_scorer_in_a_wheel_has_a_column_a_family_and_a_figure(
    environment: Path, tmp_path: Path
) -> None:
    def run(*words: object) -> str:
        done = _run(environment, "--catalog", tmp_path / "catalog", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (line,) = (line for line in run("plugins", "list").splitlines() if line.startswith("  gap "))
    assert line.endswith("  geobench-gap")
    shown_scorer.check_that_gap_is_shown(tmp_path, run)


NOTEBOOK = ROOT / "docs/notebooks/first_steps.ipynb"


@pytest.mark.slow
def test_the_first_notebook_runs_in_an_empty_folder_with_the_wheel_alone(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("PATH", str(environment / "bin"), prepend=os.pathsep)
    kernel = [environment / "bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = tmp_path / "jupyter/kernels/wheel/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": list(map(str, kernel)), "display_name": "the wheel"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    folder = tmp_path / "empty"
    folder.mkdir()
    notebook = nbformat.read(NOTEBOOK, 4)
    first = nbformat.v4.new_code_cell("import geobench; print(geobench.__file__)")
    notebook.cells.insert(0, first)
    client = nbclient.NotebookClient(
        notebook, kernel_name="wheel", timeout=900, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()  # raises if a cell does
    assert first["outputs"][0]["text"].startswith(str(environment / "lib"))
    assert (folder / "site/index.html").exists()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    done = _run(environment, "--catalog", folder / "catalog", "catalog", "list", "--json")
    listed = {entry["reference"] for entry in json.loads(done.stdout)}
    assert {"forecaster/lorenz95.fgn.s0@1", "forecaster/lorenz95.mine.s0@1"} <= listed
