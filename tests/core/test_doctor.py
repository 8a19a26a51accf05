"""geobench doctor finds what is wrong, names what helps, and falls over nothing."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.registry import health
from geobench_catalog import Catalog
from geobench_catalog.local_store import LocalStore


def _doctor(catalog: Path | str, *words: str, options: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(main, ["--catalog", str(catalog), *options, "doctor", *words])


def _checks(catalog: Path | str, *options: str) -> tuple[int, dict[str, list[Any]]]:
    """Exit code, and what was found by name of the check."""
    result = _doctor(catalog, "--json", options=options)
    found: dict[str, list[Any]] = {}
    for check in json.loads(result.stdout):
        found.setdefault(check["check"], []).append(check)
    return result.exit_code, found


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A dataset, and a forecaster made from it."""
    catalog = Catalog(tmp_path / "catalog", create=True)
    data = xr.Dataset({"q": ("x", np.zeros(3, np.float32))})
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.write(data)
        dataset = draft.publish()
    with catalog.draft("forecaster", "a.b", recipe={}, parents={"dataset": dataset}) as draft:
        draft.write(data)
        draft.publish()
    return catalog.path


def test_all_is_well(catalog: Path) -> None:
    result = _doctor(catalog)
    assert result.exit_code == 0, result.output
    *lines, last = result.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    assert last.startswith(
        f"{len(lines)} checks: 0 failed, 0 to look at. 'geobench catalog verify'"
    )
    assert "schema 2: dataset 1, forecaster 1" in result.stdout
    assert "geobench-twin" in result.stdout
    _, found = _checks(catalog)
    assert list(found) == [
        "project", "setting", "python", "packages", "device", "threads", "plugin",
        "catalog", "writing", "references", "lineage", "index", "leftovers", "space",
    ]  # fmt: skip
    assert list((catalog / "tmp").iterdir()) == []  # it leaves nothing behind


def test_without_a_catalog_the_rest_is_checked(tmp_path: Path) -> None:
    code, found = _checks(tmp_path / "none")
    assert code == 0
    assert found["catalog"][0]["state"] == "warn"
    assert "geobench simulate" in found["catalog"][0]["cure"]
    assert "writing" not in found
    assert not (tmp_path / "none").exists()


def _no_mark(catalog: Path) -> None:
    (catalog / "geobench-catalog.json").unlink()


def _strange_mark(catalog: Path) -> None:
    (catalog / "geobench-catalog.json").write_bytes(b"\xff{")


def _later_schema(catalog: Path) -> None:
    (catalog / "geobench-catalog.json").write_text('{"schema": 99}')


def _a_file(catalog: Path) -> None:
    shutil.rmtree(catalog)
    catalog.write_text("x")


def _lost_entry(catalog: Path) -> None:
    shutil.rmtree(Catalog(catalog).get("dataset/a@1").path)


def _strange_reference(catalog: Path) -> None:
    (catalog / "refs/dataset/a@1").write_text("nothing")


def _lost_parent(catalog: Path) -> None:
    (catalog / "refs/dataset/a@1").unlink()


def _strange_record(catalog: Path) -> None:
    (Catalog(catalog).get("dataset/a@1").path / "record.json").write_text("{}")


def _strange_alias(catalog: Path) -> None:
    (catalog / "aliases/dataset").mkdir(parents=True)
    (catalog / "aliases/dataset/a@paper").write_text("nothing")


@pytest.mark.parametrize(
    ("harm", "check", "told"),
    [
        (_no_mark, "catalog", "is not a catalog (it has no geobench-catalog.json)"),
        (_strange_mark, "catalog", "cannot be read"),
        (_later_schema, "catalog", "schema 99"),
        (_a_file, "catalog", "is not a catalog"),
        (_lost_entry, "references", "dataset/a@1 points at an entry that is not there"),
        (_strange_reference, "references", "is damaged; it holds 'nothing'"),
        (_lost_parent, "lineage", "forecaster/a.b@1 was made from dataset/a@1, which is not here"),
        (_strange_record, "index", "its record.json cannot be read"),
        (_strange_alias, "references", "dataset/a@paper"),
    ],
)
def test_what_is_broken_fails_and_is_told(
    catalog: Path, harm: Callable[[Path], None], check: str, told: str
) -> None:
    harm(catalog)
    code, found = _checks(catalog)
    assert code == 1
    (failed,) = found[check]
    assert failed["state"] == "fail"
    assert told in failed["found"]


def test_leftovers_are_measured(catalog: Path) -> None:
    (catalog / "tmp/debris").write_bytes(bytes(1234))
    (catalog / "work/half").mkdir(parents=True)
    (catalog / "work/half/checkpoint").write_bytes(bytes(2000))
    code, found = _checks(catalog)
    assert code == 0
    debris, stopped = found["leftovers"]
    assert "died processes left 1 piece, 1.2 kB (debris)" in debris["found"]
    assert debris["cure"] == "geobench catalog gc"
    assert "stopped work left 1 piece, 2.0 kB (half)" in stopped["found"]
    assert "run the same again" in stopped["cure"]
    assert (catalog / "work/half/checkpoint").exists()


def test_an_index_that_is_damaged_or_behind_is_no_obstacle(catalog: Path) -> None:
    _checks(catalog)
    index = catalog / "index.sqlite"
    index.write_bytes(index.read_bytes()[:5000])
    code, found = _checks(catalog)
    assert (code, found["index"][0]["state"]) == (0, "ok")
    # A reference that was restored from elsewhere names another entry than the index has.
    ids = [path.name for path in (catalog / "entries").iterdir()]
    reference = catalog / "refs/dataset/a@1"
    own = reference.read_text().split()[0]
    reference.write_text(f"{next(each for each in ids if each != own)} dataset/a@1")
    _, found = _checks(catalog)
    assert (found["index"][0]["state"], found["index"][0]["cure"]) == (
        "warn", "geobench catalog reindex",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "reason", "state", "expected"),
    [
        (errno.EROFS, "Read-only file system", "warn", 0),
        (errno.EACCES, "Permission denied", "warn", 0),
        (errno.ENOSPC, "No space left on device", "fail", 1),
    ],
)
def test_a_catalog_that_is_for_reading_warns_and_a_full_disk_fails(
    catalog: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    reason: str,
    state: str,
    expected: int,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, reason)

    monkeypatch.setattr(LocalStore, "create", refuse)
    code, found = _checks(catalog)
    assert code == expected
    assert found["writing"][0]["state"] == state
    assert reason in found["writing"][0]["found"]


def test_plugins_and_devices_that_fail_are_named(tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text("import no_such_module")
    code, found = _checks(tmp_path / "none", "--plugin", str(plugin), "--device", "cudda")
    assert code == 1
    assert found["plugin"][0]["state"] == "ok"
    assert "broken.py is set aside: No module named 'no_such_module'" in found["plugin"][1]["found"]
    assert found["device"][0]["state"] == "fail"
    assert "'cudda' cannot be used" in found["device"][0]["found"]


def test_a_check_that_falls_over_is_a_finding(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(*_: object) -> None:
        raise ZeroDivisionError("never\nexpected")

    monkeypatch.setattr(Catalog, "resolve", fall)
    monkeypatch.setattr(health, "_version", fall)
    result = _doctor(catalog)
    assert result.exit_code == 1
    assert "fail  index       ZeroDivisionError: never expected" in result.stdout
    assert "fail  software    ZeroDivisionError: never expected" in result.stdout
    assert "ok    writing" in result.stdout


def test_a_requirement_that_is_not_met_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"geobench-twin": "0.1.0", "click": "8.0", "geobench": "1.2"}
    monkeypatch.setattr(health, "_version", lambda name: versions.get(name, "9999"))
    code, found = _checks(tmp_path / "none")
    assert code == 1
    unmet, other = found["packages"]
    assert "click>=8.2 is asked for, and 8.0 is installed" in unmet["found"]
    assert unmet["cure"] == "python -m pip install 'click>=8.2'"
    assert "geobench 1.2 is another project" in other["found"]


def test_a_copy_that_is_not_installed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"click": "8.3"}
    monkeypatch.setattr(health, "_version", versions.get)
    code, found = _checks(tmp_path / "none")
    (packages,) = found["packages"]
    assert (code, packages["state"]) == (1, "fail")
    assert packages["found"].startswith("geobench-twin is not installed")
    assert packages["cure"] == "install it: python -m pip install -e ."


def test_every_gpu_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", "H200 {}".format)
    _, found = _checks(tmp_path / "none")
    (device,) = found["device"]
    assert "torch can use cpu, cuda:0 (H200 0), cuda:1 (H200 1)" in device["found"]


def test_a_gpu_that_torch_was_not_built_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(health, "_NVIDIA", tmp_path)
    code, found = _checks(tmp_path / "none")
    warned, fine = found["device"]
    assert code == 0
    assert (warned["state"], fine["state"]) == ("warn", "ok")
    assert "has no CUDA" in warned["found"]
    assert "build of torch with CUDA" in warned["cure"]


def test_more_threads_than_processors_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba, "get_num_threads", lambda: 4096)
    code, found = _checks(tmp_path / "none")
    (threads,) = found["threads"]
    assert (code, threads["state"]) == (0, "warn")
    assert "numba 4096" in threads["found"]
    assert threads["cure"].startswith("set OMP_NUM_THREADS and NUMBA_NUM_THREADS to")
