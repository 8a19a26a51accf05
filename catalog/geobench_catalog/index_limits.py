"""What a question to the index may do and take: it only reads, and ends."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from geobench_catalog.errors import CatalogError

MOST_SECONDS = 60.0
"""Time that a question may take."""
MOST_ROWS = 1_000_000
"""Rows that an answer may have."""
MOST_BYTES = 2**26
"""Bytes of text that an answer may have."""
_READING = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)


def reads_only(action: int, *_: object) -> int:
    """Whether SQLite may do this for somebody's statement."""
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


@contextmanager
def limited(connection: sqlite3.Connection) -> Iterator[None]:
    """Stop a question that takes too long, or makes a text too long, with a line that says so."""
    end = time.monotonic() + MOST_SECONDS
    late = False

    def check() -> bool:
        nonlocal late
        late = late or time.monotonic() > end
        return late

    length = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    connection.set_progress_handler(check, 10_000)  # steps of SQLite's machine: milliseconds
    try:
        yield
    except sqlite3.Error as error:
        if not late:
            raise
        raise CatalogError(
            f"the question took longer than {MOST_SECONDS:g} s, which is the limit. Ask for less, "
            f"or join tables by entry."
        ) from error
    finally:
        connection.set_progress_handler(None, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, length)


def taken(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    """All rows of an answer, unless they are too many or too long."""
    rows, size = [], 0
    for row in cursor:
        rows.append(row)
        size += sum(len(cell) for cell in row if isinstance(cell, str | bytes))
        if len(rows) > MOST_ROWS or size > MOST_BYTES:
            raise CatalogError(
                f"the answer is larger than the limit of {MOST_ROWS:,} rows and "
                f"{MOST_BYTES >> 20} MiB. Ask for less, or add LIMIT."
            )
    return rows
