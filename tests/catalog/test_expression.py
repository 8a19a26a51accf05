"""Expressions: what they pick in a catalog made by hand, and what a plain evaluator picks."""

import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

import pytest

from geobench_catalog import Column, Vocabulary
from geobench_catalog.errors import CatalogError
from geobench_catalog.expression import Compiled, compiled
from geobench_catalog.fields import Known

SCHEMA = """
CREATE TABLE entries (entry INTEGER PRIMARY KEY, reference TEXT UNIQUE, id TEXT, kind TEXT,
    name TEXT, version INTEGER, dataset TEXT, dataset_reference TEXT, model TEXT, scorer TEXT,
    seed INTEGER, created TEXT, seconds REAL, size INTEGER, content TEXT, key TEXT, record TEXT);
CREATE TABLE lineage (entry INTEGER, ancestor INTEGER);
CREATE TABLE fields (entry INTEGER, key TEXT, value);
CREATE TABLE measures (
    entry INTEGER, name TEXT, part TEXT, hours REAL, value REAL, skill REAL);
CREATE TABLE tags (entry INTEGER, tag TEXT);
CREATE TABLE aliases (alias TEXT, entry INTEGER);
CREATE INDEX lineage_down ON lineage (entry, ancestor);
CREATE INDEX lineage_up ON lineage (ancestor, entry);
CREATE INDEX fields_key ON fields (key, value);
CREATE INDEX fields_entry ON fields (entry);
CREATE INDEX measures_name ON measures (name, hours);
CREATE INDEX tags_tag ON tags (tag);
"""
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)

Row = dict[str, Any]


def _entry(reference: str, created: str, of: tuple[str, ...] = (), **more: Any) -> Row:
    """An entry as a plain dict; `of` names all its ancestors."""
    kind, name, version = re.split("[/@]", reference)
    nothing: Row = {"seed": None, "fields": {}, "scores": [], "tags": [], "aliases": []}
    columns = {"reference": reference, "kind": kind, "name": name, "version": int(version)}
    dataset = next((one for one in (reference, *of) if one.startswith("dataset/")), None)
    parent = {
        "dataset_reference": dataset,
        "dataset": dataset and re.split("[/@]", dataset)[1],
        "model": None,
        "scorer": None,
    }
    when = {"created": created, "seconds": 10.0, "size": 1000, "id": "0", "key": "k"}
    return nothing | columns | parent | when | {"content": "c", "of": of} | more


# lorenz95 has two versions; narrow and wide were trained on the first, calm on shallow-water.
L1, L2, SW = "dataset/lorenz95@1", "dataset/lorenz95@2", "dataset/shallow-water@1"
NARROW, WIDE, CALM = "forecaster/narrow@1", "forecaster/wide@1", "forecaster/calm@1"
F_NARROW, F_WIDE, F_CALM = "forecast/narrow@1", "forecast/wide@1", "forecast/calm@1"
CRPS_NARROW, CRPS_WIDE, BRIER = "score/narrow-crps@1", "score/wide-crps@1", "score/wide-brier@1"

ENTRIES = [
    _entry(
        L1,
        "2026-11-20T08:00:00+00:00",
        id="3f2a01",
        seed=1,
        size=5_000_000,
        seconds=45.0,
        fields={"dataset.simulator.forcing": 8.0, "dataset.steps": 100},
        aliases=["dataset/lorenz95@paper", "dataset/lorenz95@first"],
        tags=["paper"],
    ),
    _entry(
        L2,
        "2026-11-23T23:59:59.999999+00:00",
        id="3f2b02",
        seed=2,
        size=2 * 1024**3,
        seconds=7200.0,
        fields={"dataset.simulator.forcing": 10, "dataset.steps": 200},
        tags=["draft", "paper"],
    ),
    _entry(
        SW,
        "2026-11-24T00:00:00+00:00",
        id="77aa03",
        size=300_000,
        seconds=300.0,
        fields={"dataset.simulator.depth": 100.0},
    ),
    _entry(
        NARROW,
        "2026-11-24T16:00:00.000001+00:00",
        (L1,),
        model="flow",
        fields={
            "forecaster.model.width": 64,
            "forecaster.model.residual": 0,
            "forecaster.model.dropout": None,
            "forecaster.training.steps": 1000,
            "label.run": "64",
            "environment.python": "3.11",
        },
    ),
    _entry(
        WIDE,
        "2026-11-24T16:00:59+00:00",
        (L1,),
        model="flow",
        fields={
            "forecaster.model.width": 128,
            "forecaster.model.residual": 1,
            "forecaster.model.dropout": 0.1,
            "label.run": "Best_run",
        },
    ),
    _entry(CALM, "2026-11-24T16:01:00+00:00", (SW,), model="persistence"),
    _entry(
        F_NARROW,
        "2026-11-25T00:00:00+00:00",
        (NARROW, L1),
        model="flow",
        fields={"forecast.members": 20},
    ),
    _entry(
        F_WIDE,
        "2026-11-25T06:00:00+00:00",
        (WIDE, L1),
        model="flow",
        fields={"forecast.members": 50},
        tags=['it\'s "odd"'],
    ),
    _entry(F_CALM, "2026-11-25T11:00:00+00:00", (CALM, SW), model="persistence"),
    _entry(
        CRPS_NARROW,
        "2026-11-25T11:30:00+00:00",
        (F_NARROW, NARROW, L1),
        model="flow",
        scorer="crps",
        scores=[
            ("crps", "x", 24.0, 0.5, 0.9),
            ("crps", "x", 120.0, 2.0, 0.7),
        ],
    ),
    _entry(
        CRPS_WIDE,
        "2026-11-25T11:31:00+00:00",
        (F_WIDE, WIDE, L1),
        model="flow",
        scorer="crps",
        scores=[
            ("crps", "x", 24.0, 0.25, None),
            ("crps", "x", 120.0 + 1e-9, 1.5, 0.85),
        ],
    ),
    _entry(
        BRIER,
        "2026-11-25T11:32:00+00:00",
        (F_WIDE, WIDE, L1),
        model="flow",
        scorer="brier",
        scores=[
            ("brier", "X above 90%", 72.0, 0.05, 0.6),
            ("brier", "X above 99%", 72.0, 0.01, 0.2),
        ],
    ),
]
DATASETS = {L1, L2, SW}
ALL = {entry["reference"] for entry in ENTRIES}
OF_NARROW = {NARROW, F_NARROW, CRPS_NARROW}
OF_WIDE = {WIDE, F_WIDE, CRPS_WIDE, BRIER}
OF_CALM = {CALM, F_CALM}
OF_L1 = {L1} | OF_NARROW | OF_WIDE
WITH_BRIER = {BRIER, F_WIDE, WIDE, L1}
WITH_WIDE_CRPS = {CRPS_WIDE, F_WIDE, WIDE, L1}
WITH_NARROW_CRPS = {CRPS_NARROW, F_NARROW, NARROW, L1}

COLUMNS = ["reference", "id", "kind", "name", "version", "dataset", "dataset_reference", "model"]
COLUMNS += ["scorer", "seed", "created", "seconds", "size", "content", "key"]


def _database(entries: list[Row]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA)
    numbers = {entry["reference"]: number for number, entry in enumerate(entries, 1)}
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    for entry in entries:
        number = numbers[entry["reference"]]
        row = (number, *(entry[column] for column in COLUMNS))
        database.execute(f"INSERT INTO entries (entry, {', '.join(COLUMNS)}) VALUES ({marks})", row)
        rows: dict[str, list[tuple[Any, ...]]] = {
            "lineage VALUES (?, ?)": [
                (number, numbers[one]) for one in (entry["reference"], *entry["of"])
            ],
            "fields VALUES (?, ?, ?)": [(number, *item) for item in entry["fields"].items()],
            "measures VALUES (?, ?, ?, ?, ?, ?)": [(number, *score) for score in entry["scores"]],
            "tags VALUES (?, ?)": [(number, tag) for tag in entry["tags"]],
            "aliases VALUES (?, ?)": [(alias, number) for alias in entry["aliases"]],
        }
        for target, values in rows.items():
            database.executemany(f"INSERT INTO {target}", values)
    return database


KEYS = sorted({key for entry in ENTRIES for key in entry["fields"]})
SCORERS = ["crps", "brier", "spread-skill"]
WORDS = Vocabulary(
    columns=(
        Column("dataset", lambda *_: None, "reference"),
        Column("model", lambda *_: None),
        Column("scorer", lambda *_: None),
        Column("seed", lambda *_: None, "integer"),
    ),
    derived={"skill": "skill"},
    former={"share": "skill"},
)


def _compiled(text: str, keys: list[str] = KEYS) -> Compiled:
    return compiled(text, Known(WORDS, keys, SCORERS), NOW)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    database = _database(ENTRIES)
    yield database
    database.close()


def _picked(database: sqlite3.Connection, text: str, keys: list[str] = KEYS) -> set[str]:
    query = _compiled(text, keys)
    sql = f"SELECT e.reference FROM entries e WHERE {query.where}"
    return {reference for (reference,) in database.execute(sql, query.parameters)}


def _shown(database: sqlite3.Connection, text: str, reference: str) -> dict[str, Any]:
    """The values of the columns that `text` asks for, for one entry."""
    columns = _compiled(text).columns
    return {
        name: database.execute(
            f"SELECT {sql} FROM entries e WHERE e.reference = ?", (*parameters, reference)
        ).fetchone()[0]
        for name, (sql, parameters) in columns.items()
    }


PICKS: dict[str, set[str]] = {
    "": ALL,
    "  \n ": ALL,
    # fields of an entry
    "kind = dataset": DATASETS,
    "kind=dataset": DATASETS,
    "kind != dataset": ALL - DATASETS,
    "kind in (dataset, 'score')": DATASETS | {CRPS_NARROW, CRPS_WIDE, BRIER},
    "name = lorenz95": {L1, L2},
    "name = LORENZ95": set(),
    "name ~ LORENZ??": {L1, L2},
    "name ~ *-*": {SW, CRPS_NARROW, CRPS_WIDE, BRIER},
    "name ~ lorenz": set(),
    "version > 1": {L2},
    "version = 1.0 and name = lorenz95": {L1},
    f"reference = {L2}": {L2},
    "reference ~ 'forecast/*'": {F_NARROW, F_WIDE, F_CALM},
    "id = 3f2": {L1, L2},
    "id = 3f2b": {L2},
    "id in (77, 3f2a01)": {SW, L1},
    "kind = dataset and id != 3f2": {SW},
    "kind = dataset and id = 3_2": set(),
    "dataset = lorenz95 and kind = dataset": {L1, L2},
    "dataset = lorenz95": OF_L1 | {L2},
    "dataset = dataset/lorenz95@1": OF_L1,
    "dataset in (dataset/lorenz95@2, shallow-water)": {L2, SW} | OF_CALM,
    "dataset ~ dataset/*@2": {L2},
    "model": OF_NARROW | OF_WIDE | OF_CALM,
    "model != flow": OF_CALM,
    "not model = flow": DATASETS | OF_CALM,
    "scorer = crps": {CRPS_NARROW, CRPS_WIDE},
    "not scorer": ALL - {CRPS_NARROW, CRPS_WIDE, BRIER},
    "seed": {L1, L2},
    "seed <= 1": {L1},
    "seed != 1": {L2},
    "content = c and key = k and kind = dataset": DATASETS,
    # tags and aliases
    "tag": {L1, L2, F_WIDE},
    "tag = paper": {L1, L2},
    "tag != paper": {L2, F_WIDE},
    "not tag = paper": ALL - {L1, L2},
    "tag in (draft, missing)": {L2},
    "alias = dataset/lorenz95@paper": {L1},
    "alias ~ *@FIRST": {L1},
    # dates
    "created = 2026-11-24": {SW, NARROW, WIDE, CALM},
    "created != 2026-11-24": ALL - {SW, NARROW, WIDE, CALM},
    "created < 2026-11-24": {L1, L2},
    "created <= 2026-11-24": {L1, L2, SW, NARROW, WIDE, CALM},
    "created > 2026-11-24": ALL - {L1, L2, SW, NARROW, WIDE, CALM},
    "created >= 2026-11-24": ALL - {L1, L2},
    "created in (2026-11-20, 2026-11-23)": {L1, L2},
    "created = 2026-11-24T16:00": {NARROW, WIDE},
    "created > 2026-11-24T16:00 and created < 2026-11-25": {CALM},
    "created = '2026-11-24 16:00:59'": {WIDE},
    "created = 2026-11-24T16:00:00.000001+00:00": {NARROW},
    "created = 2026-11-24T17:00:59+01:00": {WIDE},
    "created ~ 2026-11-2?T16:*": {NARROW, WIDE, CALM},
    "created > -1d": ALL - DATASETS,
    "created >= -1h": {F_CALM, CRPS_NARROW, CRPS_WIDE, BRIER},
    "created < -2d": {L1},
    # sizes and durations
    "size > 1.5GiB": {L2},
    "size = 300kB": {SW},
    "size in (5MB, 2gib)": {L1, L2},
    "size < 1000": set(),
    "size = 1000B": ALL - DATASETS,
    "seconds = 45s or seconds = 5min": {L1, SW},
    "seconds >= 2h": {L2},
    "seconds < 0.001d and seconds != 10": {L1},
    # configuration, with what was made from it
    "forecaster.model.width > 64": OF_WIDE,
    "model.width >= 64": OF_NARROW | OF_WIDE,
    "width = 64.0": OF_NARROW,
    "width in (64, 128) and kind = forecaster": {NARROW, WIDE},
    "width != 64": OF_WIDE,
    "not width = 64": ALL - OF_NARROW,
    "width": OF_NARROW | OF_WIDE,
    "width < 1e9 and width > -1.5e0": OF_NARROW | OF_WIDE,
    "width ~ 1*": OF_WIDE,
    "width < abc": set(),
    "dataset.simulator.forcing = 8": OF_L1,
    "forcing > 8": {L2},
    "residual = true": OF_WIDE,
    "residual = False": OF_NARROW,
    "dropout": OF_WIDE,
    "dropout >= 0.1": OF_WIDE,
    "members = 50": {F_WIDE, CRPS_WIDE, BRIER},
    "label.run = 64": OF_NARROW,
    "run = '64'": OF_NARROW,
    "width = '64'": set(),
    "run > 3": set(),
    "run > A": OF_WIDE,
    "run ~ best_*": OF_WIDE,
    "run ~ best%": set(),
    "python = 3.11": OF_NARROW,
    # scores, with what they were made from
    "crps@5d < 2": WITH_WIDE_CRPS,
    "crps@5d <= 2": WITH_WIDE_CRPS | WITH_NARROW_CRPS,
    "crps@120h < 2 and kind = forecast": {F_WIDE},
    "crps@36h": set(),
    "crps@1.0d": WITH_WIDE_CRPS | WITH_NARROW_CRPS,
    "crps < 0.5": WITH_WIDE_CRPS,
    "crps.skill@5d > 0.8": WITH_WIDE_CRPS,
    "crps.skill@1d": WITH_NARROW_CRPS,
    "crps.skill": WITH_NARROW_CRPS | WITH_WIDE_CRPS,
    "crps.share@5d > 0.8": WITH_WIDE_CRPS,  # another word for the same column
    "brier[x ABOVE 99].share@3d = 0.2": WITH_BRIER,
    "crps@1d != 0.5": WITH_WIDE_CRPS,
    "brier[90%]@3d < 0.1": WITH_BRIER,
    "brier[90%]@3d < 0.05": set(),
    "brier[x ABOVE 99].skill@3d = 0.2": WITH_BRIER,
    "brier[9_%]": set(),
    "brier@3d in (0.01, 7)": WITH_BRIER,
    "spread-skill@5d": set(),
    # combinations
    "kind = forecast and crps@5d < 2 or tag = draft": {F_WIDE, L2},
    "tag = draft or kind = forecast and crps@5d < 2": {F_WIDE, L2},
    "(tag = draft OR kind = forecast) And crps@5d < 2": {F_WIDE},
    "not kind = dataset and not model = flow": OF_CALM,
    "not (kind = dataset or model = flow)": OF_CALM,
    "not not seed": {L1, L2},
    "kind = forecast and dataset = lorenz95 and crps.skill@5d > 0.8": {F_WIDE},
    "name = 'and'": set(),
}


@pytest.mark.parametrize(("text", "expected"), PICKS.items())
def test_an_expression_picks_what_it_says(
    database: sqlite3.Connection, text: str, expected: set[str]
) -> None:
    assert _picked(database, text) == expected


def test_the_whole_key_is_meant_where_it_ends_another() -> None:
    entries = [
        _entry("dataset/a@1", "2026-01-01T00:00:00+00:00", fields={"label.width": 1}),
        _entry("dataset/b@1", "2026-01-01T00:00:00+00:00", fields={"dataset.label.width": 1}),
    ]
    keys = ["label.width", "dataset.label.width"]
    with closing(_database(entries)) as database:
        assert _picked(database, "label.width = 1", keys) == {"dataset/a@1"}


SHOWN: dict[tuple[str, str], Any] = {
    ("width = 64", F_NARROW): 64,
    ("width", L1): None,
    ("dataset.simulator.forcing", CRPS_WIDE): 8.0,
    ("run", WIDE): "Best_run",
    ("dropout", NARROW): None,
    ("crps@5d < 2", F_WIDE): 1.5,
    ("crps@5d", L1): "1.5 … 2 (2)",
    ("crps.skill@1d", L1): 0.9,
    ("crps", CRPS_NARROW): "0.5 … 2 (2)",
    ("brier[90%].skill@3d > 0", BRIER): 0.6,
    ("brier[90%]", F_NARROW): None,
    ("tag = paper", L2): "draft, paper",
    ("tag", SW): None,
    ("alias ~ *", L1): "dataset/lorenz95@first, dataset/lorenz95@paper",
}


@pytest.mark.parametrize(("text", "reference", "value"), [(*k, v) for k, v in SHOWN.items()])
def test_a_column_shows_the_values_that_were_asked_for(
    database: sqlite3.Connection, text: str, reference: str, value: object
) -> None:
    name = text.split()[0]
    shown = _shown(database, text, reference)
    assert shown == {name: value}
    assert type(shown[name]) is type(value)


def test_columns_are_named_as_written_and_fields_of_an_entry_have_none(
    database: sqlite3.Connection,
) -> None:
    text = "kind = forecast and (model.width > 1 or not width = 3) and crps@120h < 9 and tag"
    expected = {"model.width": 128, "width": 128, "crps@120h": 1.5, "tag": 'it\'s "odd"'}
    assert _shown(database, text, F_WIDE) == expected


OWN = (
    "kind, name, version, reference, id, dataset, model, scorer, seed, created, seconds, size, "
    "origin, content, key, tag, alias"
)
DATE = "write 2026-11-24, 2026-11-24T16:00 or -7d"
LONG = "it is too long; write at most 1,500 words, 12,000 characters"
ERRORS = {
    "crps.skill@5 > 0.8": "'5' is no time; write 5d or 120h (at character 12)",
    "crps@-5d": "'-5d' is no time; write 5d or 120h (at character 6)",
    "crps@ > 1": "'' is no time; write 5d or 120h (at character 6)",
    "crps@5d > much": "'much' is no number; write for example 0.8 or 1e-3 (at character 11)",
    "seed and steps > 3": "'steps' can be dataset.steps, forecaster.training.steps; write more of "
    "it (at character 10)",
    "widht > 3": "there is no field 'widht'; did you mean forecaster.model.width? (at character 1)",
    "forecaster.model.widht": "there is no field 'forecaster.model.widht'; did you mean "
    "forecaster.model.width or forecaster.model.dropout or forecaster.model.residual? "
    "(at character 1)",
    "knid = score": "there is no field 'knid'; did you mean kind or id? (at character 1)",
    "not crsp@5d < 1": "there is no field 'crsp@5d'; did you mean crps? (at character 5)",
    "brier[]@5d": "there is no field 'brier[]@5d'; did you mean brier? (at character 1)",
    "zzzzz": f"there is no field 'zzzzz'; an entry has {OWN} (at character 1)",
    "version = two": "'two' is no number; write for example 3 (at character 11)",
    "seed ~ 1*": "~ compares text, and this is a number; use =, < or > (at character 8)",
    "size > 10XB": "'10XB' is no size; write 300kB, 10MB or 1.5GiB (at character 8)",
    "seconds > 10MB": "'10MB' is no duration; write 90s, 5min, 2h or 1d (at character 11)",
    "created > soon": f"'soon' is no date; {DATE} (at character 11)",
    "created > 2026-13-01": f"'2026-13-01' is no date; {DATE} (at character 11)",
    "created > 2026-11-24+01:00": f"'2026-11-24+01:00' is no date; {DATE} (at character 11)",
    "created > 9999-12-31": f"'9999-12-31' is no date; {DATE} (at character 11)",
    "created > -999999999999d": f"'-999999999999d' is no date; {DATE} (at character 11)",
    "created > 7d": f"'7d' is no date; {DATE} (at character 11)",
    "created = -7d": "'-7d' is a moment; compare it with <, <=, > or >= (at character 11)",
    "name = lorenz*": "'lorenz*' is a pattern; compare it with ~ or quote it (at character 8)",
    "name =": "a value is missing; quote one that is a keyword or a symbol (at character 7)",
    "name = and": "a value is missing; quote one that is a keyword or a symbol (at character 8)",
    "name in a": "'(' is missing (at character 9)",
    "name in (a b)": "')' is missing (at character 12)",
    "name in ()": "a value is missing; quote one that is a keyword or a symbol (at character 10)",
    "(kind = score": "')' is missing (at character 14)",
    "kind = score)": "this is left over; join conditions with 'and' or 'or' (at character 13)",
    "tag tag": "this is left over; join conditions with 'and' or 'or' (at character 5)",
    "tag and": "a field is missing; write for example size > 10MB (at character 8)",
    "'kind' = score": "a field is missing; write for example size > 10MB (at character 1)",
    "name = 'lorenz95": "this quote is not closed; write another ' after the text (at character 8)",
    "tag && seed": "'&' means nothing here; quote a value that holds it (at character 5)",
    "name = a;": "';' means nothing here; quote a value that holds it (at character 9)",
}


@pytest.mark.parametrize(("text", "message"), ERRORS.items())
def test_an_error_tells_what_is_wrong_where_and_the_cure(text: str, message: str) -> None:
    with pytest.raises(CatalogError) as error:
        _compiled(text)
    assert str(error.value) == f"'{text}': {message}"


def test_an_error_names_six_of_many_candidates() -> None:
    keys = [f"label.{letter}.width" for letter in "abcdefgh"]
    named = ", ".join(keys[:6])
    with pytest.raises(CatalogError, match=re.escape(f"'width' can be {named} and 2 more;")):
        _compiled("width", keys)


@pytest.mark.parametrize("opening", ["(", "not ", "not (", "tag or (tag and "])
def test_deep_nesting_is_an_error_and_not_a_crash(opening: str) -> None:
    with pytest.raises(CatalogError, match="nested more than 10 deep"):
        _compiled(opening * 50)
    with pytest.raises(CatalogError, match=LONG):
        _compiled(opening * 10_000)


@pytest.mark.parametrize(
    "text",
    [
        "(tag or seed and " * 10 + "crps[a]@5d < 2" + ")" * 10,
        "not " * 10 + "created in (2026-01-01, 2026-01-02)",
        " or ".join(["width = 3"] * 375),
        f"created in ({', '.join(['2026-01-01'] * 748)})",
        f"name ~ '{'😀' * 11_990}'",
        f"name = '{'%' * 11_990}'",
        f"id = '{'%' * 11_990}'",
        f"seed = {'0' * 6_000}1 or size = 9999999999999999999TB or version < -1e999",
    ],
)
def test_sqlite_takes_the_largest_expressions(database: sqlite3.Connection, text: str) -> None:
    _picked(database, text)


def test_an_error_about_a_long_text_shows_a_piece_of_it_on_one_line() -> None:
    with pytest.raises(CatalogError) as error:
        _compiled("tag\n" * 300 + "\x1b[2J" + "x" * 5000)
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()


HOSTILE = [
    "'; DROP TABLE entries; --",
    '" OR 1=1 --',
    ") OR 1 IN (1",
    "x' OR 'a'='a",
    "SELECT",
    "NULL",
    "?",
    "{}",
    "%s",
    "\\",
    "%",
    "_",
    "a\0b",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "field", ["kind", "reference", "id", "dataset", "created", "tag", "alias", "width", "crps@5d"]
)
@pytest.mark.parametrize("operator", ["=", "~", ">", "in"])
def test_a_hostile_value_is_only_a_value(
    database: sqlite3.Connection, field: str, operator: str, value: str
) -> None:
    quoted = f"'{value}'" if "'" not in value else f'"{value}"'
    text = f"{field} {operator} {f'({quoted})' if operator == 'in' else quoted}"
    before = list(database.iterdump())
    try:
        query = _compiled(text)
    except CatalogError:
        assert field in ("created", "crps@5d")
        return
    harmless = _compiled(text.replace(quoted, "'harmless'"))
    assert query.where == harmless.where
    assert (
        operator == ">"
        or (field, operator, value) == ("id", "~", "?")
        or not _picked(database, text)
    )
    assert list(database.iterdump()) == before


def test_hostile_quotes_are_found_as_they_are(database: sqlite3.Connection) -> None:
    assert _picked(database, 'tag ~ "it\'s *"') == {F_WIDE}
    assert _picked(database, "tag ~ '*\"odd\"'") == {F_WIDE}


@pytest.mark.parametrize("field", ["brier['; DROP TABLE measures; --]@3d", "brier[{}]", "brier[?]"])
def test_a_hostile_column_is_only_a_column(database: sqlite3.Connection, field: str) -> None:
    assert _picked(database, f"{field} > 0") == set()
    assert _shown(database, field, BRIER) == {field: None}


def test_a_hostile_key_is_only_a_key() -> None:
    key = "label.'); DROP TABLE fields; -- {} ?.width"
    entry = _entry("dataset/a@1", "2026-01-01T00:00:00+00:00", fields={key: 3})
    with closing(_database([entry])) as database:
        assert _picked(database, "width = 3", [key]) == {"dataset/a@1"}


def test_any_text_is_an_error_or_a_query(database: sqlite3.Connection) -> None:
    draw = random.Random(1)
    pieces = ["kind", "tag", "width", "crps@5d", "=", "~", "<", "in", "(", ")", ",", "and", "not"]
    pieces += ["or", "'", '"', "[", "]", "-7d", "3", "x", "*", "\\", ";", "\ud800", "\0", "é", " "]
    understood = 0
    for _ in range(20_000):
        text = " ".join(draw.choices(pieces, k=draw.randint(1, 6)))
        message = ""
        try:
            _picked(database, text)
        except CatalogError as error:
            message = str(error)
        understood += not message
        assert message.isprintable()
    assert understood > 100


def test_conditions_go_through_the_indexes(database: sqlite3.Connection) -> None:
    text = "width > 3 and not crps[x].skill@5d < 1 and model.width in (1, 2) or members"
    query = _compiled(text)
    sql = f"EXPLAIN QUERY PLAN SELECT e.reference FROM entries e WHERE {query.where}"
    plan = [row[3] for row in database.execute(sql, query.parameters)]
    assert plan
    assert [step for step in plan if step.startswith("SCAN") and step != "SCAN e"] == []
    assert not any("CORRELATED" in step for step in plan)


# The independent check: conditions as plain tuples, judged by Python over the dicts above.

Condition = tuple[Any, ...]
TEXTS = ["64", "abc", "Abc", "a_c", "a%c", "a\\c", "it's", "true", "b/d@1", "-1"]
NUMBERS = [64, 64.5, 0, 1, -1, 3]
DRAWN_KINDS = ["dataset", "forecaster", "forecast", "score"]
DRAWN_KEYS = [f"{kind}.{name}" for kind in DRAWN_KINDS for name in "pqr"]
COMPARISONS = ["=", "!=", "<", "<=", ">", ">="]


def _world(draw: random.Random) -> list[Row]:
    entries: list[Row] = []
    for number in range(1, 41):
        older = draw.sample(entries, min(len(entries), draw.randint(0, 3)))
        of = dict.fromkeys(one for parent in older for one in (parent["reference"], *parent["of"]))
        kind = draw.choice(DRAWN_KINDS)
        values = [*TEXTS, *NUMBERS, None]
        entry = _entry(
            f"{kind}/e{number % 7}@{number}",
            f"2026-11-{draw.randint(20, 25)}T{draw.choice(['00:00:00', '23:59:59.5'])}+00:00",
            tuple(of),
            seed=draw.choice([None, 1, 2, 3]),
            model=draw.choice([None, *TEXTS]),
            fields={f"{kind}.{name}": draw.choice(values) for name in draw.sample("pqr", 2)},
            tags=draw.sample(TEXTS, draw.randint(0, 2)),
        )
        if kind == "score":
            entry["scores"] = [
                (
                    draw.choice(["crps", "brier"]),
                    draw.choice(["u 90%", "U 99%", "v_"]),
                    draw.choice([24.0, 36.0, 120.0]),
                    draw.choice([None, 0.5, 1.0, 2.0]),
                    draw.choice([None, 0.5, 1.0]),
                )
                for _ in range(3)
            ]
        entries.append(entry)
    return entries


def _condition(draw: random.Random, depth: int) -> Condition:
    form = draw.choice(["and", "or", "not", "leaf", "leaf"] if depth else ["leaf"])
    if form == "not":
        return ("not", _condition(draw, depth - 1))
    if form != "leaf":
        return (form, *(_condition(draw, depth - 1) for _ in range(draw.randint(2, 3))))
    comparison = draw.choice([*COMPARISONS, None])
    number = draw.choice([0.5, 1, 1.0, 2])
    match draw.choice(["own", "text", "date", "field", "field", "score", "score"]):
        case "own":
            return ("own", "seed", comparison, draw.choice([1, 2, 3]))
        case "text":
            name = draw.choice(["model", "tag"])
            return ("own", name, draw.choice([*COMPARISONS, "~", None]), draw.choice(TEXTS))
        case "date":
            return ("date", draw.choice(COMPARISONS), f"2026-11-{draw.randint(19, 26)}")
        case "field":
            key = draw.choice(DRAWN_KEYS)
            operator = draw.choice([*COMPARISONS, "~", None])
            value = draw.choice(TEXTS if operator == "~" else [*TEXTS, *NUMBERS])
            return ("field", key, operator, value)
        case _:
            column = draw.choice(["", "90%", "u", "_"])
            lead = draw.choice([None, 1, 1.5, 5])
            of = (draw.choice(["crps", "brier"]), column, draw.choice([True, False]), lead)
            return ("score", of, comparison, number)


def _quoted(value: object) -> str:
    if not isinstance(value, str):
        return str(value)
    return f'"{value}"' if "'" in value else f"'{value}'"


def _written(condition: Condition) -> str:
    match condition:
        case ("not", inner):
            return f"not ({_written(inner)})"
        case ("and" | "or" as word, *parts):
            return "(" + f" {word} ".join(map(_written, parts)) + ")"
        case ("date", operator, day):
            return f"created {operator} {day}"
        case ("score", (scorer, column, skill, lead), operator, value):
            field = scorer + f"[{column}]" * bool(column) + ".skill" * skill
            field += f"@{lead}d" if lead else ""
        case (_, field, operator, value):
            pass
    return f"{field} {operator} {_quoted(value)}" if operator else field


def _compares(operator: str | None, one: Any, other: Any) -> bool:
    if operator is None:
        return True
    if operator == "~":
        pattern = re.escape(other).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(pattern, str(one), re.IGNORECASE) is not None
    alike = isinstance(one, str) == isinstance(other, str)
    if operator in ("=", "!="):
        same = (alike and one == other) or one == str(other)
        return bool(same == (operator == "="))
    outcome = {"<": lambda: one < other, "<=": lambda: one <= other}
    outcome |= {">": lambda: one > other, ">=": lambda: one >= other}
    return alike and bool(outcome[operator]())


def _holds(condition: Condition, entry: Row, entries: list[Row]) -> bool:
    made_from_it = [one for one in entries if entry["reference"] in (one["reference"], *one["of"])]
    made_it = [one for one in entries if one["reference"] in (entry["reference"], *entry["of"])]
    match condition:
        case ("not", inner):
            return not _holds(inner, entry, entries)
        case ("and", *parts):
            return all(_holds(part, entry, entries) for part in parts)
        case ("or", *parts):
            return any(_holds(part, entry, entries) for part in parts)
        case ("date", operator, day):
            created = datetime.fromisoformat(entry["created"]).date()
            return _compares(operator, created.toordinal(), date.fromisoformat(day).toordinal())
        case ("own", "tag", operator, value):
            values = entry["tags"]
        case ("own", field, operator, value):
            values = [entry[field]]
        case ("field", key, operator, value):
            values = [one["fields"][key] for one in made_it if key in one["fields"]]
        case ("score", (scorer, column, skill, lead), operator, value):
            values = [
                score[4 if skill else 3]
                for one in made_from_it
                for score in one["scores"]
                if score[0] == scorer and column.lower() in score[1].lower()
                if lead is None or score[2] == lead * 24
            ]
    return any(_compares(operator, one, value) for one in values if one is not None)


@pytest.mark.parametrize("seed", range(4))
def test_random_expressions_pick_what_a_plain_evaluator_picks(seed: int) -> None:
    draw = random.Random(seed)
    entries = _world(draw)
    database = _database(entries)
    sizes = []
    for _ in range(250):
        condition = _condition(draw, depth=3)
        expected = {e["reference"] for e in entries if _holds(condition, e, entries)}
        assert _picked(database, _written(condition), DRAWN_KEYS) == expected, _written(condition)
        sizes.append(len(expected))
    database.close()
    assert sum(0 < size < len(entries) for size in sizes) > 100  # most tell entries apart
