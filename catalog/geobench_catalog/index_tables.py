"""The tables of the index, and how entries become rows."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench_catalog.errors import STRANGE
from geobench_catalog.index_file import APPLICATION
from geobench_catalog.oddities import day, oddity
from geobench_catalog.vocabulary import Vocabulary, quoted

if TYPE_CHECKING:
    from geobench_catalog.entry import Entry
    from geobench_catalog.record import Record

_VERSION = 3
_LONG = 32  # items of a list, beyond which it is no configuration
_TABLES = """
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY, reference TEXT UNIQUE NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, version INTEGER NOT NULL, {columns}created TEXT, seconds REAL,
    size INTEGER, content TEXT, key TEXT, record TEXT, origin TEXT NOT NULL DEFAULT 'own',
    door TEXT);
CREATE INDEX entries_id ON entries (id);
CREATE INDEX entries_key ON entries (key);
CREATE INDEX entries_kind ON entries (kind, name);
CREATE INDEX entries_origin ON entries (origin);
CREATE TABLE parents (entry INTEGER, role TEXT, parent TEXT, reference TEXT, main INTEGER);
CREATE INDEX parents_entry ON parents (entry);
CREATE INDEX parents_parent ON parents (parent);
CREATE TABLE lineage (entry INTEGER, ancestor INTEGER, PRIMARY KEY (entry, ancestor)) WITHOUT ROWID;
CREATE INDEX lineage_ancestor ON lineage (ancestor, entry);
CREATE TABLE fields (entry INTEGER, key TEXT, value);
CREATE INDEX fields_key ON fields (key, value);
CREATE INDEX fields_entry ON fields (entry);
CREATE TABLE measures (entry INTEGER, name TEXT, part TEXT, hours REAL, value REAL{derived});
CREATE INDEX measures_name ON measures (name, hours);
CREATE INDEX measures_entry ON measures (entry);
CREATE TABLE aside (entry INTEGER, reason TEXT);
CREATE TABLE tags (entry INTEGER, tag TEXT);
CREATE INDEX tags_entry ON tags (entry);
CREATE TABLE aliases (alias TEXT, entry INTEGER);
CREATE INDEX aliases_entry ON aliases (entry);
"""
_NAMES = re.findall(r"CREATE TABLE (\w+)", _TABLES)


def statements(vocabulary: Vocabulary) -> list[str]:
    """What makes the tables, with the columns that a vocabulary adds."""
    stored = {name: kind for column in vocabulary.columns for name, kind in column.stored.items()}
    columns = "".join(f"{quoted(name)} {kind}, " for name, kind in stored.items())
    derived = "".join(
        f", {quoted(name)} REAL" for name in dict.fromkeys(vocabulary.derived.values())
    )
    text = _TABLES.format(columns=columns, derived=derived)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


class _Connection(sqlite3.Connection):
    """A connection that is closed when its thread or its index goes; Python 3.13 asks for that."""

    def __del__(self) -> None:
        with suppress(sqlite3.Error):  # the garbage of another thread
            self.close()


def connect(file: Path | None, vocabulary: Vocabulary) -> sqlite3.Connection:
    """Open the index, with its tables; in memory without a file, which must be ours.

    One that was made by another version of this code, or with another vocabulary, is emptied.
    """
    connection = sqlite3.connect(
        file or ":memory:", timeout=60, isolation_level=None, factory=_Connection
    )
    connection.execute("PRAGMA synchronous = OFF")  # after a power cut it is made anew
    wanted = statements(vocabulary)
    version = 1000 * _VERSION + vocabulary.version
    with transaction(connection):
        (stored,) = connection.execute("PRAGMA user_version").fetchone()
        made = {text for text in wanted if text.startswith("CREATE TABLE")}
        if stored != version or set(tables(connection).values()) != made:
            for table in tables(connection):
                connection.execute(f"DROP TABLE {table}")
            for statement in wanted:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
    return connection


class transaction:  # noqa: N801 # used like a function
    """Everything or nothing, and nobody else in between."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:  # where the disk is full, SQLite has ended it
                self._connection.execute("ROLLBACK")


def tables(connection: sqlite3.Connection) -> dict[str, str]:
    """Tables of the index, and the statement that made each."""
    cursor = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return dict(cursor.fetchall())


def known_entries(connection: sqlite3.Connection) -> dict[str, int]:
    """Every entry of the index: reference -> row."""
    return dict(connection.execute("SELECT reference, entry FROM entries").fetchall())


def distinct(connection: sqlite3.Connection, table: str, column: str) -> list[str]:
    """Values of an indexed column, found without going through all rows."""
    cursor = connection.execute(
        f"WITH RECURSIVE t (v) AS (SELECT min({column}) FROM {table} UNION ALL "  # noqa: S608 # ours
        f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > t.v) FROM t "
        "WHERE t.v IS NOT NULL) SELECT v FROM t WHERE v IS NOT NULL"
    )
    return [value for (value,) in cursor]


def empty(connection: sqlite3.Connection) -> None:
    """Take everything out."""
    with transaction(connection):
        for table in _NAMES:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 # ours


def forget(connection: sqlite3.Connection, entry: int) -> None:
    """Take an entry out."""
    for table in _NAMES:
        connection.execute(f"DELETE FROM {table} WHERE entry = ?", (entry,))  # noqa: S608 # ours
    connection.execute("DELETE FROM lineage WHERE ancestor = ?", (entry,))


def insert(connection: sqlite3.Connection, entries: "list[Entry]", vocabulary: Vocabulary) -> None:
    """Put entries in that are not there yet, and work out what follows from them."""
    known = known_entries(connection)
    fresh = [entry for entry in entries if str(entry.reference) not in known]
    for entry in fresh:
        connection.execute("SAVEPOINT entry")
        try:
            _insert_one(connection, entry, vocabulary)
        except (*STRANGE, sqlite3.Error) as error:
            if isinstance(error, sqlite3.OperationalError):  # a full disk, and not what it holds
                raise
            connection.execute("ROLLBACK TO entry")
            _insert_bare(connection, entry, vocabulary, " ".join(str(error).split())[:200])
        connection.execute("RELEASE entry")
    if fresh:
        _relate(connection)
        _inherit(connection, vocabulary)


def mark_origins(connection: sqlite3.Connection, doors: Mapping[str, str]) -> None:
    """Mark entries as imported: id -> the door they came in by."""
    connection.executemany(
        "UPDATE entries SET origin = 'imported', door = ? WHERE id = ?",
        [(door, entry_id) for entry_id, door in doors.items()],
    )


def _insert_one(connection: sqlite3.Connection, entry: "Entry", vocabulary: Vocabulary) -> None:
    record, reference = entry.record, entry.reference
    facts = _facts(entry) | {
        "size": entry.size,
        "content": record.content,
        "key": record.key,
        "record": record.model_dump_json(),
    }
    for column in vocabulary.columns:
        facts |= column.values(reference, record)
    row = _put(connection, facts)
    _put_parents(connection, row, record, vocabulary)
    connection.executemany(
        "INSERT INTO fields (entry, key, value) VALUES (?, ?, ?)",
        [(row, key, value) for key, value in _fields(record, vocabulary.measured_in)],
    )
    connection.executemany(
        "INSERT INTO measures (entry, name, part, hours, value) VALUES (?, ?, ?, ?, ?)",
        [(row, *measure) for measure in vocabulary.measures(record)],
    )


def _facts(entry: "Entry") -> dict[str, object]:
    """What is known of every entry, whatever its record holds."""
    facts = {"reference": str(entry.reference), "id": entry.id} | entry.reference._asdict()
    return facts | {"created": day(entry.record.created), "seconds": entry.record.seconds}


def _put(connection: sqlite3.Connection, facts: Mapping[str, object]) -> int:
    """Insert a row of entries, and return its number. The names of columns are ours."""
    names, marks = ", ".join(map(quoted, facts)), ", ".join("?" * len(facts))
    cursor = connection.execute(
        f"INSERT INTO entries ({names}) VALUES ({marks})",  # noqa: S608
        tuple(facts.values()),
    )
    return int(cursor.lastrowid or 0)


def _put_parents(
    connection: sqlite3.Connection, row: int, record: "Record", vocabulary: Vocabulary
) -> None:
    main = vocabulary.kind(record.kind).main(record.parents)
    connection.executemany(
        "INSERT INTO parents (entry, role, parent, reference, main) VALUES (?, ?, ?, ?, ?)",
        [
            (row, "?" if oddity(role, "") else role, parent.id, parent.reference, role == main)
            for role, parent in record.parents.items()
        ],
    )


def _insert_bare(
    connection: sqlite3.Connection, entry: "Entry", vocabulary: Vocabulary, reason: str
) -> None:
    """Put an entry in whose record no table can hold: its name, id, key and parents alone."""
    record, reference = entry.record, entry.reference
    facts = _facts(entry) | {
        "size": min(entry.size, 2**63 - 1),
        "key": "" if oddity(record.key, "") else record.key,
        "record": json.dumps({"kind": record.kind, "name": record.name}),
    }
    for column in vocabulary.columns:
        with suppress(*STRANGE):
            values = column.values(reference, record)
            facts |= values if oddity(values, "") is None else {}
    row = _put(connection, facts)
    _put_parents(connection, row, record, vocabulary)
    message = (
        f"{reference} is found by its name alone: its record holds what no index takes ({reason})"
    )
    connection.execute("INSERT INTO aside (entry, reason) VALUES (?, ?)", (row, message))


def _fields(record: "Record", measured_in: str) -> Iterator[tuple[str, Any]]:
    yield from _flat(record.kind, record.recipe)
    summary = {key: value for key, value in record.summary.items() if key != measured_in}
    yield from _flat("summary", summary)
    yield from _flat("label", record.labels)
    yield from _flat("environment", record.environment)


def _flat(path: str, value: object) -> Iterator[tuple[str, Any]]:
    """Numbers and texts of nested JSON by dotted path; of long lists nothing."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _flat(f"{path}.{key}", child)
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value if len(value) <= _LONG else ()):
            yield from _flat(f"{path}.{index}", child)
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield path, int(value) if isinstance(value, bool) else value


def _relate(connection: sqlite3.Connection) -> None:
    """Work out the lineage of what is new."""
    connection.execute(  # records of schema 1 name their parents only
        "UPDATE parents SET parent = (SELECT e.id FROM entries e "
        "WHERE e.reference = parents.reference) WHERE parent IS NULL"
    )
    (late,) = connection.execute(
        "SELECT count(*) FROM entries e JOIN parents p ON p.parent = e.id "
        "JOIN lineage l ON l.entry = p.entry AND l.ancestor = p.entry "
        "WHERE e.entry NOT IN (SELECT entry FROM lineage)"
    ).fetchone()
    if late:  # a parent came after its child: an entry was restored
        connection.execute("DELETE FROM lineage")
    connection.execute(
        "WITH RECURSIVE up (entry, ancestor) AS ("
        "SELECT entry, entry FROM entries WHERE entry NOT IN (SELECT entry FROM lineage) UNION "
        "SELECT up.entry, e.entry FROM up JOIN parents p ON p.entry = up.ancestor "
        "JOIN entries e ON e.id = p.parent) "
        "INSERT OR IGNORE INTO lineage SELECT entry, ancestor FROM up"
    )


def _inherit(connection: sqlite3.Connection, vocabulary: Vocabulary) -> None:
    """Give entries the columns that they inherit, from the parents that come first."""
    for column in vocabulary.columns:
        for name in map(quoted, column.stored) if column.inherited else ():
            changed = 1
            while changed > 0:  # one generation after the other
                changed = connection.execute(
                    f"UPDATE entries SET {name} = p.{name} "  # noqa: S608 # ours
                    "FROM parents r JOIN entries p ON p.id = r.parent "
                    f"WHERE r.entry = entries.entry AND r.main AND entries.{name} IS NULL "
                    f"AND p.{name} IS NOT NULL"
                ).rowcount
