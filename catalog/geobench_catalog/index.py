"""The index: an SQLite file that answers questions about entries; derived, never the truth.

It is brought up to date each time it is asked: new references are read, gone ones forgotten. It may
be deleted at any time, and one that is damaged or of another version is made anew.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from geobench_catalog.errors import CatalogError, told
from geobench_catalog.index_file import ENDINGS, cannot_write, not_ours
from geobench_catalog.index_tables import (
    connect,
    distinct,
    empty,
    forget,
    insert,
    known_entries,
    mark_origins,
    tables,
    transaction,
    work_out_shares,
)
from geobench_catalog.references import KINDS, Reference

if TYPE_CHECKING:
    from geobench_catalog.catalog import Catalog
    from geobench_catalog.entry import Entry

_SHOWN = (
    "reference", "kind", "name", "version", "dataset", "model", "scorer", "seed", "created",
    "seconds", "size", "id", "origin",
)  # fmt: skip

_Answer = TypeVar("_Answer")
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


def _reads_only(action: int, *_: object) -> int:
    """Whether SQLite may do this for somebody's statement."""
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


@contextmanager
def _limited(connection: sqlite3.Connection) -> Iterator[None]:
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


def _taken(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    """All rows of an answer, unless they are too many or too long."""
    rows, size = [], 0
    for row in cursor:
        rows.append(row)
        size += sum(len(each) for each in row if isinstance(each, str | bytes))
        if len(rows) > MOST_ROWS or size > MOST_BYTES:
            raise CatalogError(
                f"the answer is larger than the limit of {MOST_ROWS:,} rows and "
                f"{MOST_BYTES >> 20} MiB. Ask for less, or add LIMIT."
            )
    return rows


class Index:
    """An index of one catalog; a `private` one is in memory, and made from the records alone."""

    def __init__(self, catalog: "Catalog", *, private: bool = False) -> None:
        self._catalog = catalog
        self._file = None if private else _file(catalog)
        self.unused: str | None = None
        """Why the file is not used: it is then left alone, and all is in memory."""
        self._mine = threading.local()  # SQLite wants a connection for each thread

    @contextmanager
    def still(self) -> Iterator[None]:
        """Bring it up to date now and not before the end of the block, whatever is asked.

        For many questions in a row, each of which would list the whole catalog. What is published
        meanwhile, by whomever, may not be found.
        """
        self.synchronised()
        self._mine.still = True
        try:
            yield
        finally:
            self._mine.still = False

    # -- asking

    def query(self, expression: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Entries for which `expression` holds: names of the columns, and a row for each."""
        return self._retried(lambda connection: self._query(connection, expression))

    def _query(
        self, connection: sqlite3.Connection, expression: str
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        from geobench_catalog.expression import compiled

        keys, scorers = (
            distinct(connection, "fields", "key"),
            distinct(connection, "scores", "scorer"),
        )
        wanted = compiled(expression, keys, scorers)
        extra = {name: sql for name, sql in wanted.columns.items() if name not in _SHOWN}
        columns = [*(f"e.{name}" for name in _SHOWN), *(sql for sql, _ in extra.values())]
        # What is put into it comes from `compiled`: names of columns, and question marks.
        statement = (
            f"SELECT {', '.join(columns)} FROM entries e WHERE {wanted.where} "  # noqa: S608
            "ORDER BY e.entry"
        )
        parameters = [each for _, own in extra.values() for each in own]
        with _limited(connection):
            rows = _taken(connection.execute(statement, [*parameters, *wanted.parameters]))
        rows.sort(key=lambda row: (KINDS.index(row[1]), row[2], row[3]))
        return [*_SHOWN, *extra], rows

    def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Answer of the index to any SQL that only reads."""
        connection = self.synchronised()
        try:
            connection.set_authorizer(_reads_only)
            with _limited(connection):
                cursor = connection.execute(statement)
                if cursor.description is None:
                    raise CatalogError(f"'{statement}' asks for nothing. Write SELECT …")
                return [column[0] for column in cursor.description], _taken(cursor)
        except (sqlite3.Error, sqlite3.Warning) as error:
            connection.set_authorizer(None)
            raise CatalogError(
                f"SQLite: {error}. The tables are "
                f"{', '.join(sorted(tables(connection)))}; only reading is possible."
            ) from error
        finally:
            connection.set_authorizer(None)

    def made_by(self, keys: Sequence[str], door: str | None = None) -> dict[str, list[Reference]]:
        """Entries that each of the computations `keys` made: own ones first, then the newest.

        What came in and is not trusted is left out, but for what came in by `door`.
        """
        statement = (
            "SELECT key, reference FROM entries "  # noqa: S608 # question marks
            f"WHERE key IN ({', '.join('?' * len(keys))}) AND (origin != 'imported' OR door = ?) "
            "ORDER BY origin != 'own', created DESC, entry DESC"
        )
        found: dict[str, list[Reference]] = {}
        for key, text in self._retried(
            lambda connection: connection.execute(statement, (*keys, door)).fetchall()
        ):
            found.setdefault(key, []).append(Reference.parse(text))
        return found

    def aside(self) -> list[str]:
        """Messages about entries of which the index can hold no more than the name."""
        return self._ask("SELECT reason FROM aside ORDER BY reason")

    def reference(self, entry_id: str) -> Reference | None:
        """Reference of an entry, by its id."""
        found = self._ask("SELECT reference FROM entries WHERE id = ?", entry_id)
        return Reference.parse(found[0]) if found else None

    def parents(self) -> set[str]:
        """Ids of all entries that another was made from."""
        return set(self._ask("SELECT DISTINCT parent FROM parents WHERE parent IS NOT NULL"))

    def children(self, entry_id: str) -> list[Reference]:
        """Entries that were made from this one, directly."""
        found = self._ask(
            "SELECT DISTINCT c.reference FROM parents p JOIN entries c ON c.entry = p.entry "
            "WHERE p.parent = ?",
            entry_id,
        )
        references = map(Reference.parse, found)
        return sorted(references, key=lambda each: (KINDS.index(each.kind), each))

    def _ask(self, statement: str, *parameters: str) -> list[str]:
        """First column of the answer, brought up to date."""
        return self._retried(
            lambda connection: [row[0] for row in connection.execute(statement, parameters)]
        )

    def _retried(
        self, ask: Callable[[sqlite3.Connection], _Answer], *, as_it_is: bool = False
    ) -> _Answer:
        """Ask the index; open it again if another process made it anew, or make it anew.

        It is brought up to date first, unless it is asked `as_it_is`.
        """
        # What was brought up to date is in the connection; without a file it is gone with that.
        still = getattr(self._mine, "still", False) and hasattr(self._mine, "connection")
        still = still or as_it_is
        ready = self._connected if still else self._synchronised
        for mend in (self._close, self._forget):
            try:
                return ask(ready())
            except sqlite3.DatabaseError as error:
                if self._file and cannot_write(error):
                    self._do_without(f"{self._file} cannot be written ({error})")
                else:
                    mend()
                ready = self._connected if as_it_is else self._synchronised
        try:
            return ask(ready())
        except sqlite3.DatabaseError as error:
            raise CatalogError(
                f"the index {self._file} cannot be used ({error}). Remove it: it is made anew."
            ) from error

    # -- keeping it up to date

    def rebuild(self) -> int:
        """Make it anew; return how many entries it has."""
        self._retried(empty, as_it_is=True)
        self._retried(lambda _: self._synchronised(), as_it_is=True)  # also while it is `still`
        return int(self._ask("SELECT count(*) FROM entries")[0])

    def _close(self) -> None:
        connection = getattr(self._mine, "connection", None)
        if connection:
            connection.close()
            del self._mine.connection

    def _forget(self) -> None:
        self._close()
        if self._file and not_ours(self._file) is None:
            with told(f"index {self._file}"):
                for ending in ENDINGS:
                    Path(f"{self._file}{ending}").unlink(missing_ok=True)

    def _do_without(self, reason: str) -> None:
        """Answer from memory from now on."""
        self._close()
        self._file, self.unused = None, reason

    def synchronised(self) -> sqlite3.Connection:
        """Return a connection to the index, which knows what there is now."""
        return self._retried(lambda connection: connection)

    def _connected(self) -> sqlite3.Connection:
        if not hasattr(self._mine, "connection"):
            if self._file and (reason := not_ours(self._file)):
                self._do_without(reason)
            self._mine.connection = connect(self._file)
        connection: sqlite3.Connection = self._mine.connection
        return connection

    def _synchronised(self) -> sqlite3.Connection:
        connection = self._connected()
        there = self._catalog.names.texts()
        known = known_entries(connection)
        gone = known.keys() - there
        new = self._load(there - known.keys())
        if gone or new:
            with transaction(connection):
                for text in gone:
                    forget(connection, known[text])
                insert(connection, new)
                mark_origins(connection, self._origins(new))
                work_out_shares(connection)
            known = known_entries(connection)
        self._trust(connection)
        self._label(connection, known)
        return connection

    def _load(self, texts: Iterable[str]) -> "list[Entry]":
        """Read entries; those that cannot be are told in the catalog's `damaged`."""
        self._catalog.damaged.clear()
        found = []
        for text in texts:
            with suppress(CatalogError):  # a file of another program
                reference = Reference.parse(text)
                try:
                    found.append(self._catalog.get(text))
                except CatalogError as error:
                    self._catalog.damaged[reference] = str(error)
        return found

    def _origins(self, new: "list[Entry]") -> dict[str, str]:
        """Which of the new entries came in, and by which door: id -> door."""
        foreign = self._catalog.names.imported() if new else set()
        return {entry.id: entry.door or "archive" for entry in new if entry.id in foreign}

    def _trust(self, connection: sqlite3.Connection) -> None:
        """Bring up to date which of the imported entries count."""
        rows = connection.execute("SELECT id, origin FROM entries WHERE origin != 'own'").fetchall()
        if not rows:  # the usual case asks for no listing
            return
        trusted = self._catalog.names.trusted()
        now = {(id_, "trusted" if id_ in trusted else "imported") for id_, _ in rows}
        changed = now - set(rows)
        if changed:
            with transaction(connection):
                change = "UPDATE entries SET origin = ? WHERE id = ?"
                connection.executemany(change, [(origin, id_) for id_, origin in changed])
                work_out_shares(connection)

    def _label(self, connection: sqlite3.Connection, known: dict[str, int]) -> None:
        """Bring tags and aliases up to date."""
        names = self._catalog.names
        tags = {
            (known[str(reference)], tag)
            for reference, own in names.tags().items()
            if str(reference) in known
            for tag in own
        }
        aliases = set()
        for alias in names.aliases():
            with suppress(CatalogError):
                aimed = str(names.aimed(alias))
                if aimed in known:
                    aliases.add((str(alias), known[aimed]))
        for table, columns, rows in (
            ("tags", "entry, tag", tags),
            ("aliases", "alias, entry", aliases),
        ):
            if set(connection.execute(f"SELECT {columns} FROM {table}")) != rows:  # noqa: S608 # ours
                with transaction(connection):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
                    put = f"INSERT INTO {table} ({columns}) VALUES (?, ?)"  # noqa: S608
                    connection.executemany(put, rows)


def _file(catalog: "Catalog") -> Path | None:
    """Where the index of a catalog is: inside, or in this user's cache if that is far away."""
    folder = catalog.store.folder
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        name = hashlib.sha256(catalog.url.encode() + catalog.mark).hexdigest()[:32]
        folder = Path(home) / "geobench"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.sqlite" if os.access(folder, os.W_OK) else None
    return folder / "index.sqlite" if os.access(folder, os.W_OK) else None
