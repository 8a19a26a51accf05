"""A catalogue's files behind an fsspec URL: object stores such as S3.

There is no rename there: a draft is filled on this machine and copied, its manifest last, and what
makes an entry exist is its reference, created under the condition that there is none yet.
"""

import inspect
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from geobench_catalog.errors import CatalogError
from geobench_catalog.local_store import sweep_temporary, temporary
from geobench_catalog.manifest import NAME

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore

_TRIES = 5


class RemoteStore:
    """Files under a prefix of any fsspec file system that can create a file exclusively.

    Credentials and endpoints come from where the file system itself looks for them (for S3 the
    usual environment variables and files). Nothing is locked: removal is safe only while nobody
    publishes, which the age of what is swept sees to.
    """

    folder: Path | None = None

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, self._root = _file_system(self.url)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def read(self, key: str) -> bytes:
        """The content of a file."""
        with _told(self.url):
            return bytes(self._fs.cat_file(self._path(key)))

    def open(self, key: str) -> BinaryIO:
        """A file to read from."""
        with _told(self.url):
            opened: BinaryIO = self._fs.open(self._path(key), "rb")
            return opened

    def size(self, key: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        with _told(self.url):
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
        with _told(self.url):
            try:
                found = self._fs.ls(self._path(key), detail=True)
            except FileNotFoundError:
                return []
        names = [
            each["name"].rstrip("/").rpartition("/")[2] for each in found if each["type"] == kind
        ]
        return [name for name in names if name]

    def files(self, key: str) -> dict[str, int]:
        """Every file below `key`: path relative to it -> bytes."""
        return {name: int(facts["size"]) for name, facts in self._below(key).items()}

    def _below(self, key: str) -> dict[str, dict[str, Any]]:
        root = self._path(key)
        with _told(self.url):
            found = self._fs.find(root, detail=True)
        strip = len(self._fs._strip_protocol(root)) + 1
        return {self._fs._strip_protocol(name)[strip:]: facts for name, facts in found.items()}

    def create(self, key: str, content: bytes) -> None:
        """Make a file in one step; `FileExistsError` if it is there (a conditional write)."""
        with _told(self.url):
            for attempt in range(_TRIES):
                try:
                    self._fs.pipe_file(self._path(key), content, mode="create")
                except FileExistsError:
                    raise
                except OSError as error:
                    # Object stores answer so when two writers meet: then one tries again.
                    if "ConditionalRequestConflict" in str(error) and attempt + 1 < _TRIES:
                        time.sleep(0.05 * 2**attempt)
                        continue
                    if "PreconditionFailed" in str(error) or "pre-conditions" in str(error):
                        raise FileExistsError(key) from error
                    raise
                return

    def replace(self, key: str, content: bytes) -> None:
        """Make a file or take the place of the one that is there, in one step."""
        with _told(self.url):
            self._fs.pipe_file(self._path(key), content)

    def remove(self, key: str) -> None:
        """Remove a file or everything below `key`, the manifest of an entry first."""
        with _told(self.url):
            if self._fs.isfile(self._path(key)):
                self._fs.rm_file(self._path(key))
                return
            if self._fs.isfile(self._path(f"{key}/{NAME}")):
                self._fs.rm_file(self._path(f"{key}/{NAME}"))
            if self._fs.exists(self._path(key)):
                self._fs.rm(self._path(key), recursive=True)

    def adopt(self, folder: Path, key: str) -> None:
        """Copy a finished folder to `key`, its manifest last; `FileExistsError` if it is there."""
        names = [
            path.relative_to(folder).as_posix()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path != folder / NAME
        ]
        if self.size(f"{key}/{NAME}") is not None:
            raise FileExistsError(key)
        with _told(self.url):
            self._fs.put(
                [str(folder / name) for name in names],
                [self._path(f"{key}/{name}") for name in names],
            )
        self.create(f"{key}/{NAME}", (folder / NAME).read_bytes())

    def age(self, key: str) -> float:
        """Seconds since the youngest file below `key` was written."""
        times = [_written(facts) for facts in self._below(key).values()]
        return time.time() - max(times, default=0.0)

    def staging(self) -> AbstractContextManager[Path]:
        """A new folder for a draft: this process's as long as it lives, removed at the end."""
        return temporary()

    def sweep(self, *, dry_run: bool = False) -> Iterator[tuple[str, int]]:
        """Remove what dead processes of this user have left of drafts on this machine."""
        return sweep_temporary(dry_run=dry_run)

    @contextmanager
    def lock(self, *, shared: bool) -> Iterator[None]:  # nothing can be locked
        """Hold nobody off: there are no locks here."""
        yield

    def zarr(self, key: str) -> "ZarrStore":
        """What Zarr reads the data under `key` through."""
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(f"{self.url}/{key}", read_only=True)


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of `url` and the path on it, once it is known to create exclusively."""
    import fsspec

    try:
        # What others have written meanwhile is to be seen: nothing listed is remembered.
        options = {"use_listings_cache": False, "skip_instance_cache": True}
        fs, root = fsspec.url_to_fs(url, **options)
    except ImportError as error:
        extra = "pip install 'geobench-twin[s3]'" if url.startswith("s3") else f"({error})"
        raise CatalogError(f"{url} needs a package that is not here: {extra}.") from error
    except (ValueError, TypeError) as error:
        raise CatalogError(f"{url} cannot be opened ({error}). Name a folder or a URL.") from error
    writer = getattr(fs, "_pipe_file", fs.pipe_file)
    if "mode" not in inspect.signature(writer).parameters:
        raise CatalogError(
            f"{url}: the file system {type(fs).__name__} cannot create a file exclusively, and "
            f"two writers would overwrite one another. Use a folder, S3 or Google storage."
        )
    return fs, root.rstrip("/")


def _written(facts: dict[str, Any]) -> float:
    for name in ("LastModified", "created", "mtime", "updated"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return time.time()


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn what a file system's client raises into an `OSError`."""
    try:
        yield
    except (OSError, CatalogError):
        raise
    except Exception as error:
        raise OSError(f"{url}: {type(error).__name__}: {' '.join(str(error).split())}") from error
