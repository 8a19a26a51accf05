"""Folders that one living process holds: drafts, and long work that may go on after a crash.

They are locked (`flock`): when the process dies, however it dies, the lock is gone. On a file
system without locks, what is younger than a day may be held.
"""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geobench_catalog.errors import CatalogError

_PREFIX = "geobench-draft-"
_YOUNG = 60.0  # seconds in which a folder may be made and not yet held
_DAY = 86400.0
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def hold(folder: Path) -> int:
    """Mark a folder as this living process's; return the handle that holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A folder for long work: held by one process, removed when the work has ended well.

    What an error or a crash leaves in it is there the next time. `CatalogError` if another living
    process holds it.
    """
    handle = _held_work(folder)
    try:
        yield folder
    except BaseException:
        os.close(handle)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    os.close(handle)


def _held_work(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = hold(folder)
        except FileNotFoundError:
            continue  # another process has just ended this very work
        except OSError as error:
            raise CatalogError(
                f"another process is at this very work (it holds {folder}). Wait until it has "
                f"ended, or end it; what it has done is kept."
            ) from error
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        os.close(handle)


def sweep_work(
    folder: Path, *, older_than: float = 7 * 86400.0, dry_run: bool = False
) -> list[tuple[str, int]]:
    """Remove work that nobody holds and nobody has gone on with for so many seconds."""
    left = [
        path for path in sorted(folder.glob("*")) if age(path) > older_than and not is_held(path)
    ]
    return [swept_folder(path, dry_run=dry_run) for path in left]


def flock(handle: int, how: int) -> None:
    """Lock a file, where the file system has locks."""
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def is_held(path: Path) -> bool:
    """Whether a living process holds this folder, or may be at this file."""
    facts = path.lstat()
    if not (stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
        return False
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_LOCKS or age(path) < _DAY
    finally:
        os.close(handle)
    return False


def age(path: Path) -> float:
    """Seconds since the youngest file at or below a path was written; 0 if the clock went back."""
    youngest = max(file.lstat().st_mtime for file in _every(path))
    return max(0.0, time.time() - youngest)


@contextmanager
def temporary() -> Iterator[Path]:
    """A draft's folder on this machine, for a catalog that is elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    handle = hold(folder)
    draft = folder / "draft"
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep_temporary(*, dry_run: bool = False) -> list[tuple[str, int]]:
    """Remove what dead processes of this user have left of such folders."""
    swept = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with suppress(OSError):  # another process may sweep as well
            facts = folder.stat()
            abandoned = facts.st_uid == os.getuid() and time.time() - facts.st_mtime > _YOUNG
            if abandoned and not is_held(folder):
                swept.append(swept_folder(folder, dry_run=dry_run))
    return swept


def _every(path: Path) -> Iterator[Path]:
    """A path and all that is below; what a link leads to is not."""
    yield path
    if not path.is_symlink():
        yield from path.rglob("*")


def swept_folder(path: Path, *, dry_run: bool) -> tuple[str, int]:
    """Remove a folder or a file: (what, bytes)."""
    facts = [file.lstat() for file in _every(path)]
    sizes = [status.st_size for status in facts if stat.S_ISREG(status.st_mode)]
    if not dry_run:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return str(path), sum(sizes)
