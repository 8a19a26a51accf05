"""The file of an index: where it is, and whether it is ours, so that no other is written to."""

import hashlib
import os
import sqlite3
import stat
import urllib.parse
from contextlib import suppress
from pathlib import Path

from geobench_catalog.store import Store

APPLICATION = 0x67656F62
"""What stands in the header of an index of ours ("geob"), as `PRAGMA application_id`."""
ENDINGS = ("", "-journal", "-wal", "-shm")
_HEADER = b"SQLite format 3\0"
_FIRST = {"entries", "parents", "lineage", "fields", "scores", "tags", "aliases"}
"""Tables of the indices that were made before they had this number, and what measures are now was
called scores."""
_READ_ONLY, _BUSY, _IO, _FULL, _CANNOT_OPEN, _PROTOCOL, _NO_LARGE_FILES = 8, 5, 10, 13, 14, 15, 22
_UNWRITABLE = {_READ_ONLY, _BUSY, _IO, _FULL, _CANNOT_OPEN, _PROTOCOL, _NO_LARGE_FILES, 3}


def path_of(store: Store, mark: bytes, *, plain: bool) -> Path | None:
    """Where the index of a catalog is: inside, or in this user's cache if that is far away.

    None where nothing can be written. `plain`: the one that was made without a vocabulary, which
    lacks what a vocabulary adds.
    """
    folder, name = store.folder, "index"
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "geobench"
        name = hashlib.sha256(store.url.encode() + mark).hexdigest()[:32]
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        return None
    return folder / f"{name}{'.plain' if plain else ''}.sqlite"


def not_ours(file: Path) -> str | None:
    """Why a file must not be written to as an index; None if it is one of ours, or not there."""
    for ending in ENDINGS:
        try:
            mode = os.lstat(f"{file}{ending}").st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            return f"{file}{ending} is {'a link' if stat.S_ISLNK(mode) else 'no plain file'}"
    try:
        with file.open("rb") as opened:
            head = opened.read(100)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    if not head.strip(b"\0"):  # new, or cleared by a power cut
        return None
    if not head.startswith(_HEADER):
        return f"{file} is no index of geobench"
    if int.from_bytes(head[68:72], "big") == APPLICATION or _is_first(file):
        return None
    return f"{file} is a database of another program"


def _is_first(file: Path) -> bool:
    """Whether it has the tables of the first indices, or none at all; nothing is written."""
    uri = f"file:{urllib.parse.quote(str(file))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            (number,) = connection.execute("PRAGMA application_id").fetchone()
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return number == 0 and (not tables or ({"entries", "lineage"} <= tables <= _FIRST))


def cannot_write(error: sqlite3.Error) -> bool:
    """Whether the disk is the reason (full, read-only, without locks), not what the file holds."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _UNWRITABLE
