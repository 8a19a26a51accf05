"""File systems behind URLs (fsspec): opened, read in pieces, and what they answer, in words."""

import inspect
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from geobench_catalog.errors import CatalogError

_PIECE = 2**23  # bytes that are asked for at once
_EXCLUSIVE = ("s3", "gs", "memory")
"""Protocols that create a file under the condition that there is none, in one step."""
_SETTINGS = {"s3": " (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE)"}


class PiecewiseFile(io.RawIOBase):
    """A file that is read in large pieces; the first at once, so that one request is enough."""

    def __init__(self, part: Callable[[int, int], bytes]) -> None:
        self._part, self._place = part, 0
        self._ask()

    def _ask(self) -> None:
        piece = self._part(self._place, self._place + _PIECE)
        self._place += len(piece)
        self._unread, self._is_last = memoryview(piece), len(piece) < _PIECE

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the piece reaches; return how many bytes that were."""
        if not self._unread and not self._is_last:
            self._ask()
        taken, self._unread = self._unread[: len(buffer)], self._unread[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of `url` and the path on it, once it is known to create exclusively."""
    import fsspec

    protocol, _, path = url.partition("://")
    try:
        # What others have written meanwhile is to be seen: nothing listed is remembered.
        options = {"use_listings_cache": False, "skip_instance_cache": True} | _patience(protocol)
        fs, root = fsspec.url_to_fs(url, **options)
    except ImportError as error:
        extra = "pip install 'geobench-twin[s3]'" if protocol.startswith("s3") else f"{error}"
        raise CatalogError(f"{url} needs a package that is not here: {extra}.") from error
    except (ValueError, TypeError) as error:
        raise CatalogError(
            f"{url} cannot be opened ({error}). Name a folder or a URL of "
            f"{', '.join(f'{scheme}://' for scheme in _EXCLUSIVE)}."
        ) from error
    writer = getattr(fs, "_pipe_file", fs.pipe_file)
    if protocol not in _EXCLUSIVE or "mode" not in inspect.signature(writer).parameters:
        raise CatalogError(
            f"{url}: the file system {type(fs).__name__} cannot create a file exclusively, and "
            f"two writers would overwrite one another. Use a folder, S3 or Google storage."
        )
    if not path and protocol != "memory":
        raise CatalogError(f"{url} names no bucket. Write {protocol}://BUCKET/PREFIX.")
    return fs, root.rstrip("/")


def _patience(protocol: str) -> dict[str, Any]:
    """How long S3 may take to answer, s: s3fs gives up after 5, which a busy machine needs.

    What fsspec's own configuration says counts.
    """
    if protocol != "s3":
        return {}
    from fsspec.config import conf

    configured = conf.get(protocol, {}).get("config_kwargs", {})
    return {"config_kwargs": {"connect_timeout": 20, "read_timeout": 60} | configured}


def written(facts: dict[str, Any]) -> float:
    """When a file was written, in seconds since 1970; now if the file system does not tell."""
    times = []
    for name in ("LastModified", "created", "mtime", "updated"):
        value = facts.get(name)
        if isinstance(value, datetime):
            times.append((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
        elif isinstance(value, (int, float)):
            times.append(float(value))
    return max(times, default=time.time())


def answer(error: BaseException) -> tuple[int, str]:
    """HTTP status and code of the answer that an error of S3's client stands for; else 0."""
    response = getattr(error.__cause__, "response", None)
    if not isinstance(response, dict):
        return 0, ""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status, response.get("Error", {}).get("Code", "")


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Tell what keeps the server from answering; that a file is there or not passes."""
    protocol, _, path = url.partition("://")
    try:
        yield
    except (CatalogError, FileExistsError, AssertionError, TypeError):
        raise
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        if answer(error)[1] != "NoSuchBucket":
            raise
        bucket = path.partition("/")[0]
        raise CatalogError(
            f"{url}: there is no bucket '{bucket}'. Make it first, or correct the URL."
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CatalogError(
            f"{url} does not answer as it should ({type(error).__name__}: {reason}). Check the "
            f"network, the endpoint and the credentials{_SETTINGS.get(protocol, '')}, and try "
            f"again."
        ) from error
