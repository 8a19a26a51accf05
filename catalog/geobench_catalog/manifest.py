"""The manifest of an entry: every stored file with its size and SHA-256."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from geobench_catalog.errors import CatalogError

NAME = "MANIFEST.json"
Manifest = dict[str, tuple[int, str]]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / NAME:
            yield path.relative_to(folder).as_posix(), path


def measure(folder: Path) -> Manifest:
    """Read every file under `folder` and return its size and digest, keyed by relative path."""
    return {name: measure_file(path) for name, path in _files(folder)}


def measure_file(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of one file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def encode(manifest: Manifest) -> bytes:
    """Canonical JSON of a manifest; its SHA-256 is the identity of the entry."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def digest(text: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def content_digest(manifest: Manifest) -> str:
    """Digest of the data alone: equal for two entries exactly when all their data are equal.

    The record (which holds the time and the host) is left out.
    """
    data = {name: entry for name, entry in manifest.items() if name != "record.json"}
    return digest(encode(data))


def read(folder: Path) -> Manifest:
    """Read the manifest of an entry."""
    try:
        stored = json.loads((folder / NAME).read_bytes())
        return {str(name): (int(size), str(digest)) for name, (size, digest) in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CatalogError(
            f"{folder.name[:12]}: its manifest cannot be read ({error}). Restore "
            f"{folder} from a copy, or remove its reference and make the entry again."
        ) from error


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Raise `CatalogError` unless every file is there with its recorded size.

    Zarr reads a missing chunk as fill values, silently; this is the check that notices.
    """
    for name, (size, _) in manifest.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found:,} bytes, not {size:,}"
            raise CatalogError(
                f"{folder}: {name} {state}: the entry is damaged. Restore it from a copy, or "
                f"remove its reference and make the entry again."
            )
