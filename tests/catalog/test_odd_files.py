"""Files that are not ours, that are no files, and disks that take none: read, never written to."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_entries import family, publish

from geobench.cli import main
from geobench_catalog import Catalog, CatalogError, Vocabulary, index_tables
from geobench_catalog.removal import collect
from geobench_catalog.verification import verify


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    """What hangs is ended, and fails."""

    def end(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _cli(catalog: Path, *words: object) -> Result:
    result = CliRunner().invoke(main, ["--catalog", str(catalog), *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def _ok(catalog: Path, *words: object) -> str:
    result = _cli(catalog, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def _database(path: Path, *tables: str) -> None:
    connection = sqlite3.connect(path)
    for table in tables:
        connection.execute(f"CREATE TABLE {table} (precious)")
        connection.execute(f"INSERT INTO {table} VALUES (1)")
    connection.commit()
    connection.close()


def _text(path: Path) -> None:
    path.write_text("precious notes\n")


def _foreign(path: Path) -> None:
    _database(path, "letters", "tags")


def _like_ours(path: Path) -> None:
    _database(path, "entries", "tags", "aliases", "letters")


def _other_program(path: Path) -> None:
    _database(path, "entries", "lineage")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.close()


# -- the index


@pytest.mark.parametrize("make", [_text, _foreign, _like_ours, _other_program])
@pytest.mark.parametrize("way", ["in its place", "symbolic link", "hard link"])
def test_the_index_never_touches_a_file_that_is_not_its_own(
    catalog: Catalog, tmp_path: Path, make: Callable[[Path], None], way: str
) -> None:
    family(catalog)
    whole = catalog.query("")
    catalog.index._close()
    index, precious = catalog.path / "index.sqlite", tmp_path / "precious"
    index.unlink()
    make(precious)
    before = precious.read_bytes()
    if way == "symbolic link":
        index.symlink_to(precious)
    elif way == "hard link":
        os.link(precious, index)
    else:
        precious = precious.rename(index)
    again = Catalog(catalog.path)
    assert again.query("").equals(whole)
    again.index.rebuild()
    publish(again, "new")
    assert len(again.query("")) == 5
    for words in (["catalog", "list"], ["catalog", "reindex"], ["catalog", "verify"]):
        _ok(catalog.path, *words)
    assert precious.read_bytes() == before
    assert not list(tmp_path.rglob("*-journal")) + list(tmp_path.rglob("*-wal"))
    doctor = _cli(catalog.path, "doctor", "--json")
    assert doctor.exit_code == 0
    (told,) = (each for each in json.loads(doctor.stdout) if each["check"] == "index")
    assert told["state"] == "warn"
    assert "so it is left alone" in told["found"]
    assert precious.read_bytes() == before


@pytest.mark.parametrize("ending", ["", "-journal", "-wal"])
def test_a_link_beside_the_index_is_not_followed(
    catalog: Catalog, tmp_path: Path, ending: str
) -> None:
    family(catalog)
    catalog.query("")
    catalog.index._close()
    precious = tmp_path / "precious"
    _text(precious)
    link = catalog.path / f"index.sqlite{ending}"
    link.unlink(missing_ok=True)
    link.symlink_to(precious)
    again = Catalog(catalog.path)
    publish(again, "new")
    assert len(again.query("")) == 5
    assert precious.read_text() == "precious notes\n"


def test_an_index_of_the_first_form_is_ours(catalog: Catalog) -> None:
    family(catalog)
    file = catalog.path / "index.sqlite"
    file.unlink(missing_ok=True)
    connection = sqlite3.connect(file)
    for table in ("entries", "parents", "lineage", "fields", "scores", "tags", "aliases"):
        connection.execute(f"CREATE TABLE {table} (entry INTEGER)")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    assert len(catalog.query("")) == 4
    assert catalog.index.unused is None
    catalog.index._close()
    connection = sqlite3.connect(file)
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    assert number == index_tables.APPLICATION
    assert connection.execute("SELECT count(*) FROM entries").fetchone() == (4,)
    connection.close()


def test_an_index_for_which_there_is_no_room_is_in_memory(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(catalog)
    whole = catalog.query("")
    catalog.index._close()
    connect = index_tables.connect

    def full(file: Path | None, vocabulary: Vocabulary) -> sqlite3.Connection:
        connection = connect(file, vocabulary)
        if file:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    publish(catalog, "new", recipe={"x": ["y" * 3000] * 30})  # of several pages
    monkeypatch.setattr("geobench_catalog.index.connect", full)
    again = Catalog(catalog.path)
    found = again.query("")
    assert len(found) == len(whole) + 1
    assert again.index.unused
    assert "full" in again.index.unused
    assert (catalog.path / "index.sqlite").exists()  # of others, who may have room


# -- disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, with a catalog on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a disk")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False)
    if made.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        catalog = Catalog(folder / "catalog", create=True)
        family(catalog)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


_READING = (
    ["catalog", "list"],
    ["catalog", "query", "kind = dataset"],
    ["catalog", "show", "dataset/twin@1"],
    ["catalog", "verify"],
    ["catalog", "du"],
    ["catalog", "diff", "dataset/twin@1", "dataset/twin@1"],
    ["catalog", "gc", "--dry-run"],
    ["catalog", "reindex"],
)


@pytest.mark.parametrize("index", ["with an index", "without"])
def test_a_full_disk_is_read(disk: Path, index: str) -> None:
    catalog = disk / "catalog"
    if index == "without":
        (catalog / "index.sqlite").unlink(missing_ok=True)
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 2**12)
    assert os.statvfs(disk).f_bavail == 0
    for words in _READING:
        assert _ok(catalog, *words)
    result = _cli(catalog, "catalog", "alias", "dataset/twin@1", "good")
    assert result.exit_code == 2
    assert "cannot be written (No space left on device). Free space" in result.stderr
    with pytest.raises(CatalogError, match=r"cannot be written.*No space left on device"):
        publish(Catalog(catalog), "new", 1.0)
    doctor = _cli(catalog, "doctor")
    assert doctor.exit_code == 1
    assert "No space left on device" in doctor.stdout
    (disk / "filler").unlink()
    assert publish(Catalog(catalog), "new", 1.0).reference.version == 1
    _ok(catalog, "catalog", "gc")
    _ok(catalog, "catalog", "verify")


@pytest.mark.parametrize("index", ["with an index", "without"])
def test_a_read_only_disk_is_read(disk: Path, index: str) -> None:
    catalog = disk / "catalog"
    if index == "without":
        (catalog / "index.sqlite").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for words in _READING:
        assert _ok(catalog, *words)
    result = _cli(catalog, "catalog", "tag", "dataset/twin@1", "good")
    assert result.exit_code == 2
    assert "cannot be written (Read-only file system)" in result.stderr
    doctor = _cli(catalog, "doctor")
    assert doctor.exit_code == 0
    assert "can be read, and nothing can be written to it (Read-only file system)" in doctor.stdout


# -- what is no file


_PRECIOUS = Path(__file__).parent / "schema1"  # nothing in it is touched


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _nowhere(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def _itself(path: Path) -> None:
    path.symlink_to(path.name)


def _a_folder(path: Path) -> None:
    path.symlink_to(_PRECIOUS)


ODD_FILES = pytest.mark.parametrize("make", [_pipe, _socket, _nowhere, _itself, _a_folder])
_PLACES = (
    "odd", "refs/dataset/odd@1", "refs/odd", "entries/odd", "entries/" + "0" * 64, "tmp/odd",
    "work/odd", "work/key/odd", "tmp/folder/odd", "aliases/dataset/a@paper", "tags/dataset/a@1+x",
    "removed/dataset/a@9", "imported/" + "1" * 64, "trusted/odd", "naming/" + "2" * 64,
)  # fmt: skip


@ODD_FILES
def test_what_is_no_file_neither_hangs_nor_stops_anything(
    catalog: Catalog, make: Callable[[Path], None]
) -> None:
    entry, precious = publish(catalog, "a"), sorted(_PRECIOUS.rglob("*"))
    for place in _PLACES:
        path = catalog.path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    assert "dataset/a@1" in _ok(catalog.path, "catalog", "list")
    _ok(catalog.path, "catalog", "show", "dataset/a@1")
    _ok(catalog.path, "catalog", "gc", "--dry-run")
    _ok(catalog.path, "catalog", "gc")
    assert list((catalog.path / "tmp").iterdir()) == []
    assert _cli(catalog.path, "catalog", "verify").exit_code in (0, 1)
    assert not [each for finding in verify(catalog, ("dataset/a@1",)) for each in finding.problems]
    assert _cli(catalog.path, "doctor").exit_code in (0, 1)
    assert _cli(catalog.path, "catalog", "show", "dataset/odd@1").exit_code == 2
    publish(catalog, "b")
    _ok(catalog.path, "catalog", "rm", "-y", "dataset/b@1")
    assert sorted(_PRECIOUS.rglob("*")) == precious
    entry.load()


@ODD_FILES
@pytest.mark.parametrize("name", ["record.json", "MANIFEST.json", "data.zarr/q/c/0/0"])
def test_a_file_of_an_entry_that_is_none_is_damage(
    catalog: Catalog, make: Callable[[Path], None], name: str
) -> None:
    entry = publish(catalog, "a")
    publish(catalog, "b")
    path = entry.path / name
    path.unlink()
    make(path)
    assert _cli(catalog.path, "catalog", "verify").exit_code == 1
    assert "dataset/b@1" in _ok(catalog.path, "catalog", "list")
    with pytest.raises(CatalogError):
        Catalog(catalog.path).get("dataset/a@1").load()
    if name.endswith("/0"):
        with pytest.raises(CatalogError, match=r"is a link|is a pipe or a socket"):
            entry.load()
    _ok(catalog.path, "catalog", "rm", "-y", "dataset/a@1")
    assert collect(catalog) == []
