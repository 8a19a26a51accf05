"""Nothing that was altered goes unnoticed: by verify, and by those who read."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from small_entries import data, family, publish

from geobench_catalog import Catalog, CatalogError, Entry
from geobench_catalog.verification import verify


def _problems(catalog: Catalog, *references: str) -> list[str]:
    return [each for finding in verify(catalog, references) for each in finding.problems]


def _everything(catalog: Catalog) -> list[Path]:
    """Every file of the catalog that is not derived."""
    derived = ("index.sqlite", "lock")
    return sorted(
        path for path in catalog.path.rglob("*") if path.is_file() and path.name not in derived
    )


def test_a_whole_catalog_is_well(catalog: Catalog) -> None:
    members = family(catalog)
    catalog.alias("dataset/twin@1", "paper")
    catalog.names.tag(members["dataset"].reference, "good")
    findings = list(verify(catalog))
    assert [finding.owner for finding in findings[:-1]] == sorted(
        str(entry.reference) for entry in members.values()
    )
    assert all(not finding.problems for finding in findings)
    assert findings[0].files == len(members["dataset"].manifest)


@pytest.mark.slow
def test_300_of_300_faults_are_found(catalog: Catalog) -> None:
    """Bits flipped, files cut and files removed, anywhere but in what is derived (seed fixed)."""
    family(catalog)
    catalog.alias("dataset/twin@1", "paper")
    chance = random.Random(0)
    whole = catalog.path.with_name("whole")
    shutil.copytree(catalog.path, whole)
    files = [path.relative_to(catalog.path) for path in _everything(catalog)]
    chunks = [path for path in files if "/c/" in str(path)]
    found = dict.fromkeys(("flip", "cut", "missing"), 0)
    for number in range(300):
        kind = ("flip", "cut", "missing")[number % 3]
        # A flipped bit anywhere; lengths and absence of the files that hold or describe data.
        path = chance.choice(files if kind == "flip" else chunks)
        damaged = catalog.path / path
        content = bytearray(damaged.read_bytes())
        if kind == "missing":
            damaged.unlink()
        elif kind == "cut":
            damaged.write_bytes(content[: chance.randrange(len(content))])
        else:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            damaged.write_bytes(content)
        try:
            told = " ".join(_problems(Catalog(catalog.path)))
        except CatalogError as error:  # the mark of the catalog itself
            told = str(error)
        # References and aliases are called what they stand for; files by their own name.
        called = "/".join(
            path.parts[1:] if path.parts[0] in ("refs", "aliases") else path.parts[2:]
        )
        if (called or path.name) in told:
            found[kind] += 1
        else:
            print(f"{kind} in {path} was not found: {content!r}")
        damaged.write_bytes((whole / path).read_bytes())
    assert _problems(Catalog(catalog.path)) == []
    print(f"faults found: {found} of 100 each")
    assert found == {"flip": 100, "cut": 100, "missing": 100}


def _two_shards(catalog: Catalog) -> Entry:
    values = np.random.default_rng(0).normal(size=(2, 4, 3, 8)).astype(np.float32)
    whole = xr.Dataset({"q": (("init_time", "lead_time", "member", "x"), values)})
    with catalog.draft("forecast", "sharded", recipe={}) as draft:
        chunks = {"init_time": 1, "lead_time": 1}
        draft.write(whole, chunks=chunks, shards={"init_time": 1, "lead_time": 4})
        return draft.publish()


@pytest.mark.parametrize("sharded", [False, True])
def test_a_chunk_that_goes_missing_while_it_is_read_is_never_filled_in(
    catalog: Catalog, sharded: bool
) -> None:
    entry = _two_shards(catalog) if sharded else publish(catalog, value=1.0, chunks=1)
    opened = entry.open()  # lazily, before the damage
    last = max(path for path in (entry.path / "data.zarr/q/c").rglob("*") if path.is_file())
    assert np.isfinite(opened["q"][0].to_numpy()).all()
    last.unlink()
    with pytest.raises(CatalogError, match=r"q/c/.* is missing\). The entry is damaged"):
        opened["q"][-1].load()


def test_every_bit_of_a_shard_is_guarded(catalog: Catalog) -> None:
    entry = _two_shards(catalog)
    shard = entry.path / "data.zarr/q/c/1/0/0/0"
    content = shard.read_bytes()
    opened, original = entry.open(), entry.load()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        shard.write_bytes(damaged)
        for lead in range(4):
            try:
                with entry.reading():
                    found = opened["q"][1, lead].to_numpy()
            except CatalogError:
                continue
            # Only what was not touched may be read: then it is right.
            np.testing.assert_array_equal(found, original["q"][1, lead])
        with pytest.raises(CatalogError):
            entry.load()


def test_what_was_never_filled_cannot_be_published(catalog: Catalog) -> None:
    whole = data(1.0)
    with catalog.draft("forecast", "a", recipe={}) as draft:
        draft.allocate(whole.isel(init_time=[0]), whole[["init_time"]], {"init_time": 1})
        draft.fill(whole.isel(init_time=slice(0, 2)), {"init_time": slice(0, 2)})
        told = r"forecast/a: q was filled at 2 of 3 places along init_time"
        with pytest.raises(CatalogError, match=told):
            draft.publish()
    assert list(catalog.entries()) == []


def test_what_changes_on_disk_before_it_is_published_is_told(catalog: Catalog) -> None:
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.write(data())
        (draft.path / "data.zarr/q/c/0/0").write_bytes(b"other")
        with pytest.raises(CatalogError, match="what was written is not what is on disk"):
            draft.publish()


def test_digests_are_those_of_what_was_written(catalog: Catalog) -> None:
    """Taken on the way to the disk, they equal those of an independent reading."""
    from geobench_catalog.manifest import files, measure_file

    entry = family(catalog)["score"]
    assert {name: measure_file(path) for name, path in files(entry.path)} == entry.manifest


def test_a_file_that_was_not_published_is_named_and_not_read(catalog: Catalog) -> None:
    entry = publish(catalog, value=1.0)
    zarr.save_array(entry.path / "data.zarr/smuggled", np.ones(3), zarr_format=3)
    assert "smuggled" not in entry.load()
    told = _problems(catalog, "dataset/a@1")
    assert told[0] == "dataset/a@1: data.zarr/smuggled/c/0 was not published with it"


def test_a_changed_recipe_is_found_even_if_its_digests_are_made_to_fit(catalog: Catalog) -> None:
    from geobench_catalog import manifest

    entry = family(catalog)["forecast"]
    record = json.loads((entry.path / "record.json").read_text())
    record["recipe"]["members"] = 400
    text = json.dumps(record).encode()
    files = entry.manifest | {"record.json": manifest.measured(text)}
    forged = manifest.digest(manifest.encode(files))
    path = entry.path.rename(entry.path.with_name(forged))
    (path / "record.json").write_bytes(text)
    (path / "MANIFEST.json").write_bytes(manifest.encode(files))
    (catalog.path / f"refs/{entry.reference}").write_text(forged)
    told = " ".join(_problems(Catalog(catalog.path)))
    assert "forecast/twin.fgn.s0@1: its key is not that of its recipe and parents" in told
    # What was made from it names the content it was made from.
    assert "score/twin.fgn.s0.crps@1: its forecast is not there" in told


def test_a_lost_parent_is_told(catalog: Catalog) -> None:
    parent = family(catalog)["forecaster"]
    (catalog.path / f"refs/{parent.reference}").unlink()
    told = _problems(Catalog(catalog.path))
    assert len(told) == 2
    assert f"entries/{parent.id} holds forecaster/twin.fgn.s0 and has no reference" in told[1]
    assert "forecast/twin.fgn.s0@1: its forecaster is not there" in told[0]
    assert "made from forecaster/twin.fgn.s0@1, which is not in" in told[0]


def test_verify_of_one_entry_looks_at_that_one(catalog: Catalog) -> None:
    family(catalog)
    findings = list(verify(catalog, ("dataset/twin@latest",)))
    assert [finding.owner for finding in findings] == ["dataset/twin@1"]
    with pytest.raises(CatalogError, match="there is no dataset/nothing@1"):
        list(verify(catalog, ("dataset/nothing@1",)))


def test_a_shard_of_another_entry_is_not_taken_for_its_own(catalog: Catalog) -> None:
    entry = _two_shards(catalog)
    shards = [entry.path / f"data.zarr/q/c/{place}/0/0/0" for place in (0, 1)]
    assert len({shard.stat().st_size for shard in shards}) == 1  # only the digest tells
    shards[0].write_bytes(shards[1].read_bytes())
    with pytest.raises(CatalogError, match=r"forecast/sharded@1: .*q/c/0/0/0/0 is not what was"):
        entry.open()["q"][0, 0].load()


def test_links_in_an_entry_are_named(catalog: Catalog, tmp_path: Path) -> None:
    entry = publish(catalog, value=1.0)
    (entry.path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (entry.path / "linked").symlink_to(tmp_path / "folder")
    chunk = entry.path / "data.zarr/q/c/0/0"
    size = chunk.stat().st_size
    moved = chunk.rename(chunk.with_name("xx" if size % 2 == 0 else "x"))
    # A link of as many bytes as the chunk that it leads to: neither size nor content tells.
    chunk.symlink_to(f"{'./' * ((size - len(moved.name)) // 2)}{moved.name}")
    assert chunk.lstat().st_size == size
    told = " ".join(_problems(catalog, "dataset/a@1"))
    assert "broken was not published with it" in told
    assert "linked was not published with it" in told
    assert "data.zarr/q/c/0/0 is a link" in told
    with pytest.raises(CatalogError, match=r"data\.zarr/q/c/0/0 is a link"):
        entry.check()


def test_no_chunk_is_larger_than_what_other_catalogs_take() -> None:
    """Of 2 GiB of numbers, which are one number here; smaller arrays stay whole."""
    from geobench_catalog.chunk_sizes import LARGEST
    from geobench_catalog.zarr_data import encoding

    for size, cut in ((2**19, 2**16), (2**16, 2**16), (100, 100)):
        values = np.broadcast_to(np.float32(0), (size, 1024))
        found = encoding(xr.Dataset({"q": (("case", "x"), values)}), {})
        assert found["q"]["chunks"] == (cut, 1024)
        assert 4 * cut * 1024 <= LARGEST
