"""An entry gives its data whole and in blocks. Asked for anything else, it says so."""

import asyncio
from pathlib import Path

import pytest
import xarray as xr
from small_entries import data, publish

from geobench_catalog import Catalog, CatalogError, Entry


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog", create=True)


def _all(entry: Entry, prefix: str | None) -> set[str]:
    store = entry.store()

    async def listed() -> set[str]:
        names = store.list() if prefix is None else store.list_prefix(prefix)
        return {name async for name in names}

    return asyncio.run(listed())


def test_blocks_together_are_the_whole(catalog: Catalog) -> None:
    entry = publish(catalog, value=2.0, chunks=1)
    blocks = list(entry.blocks("init_time", memory=64))
    assert [block.sizes["init_time"] for block in blocks] == [1, 1, 1]
    xr.testing.assert_identical(xr.concat(blocks, "init_time"), entry.load())
    (whole,) = entry.blocks("init_time", memory=2**20)
    xr.testing.assert_equal(whole, data(2.0))


def test_a_block_is_no_part_of_a_chunk(catalog: Catalog) -> None:
    entry = publish(catalog, chunks=2)
    assert [each.sizes["init_time"] for each in entry.blocks("init_time", memory=200)] == [2, 1]


def test_what_it_does_not_hold_is_told(catalog: Catalog) -> None:
    entry = publish(catalog)
    with pytest.raises(CatalogError, match="dataset/a@1 holds no file"):
        entry.content("weights.safetensors")
    with pytest.raises(CatalogError, match="dataset/a@1 names no forecast that it was made from"):
        catalog.parent(entry, "forecast")
    elsewhere = publish(Catalog(f"memory://{catalog.url}", create=True))
    with pytest.raises(CatalogError, match="not in a folder"):
        _ = elsewhere.path


def test_its_store_lists_what_the_manifest_names(catalog: Catalog) -> None:
    entry = publish(catalog)
    every = _all(entry, None)
    assert every == {each.removeprefix("data.zarr/") for each in entry.manifest} - {"record.json"}
    assert _all(entry, "q/") == {each for each in every if each.startswith("q/")} != set()


def test_another_manifest_or_record_in_its_place_is_damage(catalog: Catalog) -> None:
    one, other = publish(catalog, "a", 1.0), publish(catalog, "b", 2.0)
    manifest = one.path / "MANIFEST.json"
    kept = manifest.read_bytes()
    manifest.write_bytes((other.path / "MANIFEST.json").read_bytes())
    with pytest.raises(CatalogError, match="it is not the one that was published"):
        catalog.get("dataset/a@1")
    manifest.write_bytes(kept)
    reference = Path(catalog.url) / "refs" / "dataset" / "c@1"
    reference.write_text(f"{one.id} dataset/c@1")
    with pytest.raises(CatalogError, match="it is that of a dataset called a"):
        catalog.get("dataset/c@1")


def test_where_there_is_no_folder_none_is_given_out(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="is not a folder"):
        _ = Catalog(f"memory://{tmp_path}", create=True).path
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="is not a folder"):
        Catalog(tmp_path / "file", create=True)


def test_a_tag_that_holds_something_is_damage(catalog: Catalog) -> None:
    entry = publish(catalog)
    catalog.names.tag(entry.reference, "good")
    assert list(catalog.names.damaged()) == []
    (tag,) = (Path(catalog.url) / "tags" / "dataset").iterdir()
    tag.write_text("more")
    (told,) = catalog.names.damaged()
    assert "is damaged: it must be empty" in told
