"""Entries that came from elsewhere: marked, shown, never found unless they are trusted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_entries import family, publish

from geobench_catalog import Catalog, CatalogError, Entry
from geobench_catalog.__main__ import main
from geobench_catalog.archive import bring_in, export
from geobench_catalog.reference_files import Door
from geobench_catalog.removal import collect, remove
from geobench_catalog.transfer import copy
from geobench_catalog.verification import verify

SCORE = "score/twin.fgn.s0.crps@1"
KINDS = ("dataset", "forecaster", "forecast", "score")


@pytest.fixture
def other(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "other", create=True)


def _archive(catalog: Catalog, other: Catalog, tmp_path: Path, *, trust: bool = False) -> None:
    export(other, [SCORE], tmp_path / "theirs.tar")
    for _ in bring_in(catalog, tmp_path / "theirs.tar", trust=trust):
        pass


def _pull(catalog: Catalog, other: Catalog, _: Path, *, trust: bool = False) -> None:
    for _ in copy(other, catalog, [SCORE], door="pull", trust=trust):
        pass


WAYS = pytest.mark.parametrize("bring", [_archive, _pull])
Bring = Callable[..., None]


def _found(catalog: Catalog, entry: Entry) -> Entry | None:
    """What the catalog answers when it is asked for the computation that this entry claims."""
    record = entry.record
    parents: Any = {role: _Id(parent.id) for role, parent in record.parents.items()}
    return catalog.find(record.kind, record.recipe, parents)


class _Id:
    """A parent of this id."""

    def __init__(self, entry_id: str | None) -> None:
        self.id = entry_id


def _cli(catalog: Catalog, *words: object) -> str:
    result = CliRunner().invoke(main, ["--catalog", str(catalog.path), *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


@WAYS
def test_what_came_in_is_marked_and_not_found(
    catalog: Catalog, other: Catalog, tmp_path: Path, bring: Bring
) -> None:
    theirs = family(other)
    bring(catalog, other, tmp_path)
    for entry in theirs.values():
        assert catalog.get(str(entry.reference)).origin == "imported"
        assert _found(catalog, entry) is None
        assert _found(other, entry)
    # The mark is no part of the index.
    catalog.index._close()
    (catalog.path / "index.sqlite").unlink()
    again = Catalog(catalog.path)
    assert all(_found(again, entry) is None for entry in theirs.values())
    assert set(again.query()["origin"]) == {"imported"}
    assert not any(finding.problems for finding in verify(again))


@WAYS
def test_what_is_trusted_counts(
    catalog: Catalog, other: Catalog, tmp_path: Path, bring: Bring
) -> None:
    theirs = family(other)
    bring(catalog, other, tmp_path)
    reader = Catalog(catalog.path)  # another process, whose index is up to date
    assert _found(reader, theirs["score"]) is None
    trusted = catalog.trust(SCORE)
    assert [entry.id for entry in trusted] == [entry.id for entry in theirs.values()]
    for entry in theirs.values():
        for each in (catalog, reader, Catalog(catalog.path)):
            found = _found(each, entry)
            assert found
            assert (found.id, found.origin) == (entry.id, "trusted")
    assert catalog.distrust(SCORE)
    assert _found(reader, theirs["score"]) is None
    assert _found(reader, theirs["forecast"])


@WAYS
def test_it_is_trusted_on_its_way_in(
    catalog: Catalog, other: Catalog, tmp_path: Path, bring: Bring
) -> None:
    theirs = family(other)
    bring(catalog, other, tmp_path, trust=True)
    assert all(_found(catalog, entry) for entry in theirs.values())
    # Also what had come in before without trust.
    third = Catalog(tmp_path / "third", create=True)
    bring(third, other, tmp_path / "third")
    (tmp_path / "theirs.tar").unlink(missing_ok=True)
    bring(third, other, tmp_path, trust=True)
    assert all(_found(third, entry) for entry in theirs.values())


def test_alone_means_alone(catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    theirs = family(other)
    _archive(catalog, other, tmp_path)
    assert [entry.id for entry in catalog.trust(SCORE, alone=True)] == [theirs["score"].id]
    assert _found(catalog, theirs["score"])
    assert _found(catalog, theirs["forecast"]) is None
    assert catalog.trust(SCORE, alone=True) == []


def test_own_work_comes_before_what_is_trusted(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    own = publish(catalog, "twin", 1.0)
    theirs = publish(other, "twin", 1.0)  # the same computation, made later
    assert theirs.record.key == own.record.key
    for _ in copy(other, catalog, ["dataset/twin@1"], door="pull", trust=True):
        pass
    found = _found(catalog, own)
    assert found
    assert found.id == own.id
    remove(catalog, ["dataset/twin@1"])
    found = _found(catalog, own)
    assert found
    assert found.id == theirs.id


@WAYS
def test_an_own_export_stays_own(
    catalog: Catalog, other: Catalog, tmp_path: Path, bring: Bring
) -> None:
    own = family(catalog)
    for _ in copy(catalog, other, [SCORE]):  # push
        pass
    assert {entry.origin for entry in other.entries()} == {"own"}
    bring(catalog, other, tmp_path)  # all of it is there
    assert {entry.origin for entry in catalog.entries()} == {"own"}
    remove(catalog, ["dataset/twin@1"], cascade=True)
    (tmp_path / "theirs.tar").unlink(missing_ok=True)
    bring(catalog, other, tmp_path)  # it was removed, and comes back
    assert {entry.origin for entry in catalog.entries()} == {"own"}
    assert all(_found(catalog, entry) for entry in own.values())


def test_what_was_imported_and_removed_is_imported_when_it_comes_again(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    theirs = family(other)
    _archive(catalog, other, tmp_path, trust=True)
    remove(catalog, ["dataset/twin@1"], cascade=True)
    assert collect(catalog) == []
    (tmp_path / "theirs.tar").unlink()
    _archive(catalog, other, tmp_path)
    assert {entry.origin for entry in catalog.entries()} == {"imported"}
    assert _found(catalog, theirs["score"]) is None


def test_a_push_carries_the_origin(catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    family(other)
    _pull(catalog, other, tmp_path)
    mine = publish(
        catalog, "mine", kind="forecaster", parents={"dataset": catalog.get("dataset/twin@1")}
    )
    third = Catalog(tmp_path / "third", create=True)
    for _ in copy(catalog, third, [str(mine.reference), SCORE]):
        pass
    origins = {str(entry.reference): entry.origin for entry in third.entries()}
    assert origins.pop("forecaster/mine@1") == "own"
    assert set(origins.values()) == {"imported"}
    assert third.get(SCORE).door == "push"


def test_the_latest_version_is_the_latest_that_counts(catalog: Catalog, other: Catalog) -> None:
    publish(catalog, "twin", 1.0)
    publish(other, "twin", 2.0)
    publish(other, "alone", 3.0)
    for name in ("twin", "alone"):
        for _ in copy(other, catalog, [f"dataset/{name}@1"], door="pull"):
            pass
    assert str(catalog.resolve("dataset/twin@latest")) == "dataset/twin@1"
    assert str(catalog.resolve("dataset/alone@latest")) == "dataset/alone@1"
    catalog.trust("dataset/twin@2")
    assert str(catalog.resolve("dataset/twin@latest")) == "dataset/twin@2"


def test_a_stranger_cannot_use_up_the_versions_of_a_name(catalog: Catalog, other: Catalog) -> None:
    theirs = publish(other, "twin", 2.0)
    other.names.give("dataset", "twin", theirs.id, first=999_999_999)
    for _ in copy(other, catalog, ["dataset/twin@999999999"], door="pull"):
        pass
    own = publish(catalog, "twin", 1.0)
    assert catalog.get(str(own.reference)).id == own.id
    assert own.reference.version == 2


def test_the_skill_does_not_follow_strangers(catalog: Catalog, other: Catalog) -> None:
    own = family(catalog, "fgn", crps=0.5)
    twin = own["dataset"]
    family(catalog, "climatology", twin=twin, crps=1.0)
    family(catalog, "reference", twin=twin, crps=0.2, law=True)
    before = catalog.query("kind = score and model = fgn and crps.skill@1d > -9")
    assert before["crps.skill@1d"].tolist() == [pytest.approx((1 - 0.5) / (1 - 0.2))]
    # A stranger who has a copy adds a reference that is far off, and newer.
    for _ in copy(catalog, other, [str(twin.reference)]):
        pass
    theirs = family(other, "reference", twin=other.get("dataset/twin@1"), crps=0.49, law=True)
    for _ in copy(other, catalog, [str(theirs["score"].reference)], door="pull"):
        pass
    after = catalog.query("kind = score and model = fgn and crps.skill@1d > -9")
    assert after["crps.skill@1d"].tolist() == before["crps.skill@1d"].tolist()
    catalog.trust("score/twin.reference.s0.crps@2")
    trusted = catalog.query("kind = score and model = fgn and crps.skill@1d > -9")
    assert trusted["crps.skill@1d"].tolist() == [pytest.approx((1 - 0.5) / (1 - 0.49))]


@pytest.mark.parametrize("door", ["archive", "forecaster"])
def test_a_draft_may_say_that_its_content_came_in(catalog: Catalog, door: Door) -> None:
    with catalog.draft("dataset", "a", recipe={"value": 1}, door=door) as draft:
        entry = draft.publish()
    assert (entry.origin, entry.door) == ("imported", door)
    assert catalog.find("dataset", {"value": 1}, {}) is None
    assert catalog.find("dataset", {"value": 1}, {}, door=door)


def test_a_killed_import_leaves_no_mark_for_good(catalog: Catalog) -> None:
    catalog.names.mark_imported("0" * 64, "archive")
    catalog.names.trust("0" * 64)
    collect(catalog, dry_run=True)
    assert catalog.names.imported() == {"0" * 64}
    collect(catalog)
    assert catalog.names.imported() == catalog.names.trusted() == set()


def test_it_is_shown_as_imported(catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    publish(catalog, "mine")
    assert "origin" not in _cli(catalog, "list")
    family(other)
    export(other, [SCORE], tmp_path / "theirs.tar")
    _cli(catalog, "import", tmp_path / "theirs.tar")
    rows = {line.split()[0]: line.split()[-1] for line in _cli(catalog, "list").splitlines()}
    assert rows["dataset/mine@1"] == "own"
    assert rows[SCORE] == "imported"
    assert "imported from an archive" in _cli(catalog, "show", SCORE)
    told = {each["reference"]: each for each in json.loads(_cli(catalog, "list", "--json"))}
    assert (told[SCORE]["origin"], told[SCORE]["door"]) == ("imported", "archive")
    assert told["dataset/mine@1"]["origin"] == "own"
    assert json.loads(_cli(catalog, "show", SCORE, "--json"))["origin"] == "imported"
    own = json.loads(_cli(catalog, "query", "origin = own", "--json"))
    assert [each["reference"] for each in own] == ["dataset/mine@1"]
    assert "trusted  dataset/twin@1" in _cli(catalog, "trust", SCORE)
    assert "and trusted" in _cli(catalog, "show", SCORE)
    assert "nothing changed" in _cli(catalog, "trust", SCORE)
    assert f"not trusted  {SCORE}" in _cli(catalog, "trust", "--remove", SCORE)
    document = json.loads(_cli(catalog, "trust", SCORE, "--json"))
    assert document == {"trusted": True, "changed": [SCORE]}


def test_trust_needs_an_entry(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="there is no dataset/a@1"):
        catalog.trust("dataset/a@1")
