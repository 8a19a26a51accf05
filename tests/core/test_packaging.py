"""What is installed is what is meant to be, and strangers' plugins install beside it."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of its own that sees this one's packages."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    here = sysconfig.get_paths()["purelib"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pth = folder / "lib" / version / "site-packages" / "outer.pth"
    pth.write_text(f"import site; site.addsitedir({here!r})\n")
    projects = [ROOT / "tests/third_party", *sorted((ROOT / "tests/third_party_broken").iterdir())]
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    # Copies: a build writes into the project's folder.
    for project in projects:
        copy = folder / "src" / project.name
        subprocess.run(["cp", "-r", project, _made(copy.parent)], check=True)
        subprocess.run([folder / "bin/python", *install, copy], check=True, capture_output=True)
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _run(environment: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [environment / "bin/python", "-m", "geobench", "-q", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, cwd=environment)


@pytest.mark.slow
def test_an_installed_plugin_is_listed_and_broken_ones_are_set_aside(environment: Path) -> None:
    done = _run(environment, "plugins", "list")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    assert "[geobench-drift]" in lines["drift"]
    assert "No module named 'a_package_that_nobody_has'" in lines["geobench-broken-import:"]
    assert "favourite_colour" in lines["geobench-broken-signature:"]
    told = lines["geobench-broken-duplicate:"]
    assert "offers the model 'fgn', which geobench-twin already offers" in told
    assert "Functional generative network" in lines["fgn"]


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
