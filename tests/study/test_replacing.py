"""A folder takes the place of another in one step, whatever the moment."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from geobench.leaderboard import replacing

BUILD = """
import sys, time
from pathlib import Path
from geobench.leaderboard import replacing
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr(replacing, "_YOUNG", 0.0)
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
