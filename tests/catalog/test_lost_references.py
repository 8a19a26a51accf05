"""An entry whose reference file was lost is found, named again, and never collected in silence."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_entries import family, publish

from geobench.cli import main
from geobench_catalog import Catalog, CatalogError, Entry
from geobench_catalog.reference_files import Names
from geobench_catalog.references import Reference
from geobench_catalog.removal import collect, remove
from geobench_catalog.transfer import copy
from geobench_catalog.unnamed import name_again, unnamed
from geobench_catalog.verification import verify


def _cli(catalog: Catalog, *words: object) -> Result:
    result = CliRunner().invoke(main, ["--catalog", str(catalog.path), *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def _lose(catalog: Catalog, entry: Entry) -> None:
    (catalog.path / "refs" / str(entry.reference)).unlink()


def _problems(catalog: Catalog) -> list[str]:
    return [each for finding in verify(catalog) for each in finding.problems]


def test_a_lost_reference_is_found_and_kept_and_named_again(catalog: Catalog) -> None:
    entry = publish(catalog, "a", 1.0)
    publish(catalog, "b", 2.0)
    assert unnamed(catalog) == []
    _lose(catalog, entry)
    (problem,) = _problems(catalog)
    assert f"entries/{entry.id} holds dataset/a and has no reference" in problem
    assert f"geobench catalog name {entry.id[:12]}" in problem
    assert _cli(catalog, "catalog", "verify").exit_code == 1
    doctor = _cli(catalog, "doctor", "--json")
    assert doctor.exit_code == 1
    assert problem in doctor.stdout
    # Nobody collects it in silence.
    result = _cli(catalog, "catalog", "gc")
    assert (result.exit_code, result.stdout) == (0, "0 pieces of debris, 0 B\n")
    assert result.stderr == f"geobench: kept: {problem}.\n"
    assert entry.path.is_dir()
    given = _cli(catalog, "catalog", "name", entry.id[:12])
    assert (given.exit_code, given.stdout) == (0, "dataset/a@1\n")
    assert _problems(catalog) == []
    again = Catalog(catalog.path).find("dataset", {"value": 1.0}, {})
    assert again
    assert again.id == entry.id
    again.load()


def test_gc_takes_it_when_it_is_told_to(catalog: Catalog) -> None:
    entry = publish(catalog, "a")
    _lose(catalog, entry)
    result = _cli(catalog, "catalog", "gc", "--unnamed")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert not entry.path.exists()
    assert _problems(catalog) == []


def test_it_gets_the_name_that_its_children_know(catalog: Catalog) -> None:
    publish(catalog, "twin", 7.0)
    members = family(catalog)
    twin = members["dataset"]
    assert str(twin.reference) == "dataset/twin@2"
    _lose(catalog, twin)
    assert str(name_again(catalog, twin.id)) == "dataset/twin@2"
    assert _problems(catalog) == []
    # If that is taken meanwhile, the next.
    _lose(catalog, twin)
    assert publish(catalog, "twin", 8.0).reference.version == 2
    assert str(name_again(catalog, twin.id)) == "dataset/twin@3"
    assert catalog.parent(catalog.get("forecaster/twin.fgn.s0@1"), "dataset").id == twin.id
    assert _problems(catalog) == []


def test_it_gets_the_name_that_is_asked_for(catalog: Catalog) -> None:
    entry = publish(catalog, "a")
    other = publish(catalog, "a", 1.0)
    remove(catalog, [str(publish(catalog, "a", 2.0).reference)])
    _lose(catalog, entry)
    for version, evidence in ((2, "is another entry"), (3, "no version is given twice")):
        with pytest.raises(CatalogError, match=evidence):
            name_again(catalog, entry.id, Reference("dataset", "a", version))
    with pytest.raises(CatalogError, match=r"is a dataset called a\. Name it dataset/a@1"):
        name_again(catalog, entry.id, Reference("dataset", "b", 1))
    result = _cli(catalog, "catalog", "name", entry.id[:8], "dataset/a@7", "--json")
    assert json.loads(result.stdout) == {"reference": "dataset/a@7"}
    assert catalog.get("dataset/a@7").id == entry.id
    assert catalog.get("dataset/a@2").id == other.id


def test_a_damaged_reference_is_mended_by_naming(catalog: Catalog) -> None:
    entry = publish(catalog, "a")
    (catalog.path / "refs/dataset/a@1").write_bytes(b"\xff\xfe garbage")
    assert len(_problems(catalog)) == 2  # the reference, and the entry that it should name
    assert str(name_again(catalog, entry.id, Reference("dataset", "a", 1))) == "dataset/a@1"
    assert _problems(catalog) == []


def test_what_is_damaged_or_unknown_is_not_named(catalog: Catalog) -> None:
    entry = publish(catalog, "a", 1.0)
    with pytest.raises(CatalogError, match=r"begins the id of no entry without a reference.*none"):
        name_again(catalog, entry.id)
    _lose(catalog, entry)
    with pytest.raises(CatalogError, match=entry.id[:12]):
        name_again(catalog, "f" * 64)
    with pytest.raises(CatalogError, match="begins the id of"):
        name_again(catalog, "")
    chunk = entry.path / "data.zarr/q/c/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    with pytest.raises(CatalogError, match="is damaged"):
        name_again(catalog, entry.id)


def test_where_it_came_from_stays_known(catalog: Catalog, tmp_path: Path) -> None:
    other = Catalog(tmp_path / "other", create=True)
    entry = publish(other, "a")
    for _ in copy(other, catalog, ["dataset/a@1"], door="pull"):
        pass
    _lose(catalog, catalog.get("dataset/a@1"))
    name_again(catalog, entry.id)
    assert catalog.get("dataset/a@1").origin == "imported"


def test_what_died_before_it_was_named_is_debris(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Names, "give", die)
        with pytest.raises(KeyboardInterrupt):
            publish(catalog, "a")
    assert unnamed(catalog) == []
    assert _problems(catalog) == []
    assert len(collect(catalog)) == 1
    assert list(catalog.path.glob("entries/*")) == list(catalog.path.glob("naming/*")) == []


def test_what_died_after_it_was_named_is_kept_when_its_reference_is_lost(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Names, "done", lambda *_: None)
        entry = publish(catalog, "a")
    collect(catalog)
    assert not list(catalog.path.glob("naming/*"))
    _lose(catalog, entry)
    assert collect(catalog) == []
    assert [each.id for each in unnamed(catalog)] == [entry.id]


def test_what_rm_had_begun_to_remove_is_debris(catalog: Catalog) -> None:
    entry = publish(catalog, "a")
    aside = catalog.path.parent / "aside"
    shutil.copytree(entry.path, aside)
    remove(catalog, ["dataset/a@1"])
    shutil.copytree(aside, entry.path)  # as if it had died before the last step
    assert unnamed(catalog) == []
    assert len(collect(catalog)) == 1


def test_a_lost_version_that_is_given_again_is_not_taken_for_the_lost_one(catalog: Catalog) -> None:
    members = family(catalog)
    twin = members["dataset"]
    catalog.query("")  # the index knows the old one
    _lose(catalog, twin)
    other = publish(Catalog(catalog.path), "twin", 8.0)
    assert other.reference == twin.reference
    with pytest.raises(CatalogError, match="was made from dataset/twin@1, which is not in"):
        catalog.parent(members["forecaster"], "dataset")
    name_again(catalog, twin.id)
    with catalog.index.still():
        assert catalog.parent(members["forecaster"], "dataset").id == twin.id
