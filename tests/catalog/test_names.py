"""Aliases, tags, versions, lineage, and taking entries away."""

import pytest
from small_entries import family, publish

from geobench_catalog import Catalog, CatalogError, Reference
from geobench_catalog.removal import collect, plan, remove


def test_an_alias_stands_for_a_version_until_it_is_moved(catalog: Catalog) -> None:
    publish(catalog, value=1.0)
    second = publish(catalog, value=2.0)
    assert str(catalog.alias("dataset/a@1", "paper")) == "dataset/a@paper"
    assert catalog.get("dataset/a@paper").reference.version == 1
    catalog.alias("dataset/a@1", "paper")  # the same again is no change
    with pytest.raises(CatalogError, match=r"dataset/a@paper stands for dataset/a@1\. Use --move"):
        catalog.alias("dataset/a@2", "paper")
    catalog.alias("dataset/a@2", "paper", move=True)
    assert catalog.get("dataset/a@paper").id == second.id


def test_what_is_made_from_an_alias_records_the_version(catalog: Catalog) -> None:
    publish(catalog, value=1.0)
    catalog.alias("dataset/a@1", "paper")
    child = publish(
        catalog, "f", kind="forecaster", parents={"dataset": catalog.get("dataset/a@paper")}
    )
    assert child.record.parents["dataset"].reference == "dataset/a@1"


@pytest.mark.parametrize(
    ("alias", "told"),
    [
        ("latest", "'latest' cannot be an alias"),
        ("3", "'3' cannot be an alias"),
        ("Paper", "cannot be an alias"),
        ("a/b", "cannot be an alias"),
        ("../x", "cannot be an alias"),
        ("", "cannot be an alias"),
    ],
)
def test_bad_aliases_are_told(catalog: Catalog, alias: str, told: str) -> None:
    publish(catalog)
    with pytest.raises(CatalogError, match=told):
        catalog.alias("dataset/a@1", alias)
    with pytest.raises(CatalogError, match=told.replace("an alias", "a tag")):
        catalog.names.tag(Reference("dataset", "a", 1), alias)


def test_tags_come_and_go(catalog: Catalog) -> None:
    entry = publish(catalog)
    catalog.names.tag(entry.reference, "good")
    catalog.names.tag(entry.reference, "draft")
    catalog.names.tag(entry.reference, "good")
    assert catalog.names.tags() == {entry.reference: ["draft", "good"]}
    catalog.names.untag(entry.reference, "draft")
    assert list(catalog.query("tag = good")["reference"]) == ["dataset/a@1"]
    with pytest.raises(CatalogError, match="dataset/a@1 has no tag 'draft'"):
        catalog.names.untag(entry.reference, "draft")


def test_lineage_goes_from_ancestors_to_the_entry(catalog: Catalog) -> None:
    members = family(catalog)
    assert [e.id for e in catalog.lineage(members["score"])] == [
        members[kind].id for kind in ("dataset", "forecaster", "forecast", "score")
    ]


def test_nothing_goes_while_something_depends_on_it(catalog: Catalog) -> None:
    family(catalog)
    with pytest.raises(CatalogError, match=r"dataset/twin@1: .* depend on it. .* --cascade"):
        remove(catalog, ["dataset/twin@1"])
    assert len(list(catalog.entries())) == 4
    gone = remove(catalog, ["forecaster/twin.fgn.s0@1"], cascade=True)
    assert [str(reference) for reference in gone] == [
        "score/twin.fgn.s0.crps@1",
        "forecast/twin.fgn.s0@1",
        "forecaster/twin.fgn.s0@1",
    ]
    assert [str(entry.reference) for entry in catalog.entries()] == ["dataset/twin@1"]
    assert len(list((catalog.path / "entries").iterdir())) == 1
    assert list(collect(catalog)) == []


def test_an_entry_with_an_alias_goes_only_with_it(catalog: Catalog) -> None:
    publish(catalog)
    catalog.alias("dataset/a@1", "paper")
    with pytest.raises(CatalogError, match="the alias dataset/a@paper stands for dataset/a@1"):
        plan(catalog, ["dataset/a@1"])
    remove(catalog, ["dataset/a@1"], cascade=True)
    assert list(catalog.names.aliases()) == []


def test_a_version_that_was_removed_is_never_given_again(catalog: Catalog) -> None:
    for value in (0.0, 1.0):
        publish(catalog, value=value)
    catalog.names.tag(Reference("dataset", "a", 2), "old")
    remove(catalog, ["dataset/a@2"])
    assert catalog.get("dataset/a@latest").reference.version == 1
    assert publish(catalog, value=2.0).reference.version == 3
    assert catalog.names.tags() == {}
    with pytest.raises(CatalogError, match="there is no dataset/a@2"):
        catalog.get("dataset/a@2")


def test_a_child_of_what_was_removed_meanwhile_is_not_published(catalog: Catalog) -> None:
    parent = publish(catalog)
    with catalog.draft("forecaster", "f", recipe={}, parents={"dataset": parent}) as draft:
        remove(catalog, ["dataset/a@1"])
        with pytest.raises(CatalogError, match=r"made from dataset/a@1, which was removed"):
            draft.publish()
    assert list(catalog.entries()) == []


def test_debris_is_collected_and_nothing_else(catalog: Catalog) -> None:
    kept = publish(catalog)
    lost = publish(catalog, "lost")
    catalog.names.intend(lost.id)
    (catalog.path / f"refs/{lost.reference}").unlink()  # as if it had died before naming it
    whole = sum(path.stat().st_size for path in lost.path.rglob("*") if path.is_file())
    (catalog.path / "tmp/half").mkdir()
    (catalog.path / "tmp/half/file").write_bytes(b"12345")
    (catalog.path / "tmp/name").write_bytes(b"123")
    with catalog.draft("dataset", "living", recipe={}) as draft:
        draft.write_file("weights", b"1")
        would = list(collect(catalog, dry_run=True))
        assert len(list(catalog.path.glob("entries/*"))) == 2
        found = list(collect(catalog))
        assert found == would
        assert sorted(size for _, size in found) == sorted([5, 3, whole])
        living = draft.publish()
    assert {entry.id for entry in catalog.entries()} == {kept.id, living.id}
    assert list(collect(catalog)) == []
    assert catalog.names.intended() == set()


def test_gc_removes_nothing_while_a_reference_is_damaged(catalog: Catalog) -> None:
    entry = publish(catalog)
    ref = catalog.path / f"refs/{entry.reference}"
    ref.write_text(ref.read_text().replace(entry.id, "0" * 64))
    with pytest.raises(CatalogError, match="dataset/a@1 points at an entry that is not there"):
        list(collect(Catalog(catalog.path)))
    assert entry.path.is_dir()


def test_an_entry_whose_files_are_lost_can_be_removed(catalog: Catalog) -> None:
    import shutil

    entry = publish(catalog)
    shutil.rmtree(entry.path)
    remove(Catalog(catalog.path), ["dataset/a@1"])
    assert catalog.names.references() == set()
    assert publish(catalog).reference.version == 2


def test_what_another_entry_was_made_from_is_no_debris(catalog: Catalog) -> None:
    parent = family(catalog)["dataset"]
    ref = catalog.path / f"refs/{parent.reference}"
    text = ref.read_text()
    ref.unlink()
    assert collect(Catalog(catalog.path)) == []
    ref.write_text(text)
    assert Catalog(catalog.path).get("dataset/twin@1").load() is not None


def test_an_index_that_lies_removes_no_parent(catalog: Catalog) -> None:
    import sqlite3

    family(catalog)
    catalog.query("")
    connection = sqlite3.connect(catalog.path / "index.sqlite")
    connection.execute("DELETE FROM parents")
    connection.commit()
    connection.close()
    with pytest.raises(CatalogError, match="depend on it"):
        remove(Catalog(catalog.path), ["dataset/twin@1"])


def test_nothing_is_removed_while_an_entry_cannot_be_read(catalog: Catalog) -> None:
    child = family(catalog)["forecaster"]
    remove(catalog, ["forecast/twin.fgn.s0@1"], cascade=True)
    record = child.path / "record.json"
    text = record.read_text()
    record.write_text("{}")
    with pytest.raises(
        CatalogError, match=r"nothing was removed: forecaster/twin.fgn.s0@1: its rec"
    ):
        remove(Catalog(catalog.path), ["dataset/twin@1"])
    record.write_text(text)
    # One that cannot be read can itself be removed.
    record.write_text("{}")
    remove(Catalog(catalog.path), ["forecaster/twin.fgn.s0@1"])


def test_tags_on_nothing_are_collected(catalog: Catalog) -> None:
    entry = publish(catalog)
    remove(catalog, ["dataset/a@1"])
    catalog.names.tag(entry.reference, "late")
    collect(catalog)
    assert catalog.names.tags() == {}
    with pytest.raises(CatalogError, match="there is no dataset/a@1"):
        catalog.tag("dataset/a@1", "later")


def test_a_removed_entry_that_is_still_open_says_so(catalog: Catalog) -> None:
    entry = publish(catalog)
    remove(catalog, ["dataset/a@1"])
    with pytest.raises(CatalogError, match=r"dataset/a@1 was removed meanwhile\.$"):
        entry.load()
