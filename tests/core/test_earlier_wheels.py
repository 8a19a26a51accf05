"""Plugins that were built before the core was put in order go on working, as they are.

The wheels, and what they use, are described in `tests/third_party_earlier/README.md`.
"""

import os
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

import geobench_catalog
from geobench.cli import main
from geobench.registry import Registry

WHEELS = Path(__file__).parents[1] / "third_party_earlier"
PLUGINS = ("geobench-drift", "geobench-earlier")
OFFERS = {
    ("simulator", "earlier-red-noise"),
    ("model", "drift"),
    ("model", "earlier-regression"),
    ("model", "earlier-truth"),
    ("scorer", "earlier-crps"),
    ("scorer", "earlier-law-crps"),
    ("scorer", "earlier-median"),
    ("scorer", "earlier-spread"),
    ("scorer", "earlier-extremes"),
    ("assimilation", "earlier-nudging"),
    ("experiment", "earlier"),
}
INTERFACES = (
    "assimilation",
    "compiled_noise",
    "experiment",
    "files",
    "law",
    "model",
    "noise",
    "plugin",
    "room",
    "scorer",
    "simulator",
    "state",
    "validation",
)
STUDY = """
experiments:
  earlier: {use: earlier}
models:
  drift: {use: drift, damping: 0.4}
  regression: {use: earlier-regression}
  truth: {use: earlier-truth, note: NOTE}
nfe: [2]
members: 4
scorers: [earlier-crps, earlier-median, earlier-spread, earlier-extremes]
reference: {members: 8}
"""


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what `pip install` makes of the wheels, from which Python imports."""
    folder = tmp_path / "site-packages"
    for wheel in WHEELS.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    monkeypatch.syspath_prepend(folder)
    for module in ("geobench_drift", "geobench_earlier"):  # those of another test's folder
        for name in [own for own in sys.modules if own.partition(".")[0] == module]:
            monkeypatch.delitem(sys.modules, name)
    return folder


def _run(folder: Path, *words: object) -> str:
    start = ("-q", "--catalog", folder / "catalog")
    done = CliRunner().invoke(main, [str(word) for word in (*start, *words)])
    assert done.exit_code == 0, done.output
    assert "set aside" not in done.output
    return done.stdout


@pytest.mark.usefixtures("unpacked")
def test_every_offer_of_an_earlier_wheel_is_listed(tmp_path: Path) -> None:
    registry = Registry()
    found = {key for key, offer in registry.offers.items() if offer.plugin in PLUGINS}
    assert found == OFFERS
    assert "earlier" in registry.commands
    assert registry.set_aside == {}
    listed = _run(tmp_path, "plugins", "list").splitlines()
    for _, name in OFFERS:
        (line,) = (line for line in listed if line.split()[:1] == [name])
        assert line.endswith(tuple(PLUGINS))


@pytest.mark.usefixtures("unpacked")
@pytest.mark.slow
def test_an_earlier_wheel_runs_in_a_study(tmp_path: Path) -> None:
    study, note = tmp_path / "study.yaml", tmp_path / "note.txt"
    note.write_text("a file that counts by its content")
    study.write_text(STUDY.replace("NOTE", str(note)))
    rows = [line.split() for line in _run(tmp_path, "run", study).splitlines()]
    labels = {word for row in rows for word in row}
    assert {"truth*", "drift", "regression", "regression-nfe2", "climatology"} <= labels
    told = _run(tmp_path, "earlier", tmp_path / "catalog").splitlines()
    assert told == [
        "steps 4",
        "plugins True",
        "kinds dataset forecaster forecast score events control",
        "scores 6",
        "shares 6",
    ]
    shown = _run(tmp_path, "plugins", "show", "earlier-spread")
    assert "family: Other scores\n" in shown
    assert "used by studies" not in shown


@pytest.mark.slow
def test_an_earlier_wheel_passes_the_conformance_kit(unpacked: Path, tmp_path: Path) -> None:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs"]
    done = subprocess.run(
        [sys.executable, *words, "geobench_earlier.conformance"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", INTERFACES)
def test_a_module_of_the_contracts_has_its_earlier_name_too(name: str) -> None:
    """Numba's caches of a plugin that was compiled then name `compiled_noise` in that way."""
    earlier, now = (import_module(f"geobench.{of}.{name}") for of in ("interfaces", "contracts"))
    assert earlier is now
    assert now.__name__ == f"geobench.contracts.{name}"


def test_what_never_was_has_no_earlier_name() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"geobench\.contracts\.nothing"):
        import_module("geobench.interfaces.nothing")
    with pytest.raises(AttributeError, match="has no attribute 'NOTHING'"):
        _ = geobench_catalog.NOTHING
