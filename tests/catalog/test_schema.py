"""Catalogs of an older schema are read, added to, and carried on."""

import json
import shutil
from pathlib import Path

import pytest
from small_entries import publish

from geobench_catalog import Catalog, CatalogError, Parent, Record
from geobench_catalog.record import read_record
from geobench_catalog.transfer import copy
from geobench_catalog.verification import verify

SCHEMA_1 = Path(__file__).parent / "schema1"  # written by the first version of the catalog


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(SCHEMA_1, tmp_path / "old")
    return tmp_path / "old"


def test_entries_of_schema_1_are_brought_up_to_date_when_they_are_read(old: Path) -> None:
    catalog = Catalog(old)
    entry = catalog.get("forecast/twin.fgn.s0@1")
    assert entry.record.schema_version == 2
    assert entry.record.parents == {
        "forecaster": Parent(reference="forecaster/twin.fgn.s0@1", id=None)
    }
    assert entry.record.size == entry.size - len((entry.path / "record.json").read_bytes())
    assert (entry.load()["q"] == 3.0).all()
    assert catalog.parent(entry, "forecaster").reference.name == "twin.fgn.s0"
    assert catalog.get("dataset/twin@latest").reference.version == 2
    assert catalog.get("forecaster/twin.fgn.s0@1").content("weights.safetensors")[8:10] == b"{}"
    assert json.loads((entry.path / "record.json").read_text())["schema_version"] == 1


def test_a_catalog_of_schema_1_is_whole(old: Path) -> None:
    catalog = Catalog(old)
    assert not [each for finding in verify(catalog) for each in finding.problems]
    assert list(catalog.query("crps@1d = 0.5 and kind = score")["reference"]) == [
        "score/twin.fgn.s0.crps@1"
    ]
    assert [entry.reference.kind for entry in catalog.lineage(catalog.get(
        "score/twin.fgn.s0.crps@1"))] == ["dataset", "forecaster", "forecast", "score"]  # fmt: skip


def test_a_computation_of_schema_1_is_not_done_again(old: Path) -> None:
    catalog = Catalog(old)
    twin = catalog.get("dataset/twin@1")
    recipe = {"model": {"use": "fgn", "width": 8}, "seed": 0}
    found = catalog.find("forecaster", recipe, {"dataset": twin})
    assert found
    assert str(found.reference) == "forecaster/twin.fgn.s0@1"


def test_reading_leaves_the_schema_and_writing_raises_it(old: Path) -> None:
    mark = old / "geobench-catalog.json"
    catalog = Catalog(old)
    assert len(list(catalog.entries())) == 5
    assert json.loads(mark.read_text()) == {"schema": 1}
    twin = catalog.get("dataset/twin@1")
    made = publish(catalog, "new", kind="forecaster", parents={"dataset": twin})
    assert json.loads(mark.read_text())["schema"] == 2
    assert made.record.parents["dataset"].id == catalog.get("dataset/twin@1").id
    assert len(list(Catalog(old).entries())) == 6


def test_entries_of_schema_1_can_be_copied(old: Path, tmp_path: Path) -> None:
    target = Catalog(tmp_path / "new", create=True)
    arrived = list(copy(Catalog(old), target, ["score/twin.fgn.s0.crps@1"]))
    assert [each.new for each in arrived] == [True] * 4
    assert not [each for finding in verify(target) for each in finding.problems]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": 3}, "it has schema 3; this geobench reads 1 to 2"),
        ({"schema_version": None}, "it has schema None"),
        ({"kind": "../forecast"}, "cannot be a kind of entry"),
        ({"name": "../x"}, "cannot name an entry"),
        ({"parents": {"dataset": {"reference": "x", "id": None}}}, "is not a reference"),
        ({"parents": {"dataset": {"reference": "dataset/x@1", "id": "../x"}}}, "is not the id"),
        ({"seconds": -1}, "seconds"),
        ({"surprise": 1}, "surprise"),
        ({"size": 5}, "another size or content than its manifest"),
    ],
)
def test_records_that_are_none_are_told(change: dict[str, object], told: str) -> None:
    record = Record(
        kind="dataset", name="a", key="k", recipe={}, parents={}, created="2026-01-01T00:00:00Z",
        seconds=1, environment={}, size=7, content="c",
    )  # fmt: skip
    fields = json.loads(record.model_dump_json())
    assert read_record(json.dumps(fields).encode(), 7, "c") == record
    with pytest.raises(ValueError, match=told):
        read_record(json.dumps(fields | change).encode(), 7, "c")
    with pytest.raises(ValueError, match="it is not an object"):
        read_record(b"[]", 7, "c")


def test_a_catalog_of_a_newer_schema_is_left_alone(old: Path) -> None:
    (old / "geobench-catalog.json").write_text('{"schema": 3}')
    with pytest.raises(CatalogError, match="schema 3; this geobench reads 1 to 2"):
        Catalog(old)
