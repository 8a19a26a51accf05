"""A folder that takes the place of another in one step: readers see the old one or the new one."""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geobench_catalog.held_folders import flock, hold, is_held

_AT_FDCWD, _EXCHANGE = -100, 2  # of renameat2(2)
_PARTS = {"new", "old"}  # of such a folder


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out`, which takes its place when the block ends well.

    What a process that was killed has left of such folders is removed first.
    """
    out = out.resolve()  # what a link points to
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name}-"
    with _alone(out.parent) as alone:
        for left in out.parent.glob(f"{prefix}*") if alone else ():
            _remove_if_left(left)
        scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=prefix))
        handle = hold(scratch)
    try:
        aside = scratch / "new"
        aside.mkdir()  # with the usual permissions, unlike what mkdtemp makes
        yield aside
        _put(aside, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(handle)


def keep(folder: Path, into: Path) -> None:
    """Bring a file or folder over by links, which take no room."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.copytree(folder, into, symlinks=True, copy_function=_link)
    else:
        _link(folder, into)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target, follow_symlinks=False)


def _put(aside: Path, out: Path) -> None:
    if not out.exists():
        aside.rename(out)
        return
    shutil.copymode(out, aside)
    if not _exchanged(aside, out):
        # Elsewhere there is a moment between two steps; `out` is then empty, never mixed.
        out.rename(aside.with_name("old"))
        aside.rename(out)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    if rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _EXCHANGE) == 0:
        return True
    failed = ctypes.get_errno()
    if failed in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(failed, os.strerror(failed), str(other))


@contextmanager
def _alone(parent: Path) -> Iterator[bool]:
    """Whether no other process makes such a folder here meanwhile."""
    handle = os.open(parent, os.O_RDONLY)
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    for _ in range(100):  # others hold it for a moment
        with suppress(BlockingIOError):
            flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.01)
    return False


def _remove_if_left(folder: Path) -> None:
    """Remove what is ours, by what is in it, and no living process holds."""
    with suppress(OSError):
        ours = (
            folder.is_dir()
            and not folder.is_symlink()
            and {*(path.name for path in folder.iterdir())} <= _PARTS
        )
        if ours and not is_held(folder):
            shutil.rmtree(folder)
