"""The manifest of an entry: every stored file with its size and SHA-256."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

NAME = "MANIFEST.json"
RECORD = "record.json"
LINK, NO_FILE = -1, -2
"""What stands for the size of a link, and of a pipe or a socket."""
Manifest = dict[str, tuple[int, str]]


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file under `folder`, by relative path, the manifest left out."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / NAME:
            yield path.relative_to(folder).as_posix(), path


def measure_file(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of one file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def change(size: int | None, published: int) -> str:
    """How a file that is not as large as it was published is there now."""
    if size is None:
        return "is missing"
    if size < 0:
        return "is a link" if size == LINK else "is a pipe or a socket, and no plain file"
    return f"has {size:,} bytes, not {published:,}"


def measured(content: bytes) -> tuple[int, str]:
    """Size and SHA-256 of what a file is to hold."""
    return len(content), digest(content)


def encode(manifest: Manifest) -> bytes:
    """Canonical JSON of a manifest; its SHA-256 is the identity of the entry."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def decode(text: bytes) -> Manifest:
    """Read a manifest; `ValueError` if it is none, or names a file outside its entry."""
    try:
        stored = json.loads(text)
        manifest = {str(name): (int(size), str(sha)) for name, (size, sha) in stored.items()}
    except (TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no manifest ({error})") from error
    for name, (size, _) in manifest.items():
        if not is_inside(name) or name == NAME or size < 0:
            raise ValueError(f"it names the file {name!r}, which no entry can hold")
    return manifest


def is_inside(name: str) -> bool:
    """Whether `name` is a plain relative path that stays inside its folder."""
    plain = not {"", ".", ".."} & set(name.split("/"))
    return plain and "\\" not in name and name.isprintable()


def digest(text: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def data(manifest: Manifest) -> Manifest:
    """Everything but the record (which holds the time and the host)."""
    return {name: entry for name, entry in manifest.items() if name != RECORD}


def size(manifest: Manifest) -> int:
    """Stored bytes of the data."""
    return sum(size for size, _ in data(manifest).values())


def content_digest(manifest: Manifest) -> str:
    """Digest of the data alone: equal for two entries exactly when all their files are equal.

    Files are compared as stored: another build of a compressor may store equal numbers in other
    bytes (`geobench catalog diff` compares the numbers).
    """
    return digest(encode(data(manifest)))
