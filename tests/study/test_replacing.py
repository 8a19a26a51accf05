"""A folder takes the place of another in one step, whatever the moment."""

import ctypes
import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from geobench.site import replacing

BUILD = """
import sys, time
from pathlib import Path
from geobench.site import replacing
for version in range(10**6):
    with replacing.replaced(Path(sys.argv[1])) as aside:
        for name in ("a", "b"):
            (aside / name).write_text(str(version))
"""


def _write(out: Path, version: int) -> None:
    with replacing.replaced(out) as aside:
        for name in ("a", "b"):
            (aside / name).write_text(str(version))


def _versions(out: Path) -> set[str]:
    """Read both files through one handle of the folder, as it was at that moment."""
    folder = os.open(out, os.O_RDONLY)
    try:
        found = set()
        for name in ("a", "b"):
            file = os.open(name, os.O_RDONLY, dir_fd=folder)
            found.add(os.read(file, 20).decode())
            os.close(file)
        return found
    finally:
        os.close(folder)


def test_readers_see_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    out, ended, wrong = tmp_path / "site", threading.Event(), []
    _write(out, -1)

    def read() -> None:
        while not ended.is_set():
            with suppress(FileNotFoundError):  # one that is being removed, opened before
                if len(seen := _versions(out)) != 1:
                    wrong.append(seen)
            if not out.is_dir():
                wrong.append({"no folder"})

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(200):
        _write(out, version)
    ended.set()
    reader.join()
    assert not wrong
    assert _versions(out) == {"199"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_build_killed_at_any_moment_leaves_one_whole_and_the_next_clears_up(
    tmp_path: Path,
) -> None:
    out = tmp_path / "site"
    _write(out, -1)
    for turn in range(5):
        child = subprocess.Popen([sys.executable, "-c", BUILD, str(out)])
        before = out.stat().st_ino
        while out.stat().st_ino == before:  # it has begun
            time.sleep(0.001)
        time.sleep(0.0137 * turn)
        child.kill()
        child.wait()
        assert len(_versions(out)) == 1
    _write(out, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_without_an_exchange_it_takes_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "_exchanged", lambda *_: False)
    for version in (1, 2):
        _write(tmp_path / "site", version)
    assert _versions(tmp_path / "site") == {"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_fails_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "site"
    _write(out, 1)
    with pytest.raises(IsADirectoryError), replacing.replaced(out) as aside:
        aside.write_text("a folder is no file")
    assert _versions(out) == {"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".site-packages" / "theirs").mkdir(parents=True)
    with replacing.replaced(tmp_path / "site"), replacing.replaced(tmp_path / "site"):
        (mine, another) = tmp_path.glob(".site-????????/new")
        assert mine != another
    assert {path.name for path in tmp_path.iterdir()} == {".site-packages", "site"}
    assert (tmp_path / ".site-packages" / "theirs").is_dir()


def test_a_folder_whose_lock_another_program_holds_delays_it_and_no_more(tmp_path: Path) -> None:
    left = tmp_path / ".site-abcdefgh"
    left.mkdir()
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    _write(tmp_path / "site", 1)
    assert left.is_dir()
    os.close(handle)
    _write(tmp_path / "site", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def _tree(folder: Path) -> Path:
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "page.html").write_text("page")
    (folder / "link").symlink_to("below/page.html")
    return folder


def test_what_is_kept_takes_no_room(tmp_path: Path) -> None:
    tree, kept = _tree(tmp_path / "tree"), tmp_path / "kept"
    replacing.keep(tree, kept)
    assert (kept / "below" / "page.html").samefile(tree / "below" / "page.html")
    assert (kept / "link").readlink() == Path("below/page.html")
    replacing.keep(tree / "below" / "page.html", tmp_path / "alone.html")
    assert (tmp_path / "alone.html").stat().st_nlink == 3
    replacing.keep(tree / "link", tmp_path / "link")  # the link, not what it points to
    assert (tmp_path / "link").is_symlink()


def test_what_is_kept_is_copied_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    tree, kept = _tree(tmp_path / "tree"), tmp_path / "kept"
    replacing.keep(tree, kept)
    assert (kept / "below" / "page.html").read_text() == "page"
    assert not (kept / "below" / "page.html").samefile(tree / "below" / "page.html")
    assert (kept / "link").is_symlink()


class _System:
    """A C library whose renameat2 fails, or that has none (0)."""

    def __init__(self, failure: int) -> None:
        if failure:
            self.renameat2 = lambda *_: ctypes.set_errno(failure) or -1  # type: ignore[func-returns-value]


@pytest.mark.parametrize("failure", [0, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_system_that_cannot_exchange_folders_takes_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: int
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: _System(failure))
    for version in (1, 2):
        _write(tmp_path / "site", version)
    assert _versions(tmp_path / "site") == {"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_an_exchange_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "site", 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: _System(errno.EACCES))
    with pytest.raises(PermissionError, match="site"):
        _write(tmp_path / "site", 2)
    assert _versions(tmp_path / "site") == {"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
