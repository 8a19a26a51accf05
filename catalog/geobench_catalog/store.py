"""Where the files of a catalog are: a folder, or a prefix of an object store."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore


class Store(Protocol):
    """Files by key, a relative path with slashes.

    Errors are `OSError`: `FileNotFoundError` for a key that is not there.
    """

    url: str
    """What a person calls it, and opens it by."""

    folder: Path | None
    """The folder, if it is one on this machine."""

    whole: set[str]
    """Keys of entries of an object store whose files were all found, each of the right size.

    Looking costs a request, so it is done once. Each file is still compared with its SHA-256 digest
    whenever it is read."""

    def read(self, key: str) -> bytes:
        """The content of a file."""

    def open(self, key: str) -> BinaryIO:
        """A file to read from."""

    def size(self, key: str) -> int | None:
        """Bytes of a file; None if it is not there."""

    def names(self, key: str) -> list[str]:
        """Names of the files directly under `key`; none if that is not there."""

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly under `key`."""

    def listing(self, key: str) -> Iterator[tuple[str, str]]:
        """Folders directly under `key`, and the names of the files directly in them."""

    def files(self, key: str) -> dict[str, int]:
        """Every file below `key`: path relative to it -> bytes (-1: a link, -2: a pipe)."""

    def create(self, key: str, content: bytes) -> None:
        """Make a file with its full content in one step; `FileExistsError` if it is there."""

    def replace(self, key: str, content: bytes) -> None:
        """Make a file or take the place of the one that is there, in one step."""

    def remove(self, key: str) -> None:
        """Remove a file or everything below `key`; a folder vanishes in one step."""

    def discard(self, key: str) -> None:
        """Remove a file if it is there."""

    def adopt(self, folder: Path, key: str) -> None:
        """Take a finished folder of this machine as `key`; `FileExistsError` if it is there."""

    def age(self, key: str) -> float:
        """Seconds since the youngest file below `key` was written."""

    def staging(self) -> AbstractContextManager[Path]:
        """A new folder for a draft: this process's as long as it lives, removed at the end."""

    def work(self, key: str) -> AbstractContextManager[Path]:
        """A folder on this machine for long work: held by this process, removed at a good end.

        After an error or a crash it is found again by its key. `CatalogError` if another living
        process holds it.
        """

    def sweep(self, *, dry_run: bool = False) -> list[tuple[str, int]]:
        """Remove what dead processes have left of drafts and of old work: (what, bytes)."""

    def stopped(self) -> list[tuple[str, int]]:
        """Long work that nobody is at, old or not: (what, bytes)."""

    def lock(self, *, shared: bool) -> AbstractContextManager[None]:
        """Hold off those who remove (shared), or everybody (not shared), for a moment."""

    def zarr(self, key: str) -> "ZarrStore":
        """What Zarr reads the data under `key` through."""


def opened(url: str) -> Store:
    """Return the store that `url` names: a folder's path, or an fsspec URL."""
    if "://" in url and not url.startswith("file://"):
        from geobench_catalog.remote_store import RemoteStore

        return RemoteStore(url)
    from geobench_catalog.local_store import LocalStore

    return LocalStore(Path(url.removeprefix("file://")).absolute())
