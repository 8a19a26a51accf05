"""The tables of the index, and how entries become rows."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench_catalog.errors import STRANGE
from geobench_catalog.index_file import APPLICATION
from geobench_catalog.oddities import day, oddity

if TYPE_CHECKING:
    from geobench_catalog.entry import Entry

_VERSION = 2
_LONG = 32  # items of a list, beyond which it is no configuration
_TABLES = """
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY, reference TEXT UNIQUE NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, version INTEGER NOT NULL, dataset TEXT, dataset_reference TEXT, model TEXT,
    scorer TEXT, seed INTEGER, created TEXT, seconds REAL, size INTEGER, content TEXT, key TEXT,
    record TEXT, origin TEXT NOT NULL DEFAULT 'own', door TEXT);
CREATE INDEX entries_id ON entries (id);
CREATE INDEX entries_key ON entries (key);
CREATE INDEX entries_kind ON entries (kind, name);
CREATE INDEX entries_origin ON entries (origin);
CREATE TABLE parents (entry INTEGER, role TEXT, parent TEXT, reference TEXT);
CREATE INDEX parents_entry ON parents (entry);
CREATE INDEX parents_parent ON parents (parent);
CREATE TABLE lineage (entry INTEGER, ancestor INTEGER, PRIMARY KEY (entry, ancestor)) WITHOUT ROWID;
CREATE INDEX lineage_ancestor ON lineage (ancestor, entry);
CREATE TABLE fields (entry INTEGER, key TEXT, value);
CREATE INDEX fields_key ON fields (key, value);
CREATE INDEX fields_entry ON fields (entry);
CREATE TABLE scores (
    entry INTEGER, scorer TEXT, "column" TEXT, lead_hours REAL, value REAL, share REAL);
CREATE INDEX scores_scorer ON scores (scorer, lead_hours);
CREATE INDEX scores_entry ON scores (entry);
CREATE TABLE aside (entry INTEGER, reason TEXT);
CREATE TABLE tags (entry INTEGER, tag TEXT);
CREATE INDEX tags_entry ON tags (entry);
CREATE TABLE aliases (alias TEXT, entry INTEGER);
CREATE INDEX aliases_entry ON aliases (entry);
"""

_NAMES = set(re.findall(r"CREATE TABLE (\w+)", _TABLES))


def connect(file: Path | None) -> sqlite3.Connection:
    """Open the index, with its tables; in memory without a file, which must be ours."""
    connection = sqlite3.connect(file or ":memory:", timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # after a power cut it is made anew
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != _VERSION or set(tables(connection)) != _NAMES:
            for table in tables(connection):
                connection.execute(f"DROP TABLE {table}")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
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
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return dict(found.fetchall())


def known_entries(connection: sqlite3.Connection) -> dict[str, int]:
    """Every entry of the index: reference -> row."""
    return dict(connection.execute("SELECT reference, entry FROM entries").fetchall())


def distinct(connection: sqlite3.Connection, table: str, column: str) -> list[str]:
    """Values of an indexed column, found without going through all rows."""
    found = connection.execute(
        f"WITH RECURSIVE t (v) AS (SELECT min({column}) FROM {table} UNION ALL "  # noqa: S608 # ours
        f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > t.v) FROM t "
        "WHERE t.v IS NOT NULL) SELECT v FROM t WHERE v IS NOT NULL"
    )
    return [value for (value,) in found]


def empty(connection: sqlite3.Connection) -> None:
    """Take everything out."""
    with transaction(connection):
        for table in _NAMES:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 # ours


def forget(connection: sqlite3.Connection, entry: int) -> None:
    """Take an entry out."""
    for table in ("entries", "parents", "lineage", "fields", "scores", "aside", "tags", "aliases"):
        connection.execute(f"DELETE FROM {table} WHERE entry = ?", (entry,))  # noqa: S608 # ours
    connection.execute("DELETE FROM lineage WHERE ancestor = ?", (entry,))


def insert(connection: sqlite3.Connection, entries: "list[Entry]") -> None:
    """Put entries in that are not there yet, and work out what follows from them."""
    known = known_entries(connection)
    fresh = [entry for entry in entries if str(entry.reference) not in known]
    for entry in fresh:
        connection.execute("SAVEPOINT entry")
        try:
            _insert_one(connection, entry)
        except (*STRANGE, sqlite3.Error) as error:
            if isinstance(error, sqlite3.OperationalError):  # a full disk, and not what it holds
                raise
            connection.execute("ROLLBACK TO entry")
            _insert_bare(connection, entry, " ".join(str(error).split())[:200])
        connection.execute("RELEASE entry")
    if fresh:
        _relate(connection)


def mark_origins(connection: sqlite3.Connection, doors: Mapping[str, str]) -> None:
    """Mark entries as imported: id -> the door they came in by."""
    connection.executemany(
        "UPDATE entries SET origin = 'imported', door = ? WHERE id = ?",
        [(door, entry_id) for entry_id, door in doors.items()],
    )


def _insert_one(connection: sqlite3.Connection, entry: "Entry") -> None:
    record, reference = entry.record, entry.reference
    cursor = connection.execute(
        "INSERT INTO entries (reference, id, kind, name, version, model, scorer, created, seconds, "
        "size, content, key, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(reference), entry.id, *reference, record.labels.get("model"),
            record.labels.get("scorer"), day(record.created),
            record.seconds, entry.size, record.content, record.key, record.model_dump_json(),
        ),
    )  # fmt: skip
    row = cursor.lastrowid
    connection.executemany(
        "INSERT INTO parents (entry, role, parent, reference) VALUES (?, ?, ?, ?)",
        [(row, role, parent.id, parent.reference) for role, parent in record.parents.items()],
    )
    connection.executemany(
        "INSERT INTO fields (entry, key, value) VALUES (?, ?, ?)",
        [(row, key, value) for key, value in _fields(record.kind, entry)],
    )
    connection.executemany(
        'INSERT INTO scores (entry, scorer, "column", lead_hours, value) VALUES (?, ?, ?, ?, ?)',
        [(row, record.labels.get("scorer"), *each) for each in _scores(record.summary)],
    )


def _insert_bare(connection: sqlite3.Connection, entry: "Entry", reason: str) -> None:
    """Put an entry in whose record no table can hold: its name, id, key and parents alone."""
    record, reference = entry.record, entry.reference
    cursor = connection.execute(
        "INSERT INTO entries (reference, id, kind, name, version, created, seconds, size, key, "
        "record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(reference), entry.id, *reference, day(record.created), record.seconds,
            min(entry.size, 2**63 - 1), "" if oddity(record.key, "") else record.key,
            json.dumps({"kind": record.kind, "name": record.name}),
        ),
    )  # fmt: skip
    row = cursor.lastrowid
    connection.executemany(
        "INSERT INTO parents (entry, role, parent, reference) VALUES (?, ?, ?, ?)",
        [
            (row, "?" if oddity(role, "") else role, parent.id, parent.reference)
            for role, parent in record.parents.items()
        ],
    )
    told = (
        f"{reference} is found by its name alone: its record holds what no index takes ({reason})"
    )
    connection.execute("INSERT INTO aside (entry, reason) VALUES (?, ?)", (row, told))


def _fields(kind: str, entry: "Entry") -> Iterator[tuple[str, Any]]:
    record = entry.record
    yield from _flat(kind, record.recipe)
    summary = {key: value for key, value in record.summary.items() if key != "scores"}
    yield from _flat("summary", summary)
    yield from _flat("label", record.labels)
    yield from _flat("environment", record.environment)


def _flat(path: str, value: object) -> Iterator[tuple[str, Any]]:
    """Numbers and texts of nested JSON by dotted path; of long lists nothing."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}", each)
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value if len(value) <= _LONG else ()):
            yield from _flat(f"{path}.{place}", each)
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield path, int(value) if isinstance(value, bool) else value


def _scores(summary: Mapping[str, Any]) -> Iterator[tuple[str, float, float | None]]:
    hours, scores = summary.get("lead_hours"), summary.get("scores")
    if isinstance(hours, list) and isinstance(scores, Mapping):
        for column, values in scores.items():
            for lead, value in zip(hours, values, strict=False):
                yield str(column), lead, value


def _relate(connection: sqlite3.Connection) -> None:
    """Work out the lineage of what is new, and what follows from it."""
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
    connection.execute(
        "UPDATE entries SET (dataset, dataset_reference) = (SELECT d.name, d.reference "
        "FROM lineage l JOIN entries d ON d.entry = l.ancestor "
        "WHERE l.entry = entries.entry AND d.kind = 'dataset' ORDER BY d.entry LIMIT 1) "
        "WHERE dataset_reference IS NULL"
    )
    connection.execute(
        "UPDATE entries SET seed = (SELECT f.value FROM lineage l JOIN fields f "
        "ON f.entry = l.ancestor WHERE l.entry = entries.entry AND +f.key = CASE entries.kind "
        "WHEN 'dataset' THEN 'dataset.seed' ELSE 'forecaster.seed' END LIMIT 1) WHERE seed IS NULL"
    )


def work_out_shares(connection: sqlite3.Connection) -> None:
    """Work out the share of the gap from climatology (0) to the truth (1) that scores close.

    Of several climatologies or forecasts of the law on a dataset the newest counts; a study's own
    reference (label "reference") before other forecasts of the law. What was made from an imported
    forecaster or forecast serves as neither, unless the dataset was imported, too.
    """
    connection.execute("UPDATE scores SET share = NULL WHERE share IS NOT NULL")
    cases: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for group in connection.execute(
        "SELECT e.dataset_reference, e.record ->> '$.recipe', e.entry, e.created, "
        "e.model = 'reference', max(f.key = 'summary.knows_law' AND f.value = 1), "
        "max(f.key = 'forecaster.model.use' AND f.value = 'climatology'), "
        "EXISTS (SELECT 1 FROM lineage x JOIN entries a ON a.entry = x.ancestor "
        "WHERE x.entry = e.entry AND a.kind != 'dataset' AND a.origin = 'imported') "
        "AND NOT EXISTS (SELECT 1 FROM entries d "
        "WHERE d.reference = e.dataset_reference AND d.origin = 'imported') "
        "FROM entries e JOIN lineage l ON l.entry = e.entry JOIN fields f ON f.entry = l.ancestor "
        "AND f.key IN ('summary.knows_law', 'forecaster.model.use') WHERE e.kind = 'score' "
        "AND e.record ->> '$.summary.better' IN ('lower', 'higher') GROUP BY e.entry"
    ):
        cases.setdefault(group[:2], []).append(group[2:])
    for group in cases.values():
        own = [each for each in group if not each[5]]
        law = max((each for each in own if each[3]), key=lambda e: (e[2], e[1]), default=None)
        base = max((each for each in own if each[4]), key=lambda e: e[1], default=None)
        if law and base:
            connection.executemany(
                "UPDATE scores SET share = (SELECT (b.value - scores.value) / "
                "nullif(b.value - t.value, 0) FROM scores t JOIN scores b "
                'ON b."column" = t."column" AND b.lead_hours = t.lead_hours '
                'WHERE t.entry = ? AND b.entry = ? AND t."column" = scores."column" '
                "AND t.lead_hours = scores.lead_hours) "
                "WHERE entry = ?",
                [(law[0], base[0], each[0]) for each in group],
            )
