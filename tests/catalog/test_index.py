"""The index: derived, always up to date, and right about the skill of scores."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from small_entries import family, publish

from geobench_catalog import Catalog, CatalogError
from geobench_catalog.removal import remove


def _found(catalog: Catalog, expression: str) -> list[str]:
    return list(catalog.query(expression)["reference"])


def test_a_query_knows_what_other_processes_have_published(catalog: Catalog) -> None:
    assert _found(catalog, "") == []
    other = Catalog(catalog.path)
    publish(other, "b")
    publish(other, "a")
    assert _found(catalog, "kind = dataset") == ["dataset/a@1", "dataset/b@1"]
    remove(other, ["dataset/b@1"])
    assert _found(catalog, "kind = dataset") == ["dataset/a@1"]


def test_a_still_index_is_brought_up_to_date_once(catalog: Catalog) -> None:
    publish(Catalog(catalog.path), "a")
    with catalog.index.still():
        publish(Catalog(catalog.path), "b")
        assert _found(catalog, "") == ["dataset/a@1"]
        (catalog.path / "index.sqlite").write_bytes(b"damaged" * 1000)
        catalog.index._close()
        assert _found(catalog, "") == ["dataset/a@1", "dataset/b@1"]  # made anew
    publish(Catalog(catalog.path), "c")
    assert len(_found(catalog, "")) == 3


@pytest.mark.parametrize("damage", ["gone", "garbage", "older", "half", "foreign"])
def test_an_index_that_is_lost_or_damaged_is_made_anew(catalog: Catalog, damage: str) -> None:
    family(catalog)
    whole = catalog.query("")
    file = catalog.path / "index.sqlite"
    content = file.read_bytes()
    match damage:
        case "gone":
            file.unlink()
        case "garbage":
            file.write_bytes(random.Random(0).randbytes(5000))
        case "half":
            file.write_bytes(content[: len(content) // 2])
        case "older" | "foreign":
            connection = sqlite3.connect(file)
            if damage == "older":
                connection.execute("PRAGMA user_version = 0")
            else:
                connection.execute("DROP TABLE fields")
            connection.commit()
            connection.close()
    again = Catalog(catalog.path).query("")
    assert again.equals(whole)
    assert _found(Catalog(catalog.path), "model.width = 8") == list(whole["reference"][1:])


def test_a_parent_that_comes_back_is_in_the_lineage_again(catalog: Catalog) -> None:
    parent = family(catalog)["dataset"]
    ref = catalog.path / f"refs/{parent.reference}"
    text = ref.read_text()
    ref.unlink()
    assert _found(catalog, "dataset = twin") == []
    ref.write_text(text)
    assert len(_found(catalog, "dataset = twin")) == 4


def test_what_is_damaged_is_told_and_the_rest_is_found(catalog: Catalog) -> None:
    bad, good = publish(catalog, "a"), publish(catalog, "b")
    (bad.path / "record.json").write_text("{}")
    opened = Catalog(catalog.path)
    assert _found(opened, "") == [str(good.reference)]
    assert list(opened.damaged) == [bad.reference]


def test_the_skill_is_0_for_climatology_and_1_for_the_true_distribution(catalog: Catalog) -> None:
    twin = family(catalog, "climatology", crps=1.2)["dataset"]
    family(catalog, "oracle", twin=twin, crps=0.3, law=True)
    family(catalog, "reference", twin=twin, crps=0.2, law=True)  # comes before the oracle
    family(catalog, "fgn", twin=twin, crps=0.4)
    found = catalog.query("kind = score and crps.skill@1d >= 0").set_index("model")
    # (1.2 - score) / (1.2 - 0.2)
    skill = found["crps.skill@1d"].round(9).to_dict()
    assert skill == {"climatology": 0.0, "fgn": 0.8, "oracle": 0.9, "reference": 1.0}
    assert _found(catalog, "kind = forecast and crps.skill@5d > 0.85") == [
        "forecast/twin.oracle.s0@1",
        "forecast/twin.reference.s0@1",
    ]


def test_without_a_climatology_there_is_no_skill(catalog: Catalog) -> None:
    twin = family(catalog, "oracle", crps=0.3, law=True)["dataset"]
    family(catalog, "fgn", twin=twin)
    assert _found(catalog, "crps.skill") == []
    assert len(_found(catalog, "kind = score and crps@1d")) == 2


def test_a_newer_climatology_counts(catalog: Catalog) -> None:
    twin = family(catalog, "climatology", crps=1.2)["dataset"]
    family(catalog, "oracle", twin=twin, crps=0.2, law=True)
    fgn = str(family(catalog, "fgn", twin=twin, crps=0.7)["score"].reference)
    assert catalog.query(f"reference = {fgn} and crps.skill@1d")["crps.skill@1d"][0] == 0.5
    family(catalog, "climatology", twin=twin, crps=2.2, seed=1)
    assert catalog.query(f"reference = {fgn} and crps.skill@1d")["crps.skill@1d"][0] == (
        pytest.approx(0.75)
    )


def test_sql_reads_and_does_nothing_else(catalog: Catalog) -> None:
    family(catalog)
    columns, rows = catalog.index.sql("SELECT kind, count(*) FROM entries GROUP BY kind")
    assert columns == ["kind", "count(*)"]
    assert sorted(rows) == [(kind, 1) for kind in ("dataset", "forecast", "forecaster", "score")]
    for statement in ("DROP TABLE entries", "DELETE FROM scores", "CREATE TABLE x (y)"):
        with pytest.raises(CatalogError, match="only reading is possible"):
            catalog.index.sql(statement)
    with pytest.raises(CatalogError, match=r"no such table: nowhere. The tables are aliases, as"):
        catalog.index.sql("SELECT * FROM nowhere")
    assert len(catalog.query("")) == 4


def test_a_computation_is_found_again_after_the_index_is_lost(catalog: Catalog) -> None:
    made = publish(catalog, value=3.0)
    (catalog.path / "index.sqlite").unlink(missing_ok=True)
    found = Catalog(catalog.path).find("dataset", {"value": 3.0}, {})
    assert found
    assert found.id == made.id


def test_a_catalog_that_cannot_be_written_can_be_asked(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog)
    monkeypatch.setattr("geobench_catalog.index_file.os.access", lambda *_: False)
    assert _found(Catalog(catalog.path), "") == ["dataset/a@1"]
    assert not Path(catalog.path / "index.sqlite").exists()


def test_threads_can_ask_and_publish_at_once(catalog: Catalog) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def work(number: int) -> int:
        publish(catalog, f"n{number % 2}", float(number))
        return len(_found(catalog, "kind = dataset"))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(work, range(12)))
    assert max(counts) == 12
    assert len(_found(catalog, "kind = dataset")) == 12


def test_the_skill_goes_with_the_law_it_was_of(catalog: Catalog) -> None:
    twin = family(catalog, "climatology", crps=1.2)["dataset"]
    family(catalog, "oracle", twin=twin, crps=0.2, law=True)
    family(catalog, "fgn", twin=twin)
    assert len(_found(catalog, "kind = score and crps.skill@1d")) == 3
    remove(catalog, ["forecaster/twin.oracle.s0@1"], cascade=True)
    assert _found(catalog, "crps.skill") == []


def test_an_index_with_damaged_pages_is_made_anew(catalog: Catalog) -> None:
    family(catalog)
    whole = catalog.query("model.width = 8")
    file = catalog.path / "index.sqlite"
    content = file.read_bytes()
    noise = random.Random(0)
    for page in range(0, len(content), 4096):
        file.write_bytes(content[:page] + noise.randbytes(4096) + content[page + 4096 :])
        assert Catalog(catalog.path).query("model.width = 8").equals(whole), page
        assert Catalog(catalog.path).index.children(catalog.get("dataset/twin@1").id)


def test_sql_writes_no_files(catalog: Catalog, tmp_path: Path) -> None:
    family(catalog)
    for statement in (f"VACUUM INTO '{tmp_path}/x.db'", f"ATTACH '{tmp_path}/x.db' AS x"):
        with pytest.raises(CatalogError, match="only reading is possible"):
            catalog.index.sql(statement)
    assert not (tmp_path / "x.db").exists()


def test_a_folder_in_the_place_of_the_index_is_left_alone(catalog: Catalog) -> None:
    publish(catalog)
    (catalog.path / "index.sqlite").mkdir()
    assert _found(catalog, "") == ["dataset/a@1"]
    assert str(catalog.index.unused).endswith("index.sqlite is no plain file")


def _endless(of: str) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {of} FROM n"


def test_a_question_in_sql_ends_at_the_limit_of_time(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geobench_catalog.index_limits.MOST_SECONDS", 0.2)
    with pytest.raises(CatalogError, match=r"took longer than 0\.2 s, which is the limit"):
        catalog.index.sql(_endless("count(*)"))
    assert catalog.index.sql("SELECT 1")[1] == [(1,)]  # the next one has its own time


def test_an_expression_ends_at_the_limit_of_time_and_the_index_stays(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog, "a")
    catalog.index.rebuild()
    forgotten: list[int] = []
    monkeypatch.setattr(catalog.index, "_forget", lambda: forgotten.append(1))
    monkeypatch.setattr("geobench_catalog.index_limits.MOST_SECONDS", -1.0)
    monkeypatch.setattr("geobench_catalog.expression.compiled", lambda *_: _slow())
    with pytest.raises(CatalogError, match="which is the limit"):
        catalog.index.query("kind = forecast")
    assert not forgotten


def _slow() -> Any:
    from geobench_catalog.expression import Compiled

    return Compiled(f"({_endless('count(*)')} WHERE i < 1000000) > 0", (), {})


@pytest.mark.parametrize(
    "statement",
    [
        _endless("i"),
        _endless("printf('%.1000000c', 'x')"),
    ],
)
def test_an_answer_in_sql_has_a_limit_of_rows_and_bytes(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr("geobench_catalog.index_limits.MOST_ROWS", 10_000)
    with pytest.raises(CatalogError, match=r"limit of 10,000 rows and 64 MiB.*add LIMIT"):
        catalog.index.sql(statement)


def test_a_text_in_sql_has_a_limit_of_length(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="SQLite: string or blob too big"):
        catalog.index.sql("SELECT length(zeroblob(1000000000) || 'x')")
