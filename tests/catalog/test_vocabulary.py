"""A catalog is told what its entries mean; without being told it keeps them all the same."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ConfigDict
from small_entries import data

import geobench_catalog
from geobench_catalog import (
    Catalog,
    CatalogError,
    Column,
    Entry,
    Kind,
    Measure,
    Record,
    Reference,
    Vocabulary,
    register,
    registered,
)
from geobench_catalog.__main__ import main
from geobench_catalog.archive import bring_in, export
from geobench_catalog.verification import verify


class Table(BaseModel):
    """Of a table."""

    model_config = ConfigDict(strict=True)
    rows: int
    heights: list[float | None] = []


def _table(reference: Reference, _: Record) -> Reference | None:
    return reference if reference.kind == "table" else None


def _heights(record: Record) -> list[Measure]:
    heights = record.summary.get("heights", [])
    return [Measure("height", "crest", 24.0 * day, value) for day, value in enumerate(heights, 1)]


def _ratio(connection: sqlite3.Connection) -> None:
    """Heights over the largest of all."""
    connection.execute("UPDATE measures SET ratio = value / (SELECT max(value) FROM measures)")


WORDS = Vocabulary(
    kinds=(
        Kind("table", summary=Table),
        Kind("plot", parents={"table": "table", "style.*": "plot"}),
    ),
    columns=(
        Column("table", _table, "reference", inherited=True),
        Column("ink", lambda _, record: record.labels.get("ink")),
        Column("width", lambda _, record: record.recipe.get("width"), "integer", inherited=True),
    ),
    measures=_heights,
    measured_in="heights",
    derived={"ratio": "ratio", "fraction": "ratio"},
    derive=_ratio,
    doors={"scan": "from a scanner"},
    hint="'draw'",
    guide="height.ratio@1d > 0.5: how high it is",
)


def _publish(catalog: Catalog, kind: str, name: str, parents: dict[str, Entry] | None = None,
             *, summary: dict[str, object] | None = None, door: str | None = None,
             labels: dict[str, str] | None = None, **recipe: object) -> Entry:  # fmt: skip
    how = {"recipe": recipe, "parents": parents, "door": door, "labels": labels}
    with catalog.draft(kind, name, **how) as draft:  # type: ignore[arg-type]
        draft.write(data())
        return draft.publish(summary)


def _filled(folder: Path) -> Catalog:
    """Two tables; a plot of the first, and a plot in its style."""
    catalog = Catalog(folder, WORDS, create=True)
    rivers = _publish(
        catalog, "table", "rivers", summary={"rows": 3, "heights": [1.0, 4.0]}, width=7
    )
    _publish(catalog, "table", "lakes", summary={"rows": 2, "heights": [2.0, None]})
    first = _publish(catalog, "plot", "blue", {"table": rivers}, labels={"ink": "blue"})
    _publish(catalog, "plot", "red", {"table": rivers, "style.line": first}, labels={"ink": "red"})
    return catalog


@pytest.fixture
def own(tmp_path: Path) -> Catalog:
    return _filled(tmp_path / "own")


def _found(catalog: Catalog, expression: str) -> list[str]:
    return list(catalog.query(expression)["reference"])


def test_kinds_are_listed_in_the_order_of_the_vocabulary(own: Catalog) -> None:
    assert [str(entry.reference) for entry in own.entries()] == [
        "table/lakes@1", "table/rivers@1", "plot/blue@1", "plot/red@1",
    ]  # fmt: skip
    columns = list(own.query("").columns)
    assert columns[:8] == [
        "reference", "kind", "name", "version", "table", "ink", "width", "created",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("ink = red", ["plot/red@1"]),
        ("table = rivers", ["table/rivers@1", "plot/blue@1", "plot/red@1"]),
        ("table = table/lakes@1", ["table/lakes@1"]),
        ("width = 7 and kind = plot", ["plot/blue@1", "plot/red@1"]),
        ("height@1d > 1.5", ["table/lakes@1"]),
        ("height[crest].ratio@2d = 1", ["table/rivers@1"]),
        ("height.fraction@48h = 1", ["table/rivers@1"]),
        ("summary.rows = 2", ["table/lakes@1"]),
    ],
)
def test_words_of_the_vocabulary_can_be_asked_for(
    own: Catalog, expression: str, found: list[str]
) -> None:
    assert _found(own, expression) == found


def test_a_column_comes_from_the_first_parent(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "own", WORDS, create=True)
    wide, narrow = (
        _publish(catalog, "table", f"w{w}", summary={"rows": 1}, width=w) for w in (9, 1)
    )
    styled = _publish(catalog, "plot", "of-narrow", {"table": narrow})
    _publish(catalog, "plot", "of-wide", {"style.line": styled, "table": wide})
    assert dict(catalog.query("kind = plot")[["name", "width"]].itertuples(index=False)) == {
        "of-narrow": 1, "of-wide": 9,
    }  # fmt: skip


def test_a_summary_is_held_to_its_model(own: Catalog) -> None:
    for summary, told in (
        ({"rows": "three"}, "summary.rows is a text, and not a whole number"),
        ({}, "summary.rows is missing"),
        ({"rows": 1, "heights": [[1]]}, "summary.heights.0 is a list, and not a number"),
    ):
        with pytest.raises(CatalogError, match=told):
            _publish(own, "table", "odd", summary=summary)
    made = _publish(own, "table", "more", summary={"rows": 1, "beside": "kept"})
    assert made.record.summary["beside"] == "kept"


def test_a_model_is_recorded_with_the_fields_that_were_set(own: Catalog) -> None:
    with own.draft("table", "typed", recipe={}) as draft:
        entry = draft.publish(Table(rows=4))
    assert entry.record.summary == {"rows": 4}


def test_other_kinds_and_parents_are_refused_before_any_work(own: Catalog) -> None:
    rivers, blue = own.get("table/rivers@1"), own.get("plot/blue@1")
    with pytest.raises(
        CatalogError, match=r"no kind of entry 'tabel'\. Did you mean 'table'\? Kinds: table, plot"
    ):
        own.draft("tabel", "a", recipe={})
    with pytest.raises(
        CatalogError, match=r"a plot cannot be the parent 'table' of a plot. Its par"
    ):
        own.draft("plot", "a", recipe={}, parents={"table": blue})
    with pytest.raises(CatalogError, match=r"a table cannot be the parent 'of' of a table.* none"):
        own.draft("table", "a", recipe={}, parents={"of": rivers})
    with pytest.raises(CatalogError, match="there is no kind of entry 'tabel'"):
        own.get("tabel/rivers@1")


def test_entries_of_unknown_kinds_are_read_listed_verified_and_moved(
    own: Catalog, tmp_path: Path
) -> None:
    """By a program that was told nothing, and by one that was told of other kinds."""
    for words in (Vocabulary(), Vocabulary(kinds=(Kind("sketch"),))):
        catalog = Catalog(own.path, words)
        assert len(list(catalog.entries())) == 4
        assert _found(catalog, "kind = plot and label.ink = red") == ["plot/red@1"]
        assert catalog.get("table/rivers@1").load()["q"].shape == (3, 4)
        assert (
            str(catalog.parent(catalog.get("plot/blue@1"), "table").reference) == "table/rivers@1"
        )
        assert not [each for finding in verify(catalog) for each in finding.problems]
        export(catalog, ["plot/red@1"], tmp_path / f"{len(words.kinds)}.tar")
        other = Catalog(tmp_path / f"other{len(words.kinds)}", words, create=True)
        assert len(list(bring_in(other, tmp_path / f"{len(words.kinds)}.tar"))) == 3
    # Each vocabulary has asked an index of its own, or made it anew: the first one's is right.
    assert _found(Catalog(own.path, WORDS), "table = rivers and ink") == [
        "plot/blue@1",
        "plot/red@1",
    ]


def test_an_index_is_made_anew_when_the_vocabulary_changes(own: Catalog) -> None:
    assert _found(own, "ink") == ["plot/blue@1", "plot/red@1"]
    own.index._close()
    for change in ("version", "columns"):
        more = {"version": 2} if change == "version" else {"columns": WORDS.columns[:1]}
        other = Vocabulary(kinds=WORDS.kinds, **more)  # type: ignore[arg-type]
        again = Catalog(own.path, other)
        assert len(again.query("")) == 4
        connection = sqlite3.connect(own.path / "index.sqlite")
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(entries)")]
        connection.close()
        assert "ink" not in columns
        again.index._close()


def test_an_index_of_the_version_before_is_made_anew(own: Catalog) -> None:
    """Whose scores had a table and a word of their own."""
    whole = own.query("")
    own.index._close()
    file = own.path / "index.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("ALTER TABLE measures RENAME TO scores")
    connection.execute("UPDATE entries SET name = 'stale'")
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    again = Catalog(own.path, WORDS)
    assert again.query("").equals(whole)
    assert _found(again, "height.ratio@2d = 1") == ["table/rivers@1"]
    assert again.index.unused is None


def test_a_catalog_without_a_vocabulary_has_an_index_of_its_own(own: Catalog) -> None:
    assert len(own.query("")) == 4
    before = (own.path / "index.sqlite").read_bytes()
    plain = Catalog(own.path, Vocabulary())
    assert list(plain.query("kind = table").columns)[4] == "created"
    assert (own.path / "index.plain.sqlite").exists()
    assert (own.path / "index.sqlite").read_bytes() == before


def test_a_door_is_told_in_the_words_of_the_vocabulary(
    own: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _publish(own, "table", "scanned", summary={"rows": 1}, door="scan")
    assert (entry.origin, entry.door) == ("imported", "scan")
    words = ["--catalog", str(own.path), "show", "table/scanned@1"]
    for vocabulary, told in ((WORDS, "imported from a scanner"), (Vocabulary(), "the door 'scan'")):
        monkeypatch.setattr("geobench_catalog.vocabulary._Registered.vocabulary", vocabulary)
        assert told in CliRunner().invoke(main, words).stdout


def test_commands_speak_the_words_that_are_registered(own: Catalog) -> None:
    before = registered()
    register(WORDS)
    try:
        run = CliRunner().invoke
        listed = run(main, ["--catalog", str(own.path), "list", "--kind", "plot"])
        assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
            "plot/blue@1", "plot/red@1",
        ]  # fmt: skip
        wrong = run(main, ["--catalog", str(own.path), "list", "--kind", "plto"])
        assert "'plto'. Did you mean 'plot'? Kinds: table, plot." in wrong.stderr
        assert "height.ratio@1d > 0.5: how high it is" in run(main, ["query", "--help"]).stdout
        used = json.loads(run(main, ["--catalog", str(own.path), "du", "--json"]).stdout)
        assert {(row["kind"], row["table"], row["entries"]) for row in used[:3]} == {
            ("table", "rivers", 1), ("table", "lakes", 1), ("plot", "rivers", 2),
        }  # fmt: skip
        none = run(main, ["--catalog", str(own.path / "none"), "list"])
        assert "or make one with 'draw'." in none.stderr
    finally:
        register(before)


def test_a_column_must_be_a_name_that_sql_takes() -> None:
    for name in ("key", "a b", "x;", "Ink", "value"):
        with pytest.raises(ValueError, match=re.escape(f"'{name}' cannot be a column")):
            Vocabulary(columns=(Column(name, lambda *_: None),))


def test_geobench_registers_its_own_before_any_catalog_is_opened(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom geobench_catalog import registered\nassert not registered().kinds\n"
        "import geobench\nprint(*registered().names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "dataset", "forecaster", "forecast", "score", "events", "control",
    ]  # fmt: skip


_WORDS_OF_GEOBENCH = re.compile(
    r"forecast|scorer|climatolog|ensemble|experiment|simulat|init_time|lead_|lead time|oracle|"
    r"geobench (run|train|score|leaderboard|test|plan|study)|skill|weatherbench|xskillscore|torch",
    re.IGNORECASE,
)


def test_the_catalog_knows_no_word_of_geobench() -> None:
    folder = Path(geobench_catalog.__file__).parent
    files = sorted(folder.rglob("*.py"))
    assert len(files) > 40
    found = [
        f"{file.name}: {line.strip()}"
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if _WORDS_OF_GEOBENCH.search(line) and "neither torch nor geobench" not in line
    ]
    assert found == []
