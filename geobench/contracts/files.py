"""Fields of plugins that are paths: part of a recipe is what a file holds, and not where it lies.

In a recipe such a field is `{file: winds.npz, sha256: 3ab…}`. The identity leaves out `file`
(`geobench_catalog.record.identity`), so a moved file is the same and an edited one is another.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from geobench.errors import GeobenchError

_KEYS = {"file", "sha256"}
_SETTLED = 2.0  # seconds: an edit within the clock's tick of another leaves times as they were

_seen: dict[tuple[Any, ...], str] = {}  # digest, by path, size and times
_known: dict[str, Path] = {}  # where a content was found last, by digest


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder that of its files' digests and paths in it."""
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {digest(file)}" for file in inside]
        checksum = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    else:
        checksum = _digest_of_file(path)
    _known[checksum] = path
    return checksum


def _digest_of_file(path: Path) -> str:
    try:
        facts = path.stat()
        key = path.absolute(), facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
        if key not in _seen:
            with path.open("rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
            if time.time() - facts.st_ctime < _SETTLED:
                return checksum
            _seen[key] = checksum
        return _seen[key]
    except FileNotFoundError:
        raise GeobenchError(f"there is no file '{path}'. Check the path.") from None
    except OSError as error:
        reason = error.strerror or error
        raise GeobenchError(f"the file '{path}' cannot be read ({reason}).") from error


def referenced(value: Any, dumped: Any, digests: Mapping[Path, str]) -> Any:
    """Return what was dumped of `value`, with the digest of each file beside its path.

    `digests` are known already; those of other files are computed.
    """
    if isinstance(value, Path):
        return {"file": str(value), "sha256": digests.get(value) or digest(value)}
    if isinstance(value, BaseModel) and isinstance(dumped, Mapping):
        pairs = (
            (key, getattr(value, key, None), inner_dumped) for key, inner_dumped in dumped.items()
        )
        return {key: referenced(inner, inner_dumped, digests) for key, inner, inner_dumped in pairs}
    if isinstance(value, Mapping) and isinstance(dumped, Mapping) and len(value) == len(dumped):
        both = zip(value.values(), dumped.items(), strict=True)
        return {
            key: referenced(inner, inner_dumped, digests) for inner, (key, inner_dumped) in both
        }
    if isinstance(value, list | tuple) and isinstance(dumped, list):
        return [referenced(*pair, digests) for pair in zip(value, dumped, strict=True)]
    return dumped


def found(given: Any, annotation: Any) -> Any:
    """Return what was given for a field with the path in place of each reference to a file."""
    if not _may_be_path(annotation):
        return given
    if isinstance(given, Mapping) and given.keys() == _KEYS:
        return _found(Path(str(given["file"])), str(given["sha256"]))
    if isinstance(given, Mapping):
        return {key: found(value, annotation) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [found(value, annotation) for value in given]
    return given


def _may_be_path(annotation: Any) -> bool:
    inner = (argument for argument in get_args(annotation) if argument is not Ellipsis)
    return annotation is Path or any(map(_may_be_path, inner))


def _found(path: Path, wanted: str) -> Path:
    """Return the path of a file with this content: there, or where such a one was seen."""
    for candidate in (path, _known.get(wanted, path)):
        if candidate.exists() and digest(candidate) == wanted:
            return candidate
    there = "holds something else now" if path.exists() else "is not there"
    raise ValueError(
        f"the recipe names the file '{path}' with the SHA-256 {wanted[:12]}…, and it {there}. Put "
        f"that file back in its place"
    )


def paths(value: Any) -> Iterator[Path]:
    """Every path in a value: in groups of fields, mappings and lists, too."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from paths(getattr(value, key))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from paths(inner)
