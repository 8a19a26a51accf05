"""The index: an SQLite file that answers questions about entries; derived, never the truth.

It is brought up to date each time it is asked: new references are read, gone ones forgotten. It may
be deleted at any time, and one that is damaged or of another version is made anew.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from geobench_catalog.errors import CatalogError, told
from geobench_catalog.index_file import ENDINGS, cannot_write, not_ours
from geobench_catalog.index_limits import limited, reads_only, taken
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
)
from geobench_catalog.reference_files import Names
from geobench_catalog.references import Reference
from geobench_catalog.vocabulary import Vocabulary, quoted, tell_renamed

if TYPE_CHECKING:
    from geobench_catalog.entry import Entry

_Answer = TypeVar("_Answer")


class Index:
    """An index of the entries that `names` names, in a file; without one, in memory.

    `load` reads an entry; `damaged` holds the entries that it cannot read, with the reason.
    """

    def __init__(
        self,
        names: Names,
        load: "Callable[[str], Entry]",
        damaged: dict[Reference, str],
        vocabulary: Vocabulary,
        file: Path | None,
    ) -> None:
        self._names, self._load_one, self._damaged = names, load, damaged
        self._vocabulary, self._file = vocabulary, file
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
        from geobench_catalog.fields import Known

        known = Known(
            self._vocabulary,
            distinct(connection, "fields", "key"),
            distinct(connection, "measures", "name"),
            distinct(connection, "entries", "kind"),
        )
        wanted, shown = compiled(expression, known), self._shown
        extra = {name: sql for name, sql in wanted.columns.items() if name not in shown}
        columns = [*(f"e.{quoted(name)}" for name in shown), *(sql for sql, _ in extra.values())]
        # What is put into it comes from `compiled`: names of columns, and question marks.
        statement = (
            f"SELECT {', '.join(columns)} FROM entries e WHERE {wanted.where} "  # noqa: S608
            "ORDER BY e.entry"
        )
        parameters = [value for _, values in extra.values() for value in values]
        with limited(connection):
            rows = taken(connection.execute(statement, [*parameters, *wanted.parameters]))
        rows.sort(key=lambda row: (self._vocabulary.order(row[1]), row[2], row[3]))
        return [*shown, *extra], rows

    @property
    def _shown(self) -> list[str]:
        """Columns of every answer."""
        columns = [column.name for column in self._vocabulary.columns]
        first, last = ("reference", "kind", "name", "version"), ("created", "seconds", "size")
        return [*first, *columns, *last, "id", "origin"]

    def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Answer of the index to any SQL that only reads."""
        connection = self.synchronised()
        try:
            return _answer(connection, statement)
        except (sqlite3.Error, sqlite3.Warning) as error:
            if self._gives_former(connection, str(error)):
                return self.sql(statement)
            raise CatalogError(
                f"SQLite: {error}. The tables are "
                f"{', '.join(sorted(tables(connection)))}; only reading is possible."
            ) from error

    def _gives_former(self, connection: sqlite3.Connection, error: str) -> bool:
        """Make a table by its earlier name, for this connection, if it is missing."""
        missing = error.removeprefix("no such table: ")
        if missing not in self._vocabulary.former_tables:
            return False
        present, select = self._vocabulary.former_tables[missing]
        connection.execute(f"CREATE TEMP VIEW {quoted(missing)} AS {select}")
        tell_renamed(missing, present)
        return True

    def made_by(self, keys: Sequence[str], door: str | None = None) -> dict[str, list[Reference]]:
        """Entries that each of the computations `keys` made: own ones first, then the newest.

        What came in and is not trusted is left out, but for what came in by `door`.
        """
        statement = (
            "SELECT key, reference FROM entries "  # noqa: S608 # question marks
            f"WHERE key IN ({', '.join('?' * len(keys))}) AND (origin != 'imported' OR door = ?) "
            "ORDER BY origin != 'own', created DESC, entry DESC"
        )
        references: dict[str, list[Reference]] = {}
        for key, text in self._retried(
            lambda connection: connection.execute(statement, (*keys, door)).fetchall()
        ):
            references.setdefault(key, []).append(Reference.parse(text))
        return references

    def aside(self) -> list[str]:
        """Messages about entries of which the index can hold no more than the name."""
        return self._ask("SELECT reason FROM aside ORDER BY reason")

    def reference(self, entry_id: str) -> Reference | None:
        """Reference of an entry, by its id."""
        texts = self._ask("SELECT reference FROM entries WHERE id = ?", entry_id)
        return Reference.parse(texts[0]) if texts else None

    def parents(self) -> set[str]:
        """Ids of all entries that another was made from."""
        return set(self._ask("SELECT DISTINCT parent FROM parents WHERE parent IS NOT NULL"))

    def children(self, entry_id: str) -> list[Reference]:
        """Entries that were made from this one, directly."""
        texts = self._ask(
            "SELECT DISTINCT c.reference FROM parents p JOIN entries c ON c.entry = p.entry "
            "WHERE p.parent = ?",
            entry_id,
        )
        return self._vocabulary.sorted(map(Reference.parse, texts))

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
            self._mine.connection = connect(self._file, self._vocabulary)
        connection: sqlite3.Connection = self._mine.connection
        return connection

    def _synchronised(self) -> sqlite3.Connection:
        connection = self._connected()
        there = self._names.texts()
        known = known_entries(connection)
        gone = known.keys() - there
        new = self._load(there - known.keys())
        if gone or new:
            with transaction(connection):
                for text in gone:
                    forget(connection, known[text])
                insert(connection, new, self._vocabulary)
                mark_origins(connection, self._origins(new))
                self._vocabulary.derive(connection)
            known = known_entries(connection)
        self._trust(connection)
        self._label(connection, known)
        return connection

    def _load(self, texts: Iterable[str]) -> "list[Entry]":
        """Read entries; list those that cannot be read in the catalog's `damaged`."""
        self._damaged.clear()
        entries = []
        for text in texts:
            with suppress(CatalogError):  # a file of another program
                reference = Reference.parse(text)
                try:
                    entries.append(self._load_one(text))
                except CatalogError as error:
                    self._damaged[reference] = str(error)
        return entries

    def _origins(self, new: "list[Entry]") -> dict[str, str]:
        """Which of the new entries came in, and by which door: id -> door."""
        foreign = self._names.imported() if new else set()
        return {entry.id: entry.door or "archive" for entry in new if entry.id in foreign}

    def _trust(self, connection: sqlite3.Connection) -> None:
        """Bring up to date which of the imported entries count."""
        rows = connection.execute("SELECT id, origin FROM entries WHERE origin != 'own'").fetchall()
        if not rows:  # the usual case asks for no listing
            return
        trusted = self._names.trusted()
        now = {(id_, "trusted" if id_ in trusted else "imported") for id_, _ in rows}
        changed = now - set(rows)
        if changed:
            with transaction(connection):
                change = "UPDATE entries SET origin = ? WHERE id = ?"
                connection.executemany(change, [(origin, id_) for id_, origin in changed])
                self._vocabulary.derive(connection)

    def _label(self, connection: sqlite3.Connection, known: dict[str, int]) -> None:
        """Bring tags and aliases up to date."""
        names = self._names
        tags = {
            (known[str(reference)], tag)
            for reference, labels in names.tags().items()
            if str(reference) in known
            for tag in labels
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


def _answer(
    connection: sqlite3.Connection, statement: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names of the columns and rows of a statement that may only read."""
    try:
        connection.set_authorizer(reads_only)
        with limited(connection):
            cursor = connection.execute(statement)
            if cursor.description is None:
                raise CatalogError(f"'{statement}' asks for nothing. Write SELECT …")
            return [column[0] for column in cursor.description], taken(cursor)
    finally:
        connection.set_authorizer(None)
