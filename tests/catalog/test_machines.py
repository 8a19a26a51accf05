"""Disks that fail, clocks that go back, file systems without locks."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_entries import family, publish

from geobench.cli import main
from geobench_catalog import Catalog, CatalogError, held_folders, local_store
from geobench_catalog.claims import Claims
from geobench_catalog.removal import collect
from geobench_catalog.verification import verify


def _cli(catalog: Catalog, *words: object) -> Result:
    result = CliRunner().invoke(main, ["--catalog", catalog.url, *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.stderr.count("\n") <= 3, result.stderr
    return result


def _well(catalog: Catalog) -> bool:
    return not any(finding.problems for finding in verify(Catalog(catalog.path)))


# -- input and output errors


def _unreadable(patch: pytest.MonkeyPatch, bad: Path) -> None:
    """Reading a file gives EIO, from the system itself: address 0 of this process."""
    opened: Any = os.open
    opened_path: Any = Path.open

    def open_it(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if isinstance(path, (str, os.PathLike)) and os.path.abspath(path) == str(bad):  # noqa: PTH100
            return int(opened("/proc/self/mem", os.O_RDONLY))
        return int(opened(path, flags, *rest, **more))

    def plain(path: str, flags: int) -> int:
        return open_it(path, flags | os.O_NONBLOCK)

    def path_open(path: Path, *how: Any, **more: Any) -> Any:
        return opened_path(Path("/proc/self/mem") if path == bad else path, *how, **more)

    patch.setattr(os, "open", open_it)
    patch.setattr(local_store, "_plain", plain)
    patch.setattr(Path, "open", path_open)  # by which Zarr reads


def test_the_stand_in_for_a_bad_disk_gives_the_error_of_one(tmp_path: Path) -> None:
    handle = os.open("/proc/self/mem", os.O_RDONLY)
    with pytest.raises(OSError, match="Input/output error"):
        os.read(handle, 10)
    os.close(handle)


@pytest.mark.parametrize("what", ["record.json", "MANIFEST.json", "chunk", "reference"])
def test_a_file_that_cannot_be_read_is_told_and_nothing_is_lost(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    entry = publish(catalog, "a", 2.0)
    other = publish(catalog, "b", 3.0)
    bad = {
        "chunk": entry.path / "data.zarr/q/c/0/0",
        "reference": catalog.path / "refs/dataset/a@1",
    }.get(what, entry.path / what)
    with monkeypatch.context() as patch:
        _unreadable(patch, bad)
        if what == "chunk":
            with pytest.raises(CatalogError, match="dataset/a@1"):
                Catalog(catalog.path).get("dataset/a@1").load()
        told = _cli(catalog, "catalog", "verify")
        assert told.exit_code != 0
        assert "dataset/a@1" in told.output
        assert "Input/output error" in told.output
        export = _cli(
            catalog, "catalog", "export", "dataset/a@1", "--to", catalog.path / "../a.tar"
        )
        assert export.exit_code == 2
        assert not (catalog.path / "../a.tar").exists()
        removed = _cli(catalog, "catalog", "gc")
        assert removed.exit_code in (0, 2)
        listed = _cli(catalog, "catalog", "list")
        assert "dataset/b@1" in listed.output
    again = Catalog(catalog.path)
    assert (again.get("dataset/a@1").load()["q"] == 2.0).all()
    assert again.get("dataset/b@1").id == other.id
    assert _well(catalog)


class _NotWrittenError(Exception):
    pass


@contextmanager
def _told() -> Iterator[None]:
    """It goes well, or the error names the error of the disk."""
    try:
        yield
    except CatalogError as error:
        if "Input/output error" not in str(error):
            raise
        raise _NotWrittenError from error


def test_a_disk_that_takes_nothing_publishes_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog, "a")
    before = {entry.id for entry in catalog.entries()}
    for calls in range(1, 30):  # the first to fail is the second, the third, … of the calls
        left = iter(range(calls))

        def fails(path: Path, left: Any = left) -> None:
            if next(left, None) is None:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

        with monkeypatch.context() as patch, suppress(_NotWrittenError):
            patch.setattr(local_store, "sync", fails)
            with _told():
                entry = publish(Catalog(catalog.path), "b", float(calls))
            break
    else:
        raise AssertionError("it never came through")
    assert entry.id not in before
    assert calls > 3  # files, folders and the reference are all put on disk
    collect(catalog)
    there = {str(entry.reference) for entry in Catalog(catalog.path).entries()}
    assert {"dataset/a@1"} < there
    assert _well(catalog)
    assert not list((catalog.path / "tmp").iterdir())


# -- clocks


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes back by a day."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 86400.0)


@pytest.mark.usefixtures("set_back")
def test_a_clock_that_goes_back_stops_nothing(catalog: Catalog) -> None:
    family(catalog)
    half = catalog.path / "entries" / ("0" * 64)
    shutil.copytree(catalog.get("dataset/twin@1").path, half)
    (half / "MANIFEST.json").unlink()
    (catalog.path / "tmp/dead").mkdir()
    publish(catalog, "a", 1.0)
    second = publish(catalog, "a", 2.0)
    assert second.reference.version == 2
    assert catalog.get("dataset/a@latest").id == second.id
    assert len(catalog.query("")) == 6
    assert {what.rpartition("/")[2] for what, _ in collect(catalog)} == {"0" * 64, "dead"}
    assert collect(catalog) == []
    assert _well(catalog)
    assert _cli(catalog, "doctor").exit_code == 0


def test_a_claim_is_taken_over_whatever_its_clock_said(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is of tomorrow, of another machine, and silent: a minute by our clock is enough."""
    store = catalog.store
    store.create("claims/work", b'{"token": "other", "host": "elsewhere", "pid": 1}')
    tomorrow = time.time() + 86400.0
    os.utime(catalog.path / "claims/work", (tomorrow, tomorrow))
    claims, clock = Claims(store), 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    with claims.held("work") as mine:
        assert not mine
    clock += 61.0
    with claims.held("work") as mine:
        assert mine


# -- locks


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_everything_works(catalog: Catalog, tmp_path: Path) -> None:
    entries = family(catalog)
    score = str(entries["score"].reference)
    assert _cli(catalog, "catalog", "export", score, "--to", tmp_path / "a.tar").exit_code == 0
    other = Catalog(tmp_path / "other", create=True)
    assert _cli(other, "catalog", "import", tmp_path / "a.tar").exit_code == 0
    assert {entry.id for entry in other.entries()} == {entry.id for entry in entries.values()}
    assert _cli(catalog, "catalog", "rm", "-y", score).exit_code == 0
    with Claims(catalog.store).held("work") as mine, catalog.store.work("key") as folder:
        assert mine
        (folder / "step").write_text("1")
    assert collect(catalog) == []
    assert _well(catalog)
    assert _well(other)


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_without_locks_debris_is_what_is_older_than_a_day(catalog: Catalog, what: str) -> None:
    left = catalog.path / "tmp/left"
    left.parent.mkdir(exist_ok=True)
    if what == "file":
        left.write_text("half")
    else:
        left.mkdir()
    assert held_folders.is_held(left)
    assert collect(catalog) == []  # somebody may be at it
    yesterday = time.time() - 90_000.0
    os.utime(left, (yesterday, yesterday))
    assert [what for what, _ in collect(catalog)] == [str(left)]
    assert not left.exists()
