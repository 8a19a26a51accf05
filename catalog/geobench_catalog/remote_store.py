"""A catalog's files behind an fsspec URL: object stores such as S3.

There is no rename there: a draft is filled on this machine and copied, its manifest last, and what
makes an entry exist is its reference, created under the condition that there is none yet.
"""

import asyncio
import hashlib
import io
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from geobench_catalog.errors import CatalogError
from geobench_catalog.file_systems import PiecewiseFile, answer, answering, file_system, written
from geobench_catalog.held_folders import sweep_temporary, sweep_work, temporary, work_folder
from geobench_catalog.manifest import NAME

if TYPE_CHECKING:
    from geobench_catalog.remote_zarr import RemoteZarr

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds until a conflict is tried again
_SMALL, _MOST_KEPT = 2**16, 2**12  # bytes of a file that is kept in memory; how many
_NOTHING_THERE = 416  # HTTP status: the part that is asked for is behind the end
_MAGIC = frozenset("*?[")  # what makes a path a pattern for fsspec
_alone = threading.Lock()  # memory:// looks first, and then writes


class RemoteStore:
    """Files under a prefix of any fsspec file system that can create a file exclusively.

    Credentials and endpoints come from where the file system itself looks for them (for S3 the
    usual environment variables and files). Nothing is locked: removal is safe only while nobody
    publishes, which the age of what is swept sees to.

    That a file is there or not is an `OSError`, as in every store; what keeps the server from
    answering (network, credentials, permissions) is a `CatalogError`.
    """

    folder: Path | None = None

    def __init__(self, url: str) -> None:
        protocol, _, path = url.partition("://")
        self.url = f"{protocol}://{path.rstrip('/')}"
        self._fs, self._root = file_system(self.url)
        self._proven = False
        # One request for a file: s3fs would ask for its size first, to read parts at once.
        self._how = {"max_concurrency": 1} if protocol in ("s3", "s3a") else {}
        self._kept: dict[str, bytes] = {}  # what is published never changes
        self.whole: set[str] = set()

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def read(self, key: str) -> bytes:
        """The content of a file; small ones of entries are asked for once."""
        if key in self._kept:
            return self._kept[key]
        with answering(self.url):
            content = bytes(self._fs.cat_file(self._path(key), **self._how))
        self._keep(key, content)
        return content

    def _keep(self, key: str, content: bytes) -> None:
        if key.startswith("entries/") and key.endswith(".json") and len(content) <= _SMALL:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = content

    def open(self, key: str) -> BinaryIO:
        """A file to read from."""
        return io.BufferedReader(PiecewiseFile(partial(self._part, self._path(key))))

    def _part(self, path: str, start: int, end: int) -> bytes:
        with answering(self.url):
            try:
                return bytes(self._fs.cat_file(path, start=start, end=end))
            except OSError as error:
                if answer(error)[0] == _NOTHING_THERE:
                    return b""
                raise

    def size(self, key: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        with answering(self.url):
            try:
                facts = self._fs.info(self._path(key))
            except FileNotFoundError:
                return None
        return int(facts["size"]) if facts["type"] == "file" else None

    def names(self, key: str) -> list[str]:
        """Names of the files directly under `key`."""
        return self._listed(key, "file")

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly under `key`."""
        return self._listed(key, "directory")

    def _listed(self, key: str, kind: str) -> list[str]:
        with answering(self.url):
            try:
                listing = self._fs.ls(self._path(key).rstrip("/"), detail=True)
            except FileNotFoundError:
                return []
        paths = [entry["name"] for entry in listing if entry["type"] == kind]
        # Consoles mark a folder by an empty file whose name ends with a slash.
        return [path.rpartition("/")[2] for path in paths if not path.endswith("/")]

    def listing(self, key: str) -> Iterator[tuple[str, str]]:
        """Folders directly under `key`, and the names of the files directly in them."""
        for path in self._below(key):
            folder, _, name = path.partition("/")
            if name and "/" not in name:
                yield folder, name

    def files(self, key: str) -> dict[str, int]:
        """Every file below `key`: path relative to it -> bytes."""
        return {name: int(facts["size"]) for name, facts in self._below(key).items()}

    def _below(self, key: str) -> dict[str, dict[str, Any]]:
        root = f"{self._path(key)}/"
        with answering(self.url):
            files = self._fs.find(root, detail=True)
        return {
            path.removeprefix(root): facts
            for path, facts in files.items()
            if path.startswith(root) and not path.endswith("/")
        }

    def create(self, key: str, content: bytes) -> None:
        """Make a file in one step; `FileExistsError` if another one is there.

        One with this very content is taken for our own: a request whose answer was lost is sent
        again, and then meets what it wrote.
        """
        path = self._path(key)
        with answering(self.url):
            try:
                self._create(path, content)
            except FileExistsError:
                if self._fs.cat_file(path, **self._how) != content:
                    raise
            else:
                self._prove(path, content)

    def _create(self, path: str, content: bytes) -> None:
        """Write under the condition that there is no such file."""
        for pause in (*_PAUSES, None):
            try:
                with nullcontext() if self._fs.async_impl else _alone:
                    self._fs.pipe_file(path, content, mode="create")
            except OSError as error:
                status, _ = answer(error)
                if isinstance(error, FileExistsError) or status == 412:
                    raise FileExistsError(path) from error
                if status != 409 or pause is None:
                    raise
                time.sleep(pause)  # two writers have met
            else:
                return

    def _prove(self, path: str, content: bytes) -> None:
        """See once that the server heeds the condition: some overwrite, and entries get lost."""
        if self._proven:
            return
        try:
            self._create(path, content)
        except FileExistsError:
            self._proven = True
        else:
            self._fs.rm_file(path)
            raise CatalogError(
                f"{self.url}: the server overwrites what is to be created only if it is not there "
                f"(it does not know If-None-Match), and two writers would lose entries. Use a "
                f"folder, or a server that knows it."
            )

    def replace(self, key: str, content: bytes) -> None:
        """Make a file or take the place of the one that is there, in one step."""
        with answering(self.url):
            self._fs.pipe_file(self._path(key), content)

    def remove(self, key: str) -> None:
        """Remove a file or everything below `key`, the manifest of an entry first."""
        path = self._path(key)
        self._kept = {
            kept_key: content
            for kept_key, content in self._kept.items()
            if not kept_key.startswith(key)
        }
        self.whole.discard(key)
        with answering(self.url):
            if self.size(key) is not None:
                self._fs.rm_file(path)
                return
            if self.size(f"{key}/{NAME}") is not None:
                self._fs.rm_file(f"{path}/{NAME}")
            elif not self._fs.exists(path):
                raise FileNotFoundError(f"{self.url}/{key}")
            if not _MAGIC & set(path):
                with suppress(FileNotFoundError):
                    self._fs.rm(path, recursive=True)
            # What is refused is not told when many are removed at once.
            for name in self._below(key):
                self._fs.rm_file(f"{path}/{name}")

    def discard(self, key: str) -> None:
        """Remove a file if it is there: one request, for S3 says nothing of one that is not."""
        with answering(self.url), suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key))

    def adopt(self, folder: Path, key: str) -> None:
        """Copy a finished folder to `key`, its manifest last; `FileExistsError` if it is there."""
        manifest = (folder / NAME).read_bytes()
        if self.size(f"{key}/{NAME}") is not None:
            self.replace(f"{key}/{NAME}", manifest)  # young again: not to be swept before named
            raise FileExistsError(f"{self.url}/{key}")
        sizes = {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path != folder / NAME
        }
        with answering(self.url):
            self._fs.put(
                [str(folder / name) for name in sizes],
                [self._path(f"{key}/{name}") for name in sizes],
            )
        arrived = self.files(key)
        for name, size in sizes.items():
            if arrived.get(name) != size:
                raise CatalogError(
                    f"{self.url}/{key}/{name} did not arrive ({arrived.get(name)} of {size:,} "
                    f"bytes). Nothing was published; try again."
                )
        self.create(f"{key}/{NAME}", manifest)
        for name, size in sizes.items():
            if size <= _SMALL and name.endswith(".json"):
                self._keep(f"{key}/{name}", (folder / name).read_bytes())
        self._keep(f"{key}/{NAME}", manifest)
        self.whole.add(key)

    def age(self, key: str) -> float:
        """Seconds since `key`, or the youngest file below, was written, by the server's clock."""
        times = [written(facts) for facts in self._below(key).values()]
        if not times:  # it is a file itself
            with answering(self.url), suppress(FileNotFoundError):
                times.append(written(self._fs.info(self._path(key))))
        return max(0.0, time.time() - max(times, default=0.0))

    def staging(self) -> AbstractContextManager[Path]:
        """A new folder for a draft: this process's as long as it lives, removed at the end."""
        return temporary()

    def _work(self) -> Path:
        """Where this machine keeps what is being worked on for this catalog."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "geobench" / hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def work(self, key: str) -> AbstractContextManager[Path]:
        """A folder for long work, in the user's cache; see `work_folder`."""
        return work_folder(self._work() / key)

    def sweep(self, *, dry_run: bool = False) -> list[tuple[str, int]]:
        """Remove what dead processes of this user have left on this machine."""
        return sweep_work(self._work(), dry_run=dry_run) + sweep_temporary(dry_run=dry_run)

    def stopped(self) -> list[tuple[str, int]]:
        """Long work on this machine that nobody is at, old or not: (what, bytes)."""
        return sweep_work(self._work(), older_than=-math.inf, dry_run=True)

    @contextmanager
    def lock(self, *, shared: bool) -> Iterator[None]:  # nothing can be locked
        """Hold nobody off: there are no locks here."""
        yield

    def zarr(self, key: str) -> "RemoteZarr":
        """What Zarr reads the data under `key` through."""
        from geobench_catalog.remote_zarr import RemoteZarr

        return RemoteZarr(partial(self._fetch, key))

    async def _fetch(self, folder: str, key: str, start: int | None, end: int | None) -> bytes:
        """A file or a part of it, read in the loop that the client lives in."""
        whole = start is None and end is None
        if whole and f"{folder}/{key}" in self._kept:
            return self._kept[f"{folder}/{key}"]
        path = self._path(f"{folder}/{key}")
        with answering(self.url):
            if not self._fs.async_impl:
                return bytes(self._fs.cat_file(path, start=start, end=end))
            reading = self._fs._cat_file(path, start=start, end=end, **self._how)
            future = asyncio.run_coroutine_threadsafe(reading, self._fs.loop)
            try:
                content = bytes(await asyncio.wrap_future(future))
            except OSError as error:
                if answer(error)[0] == _NOTHING_THERE:
                    return b""
                raise
        if whole:
            self._keep(f"{folder}/{key}", content)
        return content
