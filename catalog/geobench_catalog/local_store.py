"""A catalog's files in a folder: nothing is seen before it is whole and on disk."""

import errno
import fcntl
import math
import os
import shutil
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from geobench_catalog.held_folders import (
    age,
    flock,
    hold,
    is_held,
    sweep_temporary,
    sweep_work,
    swept_folder,
    work_folder,
)
from geobench_catalog.manifest import LINK, NO_FILE

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore

_TEMPORARY = "tmp"
_WORK = "work"
_LOCK = "lock"
_SYNCS = 16


class LocalStore:
    """Files in a folder, also one that several machines share.

    A draft's folder is locked (`flock`) by the process that fills it: when that dies, however it
    dies, the lock is gone, and `sweep` knows. On a file system without locks everything works but
    removal is then safe only while nobody publishes.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self.folder: Path | None = folder
        self.url = str(folder)
        self.whole: set[str] = set()
        self._mine = threading.local()

    def read(self, key: str) -> bytes:
        """The content of a file."""
        with self.open(key) as file:
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """A plain file to read from; anything else would make its reader wait."""
        return open(self._root / key, "rb", opener=_plain)  # Path has no opener

    def size(self, key: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        path = self._root / key
        return path.stat().st_size if path.is_file() else None

    def names(self, key: str) -> list[str]:
        """Names of the files directly under `key`."""
        return self._listed(key, folders=False)

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly under `key`."""
        return self._listed(key, folders=True)

    def _listed(self, key: str, *, folders: bool) -> list[str]:
        try:
            with os.scandir(self._root / key) as listing:
                return [entry.name for entry in listing if _is(entry, folders=folders)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def listing(self, key: str) -> Iterator[tuple[str, str]]:
        """Folders directly under `key`, and the names of the files directly in them."""
        for folder in self.folders(key):
            for name in self.names(f"{key}/{folder}"):
                yield folder, name

    def files(self, key: str) -> dict[str, int]:
        """Every file below `key`: path relative to it -> bytes."""
        return dict(sorted(_sizes(str(self._root / key), "")))

    def create(self, key: str, content: bytes) -> None:
        """Make a file with its full content in one step; `FileExistsError` if it is there."""
        self._place(key, content, os.link)

    def replace(self, key: str, content: bytes) -> None:
        """Make a file or take the place of the one that is there, in one step."""
        self._place(key, content, os.replace)

    def _place(self, key: str, content: bytes, put: Callable[[Path, Path], None]) -> None:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.lock(shared=True):  # nobody sweeps meanwhile
            aside = self._aside()
            try:
                aside.write_bytes(content)
                sync(aside)
                put(aside, target)
            finally:
                aside.unlink(missing_ok=True)
        sync(target.parent)

    def _aside(self) -> Path:
        folder = self._root / _TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    def remove(self, key: str) -> None:
        """Remove a file or everything below `key`; a folder vanishes in one step."""
        path = self._root / key
        if path.is_dir() and not path.is_symlink():
            aside = self._aside()
            path.rename(aside)
            shutil.rmtree(aside)
        else:
            path.unlink()

    def discard(self, key: str) -> None:
        """Remove a file if it is there."""
        (self._root / key).unlink(missing_ok=True)

    def adopt(self, folder: Path, key: str) -> None:
        """Take a finished folder as `key`; `FileExistsError` if it is there."""
        with ThreadPoolExecutor(_SYNCS) as pool:  # a disk takes many at once
            for _ in pool.map(sync, (folder, *folder.rglob("*"))):
                pass
        target = self._root / key
        target.parent.mkdir(exist_ok=True)
        try:
            folder.rename(target)
        except OSError as error:
            if target.exists():
                raise FileExistsError(str(target)) from error
            raise
        sync(target.parent)

    def age(self, key: str) -> float:
        """Seconds since the youngest file below `key` was written."""
        return age(self._root / key)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new folder for a draft: this process's as long as it lives, removed at the end."""
        with self.lock(shared=True):  # not between being made and being locked
            folder = self._aside()
            folder.mkdir()
            handle = hold(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)

    @contextmanager
    def work(self, key: str) -> Iterator[Path]:
        """A folder for long work, which is found again after a crash; see `work_folder`."""
        with ExitStack() as held:
            with self.lock(shared=True):  # nobody sweeps meanwhile
                folder = held.enter_context(work_folder(self._root / _WORK / key))
            yield folder

    def sweep(self, *, dry_run: bool = False) -> list[tuple[str, int]]:
        """Remove what dead processes have left of drafts and of old work: (what, bytes)."""
        with nullcontext() if dry_run else self.lock(shared=False):
            left = [
                path for path in sorted((self._root / _TEMPORARY).glob("*")) if not is_held(path)
            ]
            swept = [swept_folder(path, dry_run=dry_run) for path in left]
            swept += sweep_work(self._root / _WORK, dry_run=dry_run)
        return swept + sweep_temporary(dry_run=dry_run)

    def stopped(self) -> list[tuple[str, int]]:
        """Long work that nobody is at, old or not: (what, bytes)."""
        return sweep_work(self._root / _WORK, older_than=-math.inf, dry_run=True)

    @contextmanager
    def lock(self, *, shared: bool) -> Iterator[None]:
        """Hold off those who remove (shared), or everybody (not shared), for a moment.

        Within a lock of the same thread it adds nothing.
        """
        if getattr(self._mine, "locked", False):
            yield
            return
        how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(self._root / _LOCK, how, 0o666)
        try:
            flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            self._mine.locked = True
            yield
        finally:
            self._mine.locked = False
            os.close(handle)

    def zarr(self, key: str) -> "ZarrStore":
        """What Zarr reads the data under `key` through."""
        from zarr.storage import LocalStore as ZarrLocalStore

        return ZarrLocalStore(self._root / key, read_only=True)


def _sizes(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Every file below a folder and its bytes, as text: of many files, paths would take longer.

    Links are files of -1 bytes, pipes and sockets of -2, and not followed: no file that was
    published is one, whatever it leads to. What cannot be listed is not there.
    """
    with suppress(OSError), os.scandir(folder) as listing:
        for entry in listing:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(entry.path, f"{name}/")
            else:
                facts = entry.stat(follow_symlinks=False)
                yield name, facts.st_size if stat.S_ISREG(facts.st_mode) else _odd(facts.st_mode)


def _odd(mode: int) -> int:
    """What stands for the size of a file that is none."""
    return LINK if stat.S_ISLNK(mode) else NO_FILE


def _is(entry: "os.DirEntry[str]", *, folders: bool) -> bool:
    """Whether it is a folder (a plain file); pipes, sockets and links to nothing are neither."""
    try:
        return entry.is_dir() if folders else entry.is_file()
    except OSError:  # a link to itself
        return False


def _plain(path: str, flags: int) -> int:
    """Open a plain file, also through a link, and nothing else; it waits for nobody."""
    handle = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no plain file", path)
    return handle


def sync(path: Path) -> None:
    """Ask the system to put a file or folder on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
