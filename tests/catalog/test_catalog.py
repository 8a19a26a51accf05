"""The catalog: versions, atomic publication, integrity, and what it does with a damaged one."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from small_entries import data, publish

from geobench_catalog import Catalog, CatalogError, Entry, Parent, Reference


def _debris(catalog: Catalog) -> list[Path]:
    return list((catalog.path / "tmp").iterdir())


def test_what_is_published_can_be_read_by_xarray_alone(catalog: Catalog) -> None:
    entry = publish(catalog, value=1.5)
    xr.testing.assert_identical(entry.open().load().drop_attrs(), data(1.5).drop_attrs())
    plain = xr.open_zarr(entry.path / "data.zarr", consolidated=False, chunks=None).load()
    assert json.loads(plain.attrs["recipe"]) == {"value": 1.5}
    xr.testing.assert_identical(plain.drop_attrs(deep=False), data(1.5))
    assert _debris(catalog) == []


def test_loading_like_another_entry_gives_what_loading_gives(catalog: Catalog) -> None:
    first, second = publish(catalog, value=1.5), publish(catalog, value=2.5)
    loaded = first.load()
    xr.testing.assert_identical(second.load_like(first, loaded), second.load())
    other = data(3.5)
    day = np.timedelta64(1, "D")
    moved = other.assign_coords(
        {dim: other[dim] + (day if other[dim].dtype.kind in "mM" else 1) for dim in other.coords}
    )
    with catalog.draft("dataset", "a", recipe={"value": 3.5}) as draft:
        draft.write(moved)
        third = draft.publish()
    xr.testing.assert_identical(third.load_like(first, loaded), third.load())
    assert not third.load_like(first, loaded).equals(other)


def test_loading_like_another_entry_finds_damage(catalog: Catalog) -> None:
    first, second = publish(catalog, value=1.5), publish(catalog, value=2.5)
    loaded = first.load()
    chunk = next(path for path in second.path.glob("data.zarr/q/c/**/*") if path.is_file())
    values = bytearray(chunk.read_bytes())
    values[-1] ^= 1
    chunk.chmod(0o644)
    chunk.write_bytes(bytes(values))
    with pytest.raises(CatalogError, match="a@2"):
        second.load_like(first, loaded)
    chunk.unlink()
    with pytest.raises(CatalogError, match=r"a@2.*is missing"):
        second.load_like(first, loaded)


def test_versions_count_up_and_latest_is_the_last(catalog: Catalog) -> None:
    entries = [publish(catalog, value=value) for value in (0, 1, 2)]
    assert [str(entry.reference) for entry in entries] == [f"dataset/a@{v}" for v in (1, 2, 3)]
    assert catalog.get("dataset/a@latest").id == entries[2].id
    assert catalog.get("dataset/a@1").id == entries[0].id
    assert [entry.reference for entry in catalog.entries()] == [
        Reference("dataset", "a", version) for version in (1, 2, 3)
    ]


def test_a_computation_is_found_by_recipe_and_parents(catalog: Catalog) -> None:
    parent, other = publish(catalog, "a", 0), publish(catalog, "b", 1)
    with catalog.draft("forecaster", "f", recipe={"seed": 1}, parents={"dataset": parent}) as draft:
        draft.write(data())
        made = draft.publish()
    found = catalog.find("forecaster", {"seed": 1}, {"dataset": parent})
    assert found is not None
    assert found.id == made.id
    assert found.record.parents == {"dataset": Parent(reference="dataset/a@1", id=parent.id)}
    assert catalog.parent(found, "dataset").id == parent.id
    assert catalog.find("forecaster", {"seed": 2}, {"dataset": parent}) is None
    assert catalog.find("forecaster", {"seed": 1}, {"dataset": other}) is None
    assert catalog.find("score", {"seed": 1}, {"dataset": parent}) is None


def test_the_record_tells_where_an_entry_comes_from(catalog: Catalog) -> None:
    record = catalog.get(str(publish(catalog).reference)).record
    assert record.recipe == {"value": 0.0}
    assert record.summary == {"states": 12}
    assert record.environment["packages"]["zarr"]
    assert record.environment["python"]
    assert record.seconds > 0


def test_equal_data_have_equal_digests_and_other_data_have_not(catalog: Catalog) -> None:
    same = [publish(catalog, name, 1.0) for name in ("a", "b")]
    assert same[0].id != same[1].id
    assert same[0].content_digest == same[1].content_digest
    assert publish(catalog, "c", 2.0).content_digest != same[0].content_digest


def test_a_draft_that_is_left_leaves_nothing(catalog: Catalog) -> None:
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.write(data())
    assert list(catalog.entries()) == []
    assert _debris(catalog) == []


def test_a_draft_is_not_visible_before_it_is_published(catalog: Catalog) -> None:
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.write(data())
        assert list(Catalog(catalog.path).entries()) == []
        draft.publish()
        assert len(list(Catalog(catalog.path).entries())) == 1


def test_appending_gives_the_whole(catalog: Catalog) -> None:
    whole = data(3.0)
    with catalog.draft("forecast", "f", recipe={}) as draft:
        for first in (0, 2):
            piece = whole.isel(init_time=slice(first, first + 2))
            draft.write(piece, append="init_time", chunks={"init_time": 2})
        entry = draft.publish()
    xr.testing.assert_equal(entry.open().load(), whole)


def _publish_many(path: Path, count: int) -> None:
    catalog = Catalog(path)
    for number in range(count):
        publish(catalog, "shared", float(number))


@pytest.mark.slow
def test_writers_of_one_name_get_different_versions(catalog: Catalog) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_publish_many, args=(catalog.path, 5)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    versions = [entry.reference.version for entry in catalog.entries("dataset")]
    assert versions == list(range(1, 16))
    for entry in catalog.entries():
        entry.check()
    assert _debris(catalog) == []


def _chunk(entry: Entry) -> Path:
    return max((entry.path / "data.zarr/q/c").rglob("*"), key=lambda path: path.is_file())


def test_a_missing_chunk_is_an_error_and_not_a_fill_value(catalog: Catalog) -> None:
    entry = publish(catalog, value=1.0)
    _chunk(entry).unlink()
    with pytest.raises(CatalogError, match=r"data.zarr/q/c/0/0 is missing. The entry is damaged"):
        entry.open()


def test_a_truncated_chunk_is_an_error(catalog: Catalog) -> None:
    entry = publish(catalog, value=1.0)
    chunk = _chunk(entry)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(CatalogError, match=r"has \d+ bytes, not \d+"):
        entry.open()


def test_a_flipped_bit_in_a_chunk_is_an_error(catalog: Catalog) -> None:
    entry = publish(catalog, value=1.0)
    chunk = _chunk(entry)
    original = chunk.read_bytes()
    for place in range(0, len(original), 5):
        damaged = bytearray(original)
        damaged[place] ^= 1 << place % 8
        chunk.write_bytes(damaged)
        with pytest.raises(CatalogError, match=r"dataset/a@1: its data cannot be read .*checksum"):
            entry.load()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a@1", "'a@1' is not a reference. Write kind/name@version"),
        ("dataset/a", "'dataset/a' has no version. The newest is dataset/a@1."),
        ("dataset/a@0", "not a reference"),
        ("dataset/a@one", "there is no dataset/a@one"),
        ("dataset/a@One", "not a reference"),
        ("dataset/a@" + 5000 * "9", "not a reference"),
        ("dateset/a@1", "there is no kind of entry 'dateset'"),
        ("dataset/../../etc@1", "cannot name an entry"),
        ("dataset/A@1", "cannot name an entry"),
        ("dataset/b@1", r"there is no dataset/b@1 in .* Did you mean dataset/a@1"),
        ("dataset/b@latest", "there is no dataset/b@latest"),
    ],
)
def test_bad_references_are_told(catalog: Catalog, text: str, told: str) -> None:
    publish(catalog)
    with pytest.raises(CatalogError, match=told):
        catalog.get(text)


def test_a_folder_that_is_no_catalog_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for create in (False, True):
        with pytest.raises(CatalogError, match=r"not a catalog .*geobench-catalog.json"):
            Catalog(tmp_path, create=create)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_mark_is_told_with_its_cure(catalog: Catalog) -> None:
    publish(catalog)
    mark = catalog.path / "geobench-catalog.json"
    mark.write_text('{"sche')
    with pytest.raises(CatalogError, match=r"cannot be read .* write .*schema.* into it"):
        Catalog(catalog.path)
    mark.write_text('{"schema": 1}')
    assert len(list(Catalog(catalog.path).entries())) == 1


def test_a_newer_catalog_is_refused(catalog: Catalog) -> None:
    (catalog.path / "geobench-catalog.json").write_text('{"schema": 3}')
    with pytest.raises(CatalogError, match="has catalog schema 3; this geobench reads 1 to 2"):
        Catalog(catalog.path)


def test_a_reference_to_nothing_is_told_with_its_cure(catalog: Catalog) -> None:
    entry = publish(catalog)
    entry.path.rename(catalog.path / "elsewhere")
    with pytest.raises(CatalogError, match=r"dataset/a@1 points at an entry that is not there"):
        Catalog(catalog.path).get("dataset/a@1")


def test_a_record_of_another_shape_is_told(catalog: Catalog) -> None:
    entry = publish(catalog)
    record = json.loads((entry.path / "record.json").read_text())
    (entry.path / "record.json").write_text(json.dumps(record | {"surprise": 1}))
    told = r"dataset/a@1: its record.json cannot be read .*not the one that was published"
    with pytest.raises(CatalogError, match=told):
        Catalog(catalog.path).get("dataset/a@1")


def test_what_is_damaged_or_foreign_does_not_hide_the_rest(catalog: Catalog) -> None:
    bad, good = publish(catalog, "a"), publish(catalog, "b")
    (bad.path / "record.json").write_text('{"kind"')
    (catalog.path / "refs/dataset/.DS_Store").write_text("")
    (catalog.path / "refs/dataset/c@1").mkdir()
    opened = Catalog(catalog.path)
    assert [entry.id for entry in opened.entries()] == [good.id]
    assert [str(reference) for reference in opened.damaged] == ["dataset/a@1"]
    assert "its record.json cannot be read" in opened.damaged[bad.reference]
    assert opened.find("dataset", {"value": 0.0}, {}) is not None


def test_a_reference_that_leaves_the_catalog_is_refused(catalog: Catalog) -> None:
    publish(catalog)
    (catalog.path / "refs/dataset/a@1").write_text("../../somewhere")
    with pytest.raises(
        CatalogError, match=r"dataset/a@1: the file .* is damaged; it holds '../../"
    ):
        Catalog(catalog.path).get("dataset/a@1")


def test_a_catalog_in_a_file_is_told(tmp_path: Path) -> None:
    # (A folder without write permission would do for most users, but not for root.)
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match=r"cannot be written \(Not a directory\)"):
        Catalog(tmp_path / "file" / "catalog", create=True)


def test_a_full_disk_loses_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish(catalog)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geobench_catalog.local_store.sync", full)
    with pytest.raises(CatalogError, match=r"cannot be written \(No space left on device\)"):
        publish(catalog, value=1.0)
    monkeypatch.undo()
    assert [entry.id for entry in catalog.entries()] == [first.id]
    assert _debris(catalog) == []
    assert str(publish(catalog, value=1.0).reference) == "dataset/a@2"


def test_reading_needs_neither_torch_nor_geobench() -> None:
    code = "import sys, geobench_catalog; print({'torch', 'geobench', 'xarray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_data_that_come_in_pieces_are_thedata(catalog: Catalog) -> None:
    days = np.datetime64("2000-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    values = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32)
    values[2:4, 4:] = np.nan  # a chunk of nothing else is stored all the same
    whole = xr.Dataset(
        {"q": (("init_time", "member", "x"), values, {"units": "m"})},
        {"init_time": days, "member": np.arange(6), "x": np.arange(3.0)},
        {"title": "pieces"},
    )
    with catalog.draft("forecast", "a", recipe={}) as draft:
        coords = whole[["init_time", "member"]]
        one = whole.isel(init_time=[0], member=[0])
        draft.allocate(one, coords, {"init_time": 2, "member": 4})
        for first, least in ((4, 4), (0, 0), (2, 4), (0, 4), (2, 0), (4, 0)):
            where = {"init_time": slice(first, first + 2), "member": slice(least, least + 4)}
            piece = whole.isel(where)
            ends = {dim: slice(s.start, s.start + piece.sizes[dim]) for dim, s in where.items()}
            draft.fill(piece, ends)
        entry = draft.publish()
    xr.testing.assert_identical(entry.load().drop_attrs(deep=False), whole.drop_attrs(deep=False))
    chunks = [file for file in (entry.path / "data.zarr" / "q" / "c").rglob("*") if file.is_file()]
    assert len(chunks) == 6


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a\nb", "..", ".x", "x" * 61, "a b", ""])
def test_names_that_no_folder_can_have_are_told(catalog: Catalog, name: str) -> None:
    with catalog.draft("dataset", "a", recipe={}) as draft:
        with pytest.raises(CatalogError, match="cannot name a variable or group"):
            draft.write(xr.Dataset({name: ("x", np.zeros(3, np.float32))}))
        with pytest.raises(CatalogError, match="cannot name a variable or group"):
            draft.allocate(
                xr.Dataset({name: ("x", np.zeros(1, np.float32))}),
                xr.Dataset(coords={"x": np.arange(3)}),
                {},
            )


def test_appending_never_changes_values(catalog: Catalog) -> None:
    def piece(values: list[object], dtype: str) -> xr.Dataset:
        return xr.Dataset({"q": ("t", np.array(values, dtype))})

    for first, second in (
        (piece([1, 2], "i4"), piece([1.5], "f4")),
        (piece([1, 2], "f4"), piece([1.5], "f8")),
        (piece([1, 2], "m8[s]"), piece([250], "m8[ms]")),
        (piece(["2000-01-01"], "M8[ns]"), piece(["2000-01-02T00:00:00.5"], "M8[ns]")),
    ):
        with catalog.draft("dataset", "a", recipe={}) as draft:
            draft.write(first, append="t")
            with pytest.raises(CatalogError, match=r"q .* cannot be appended to what is stored as"):
                draft.write(second, append="t")


def test_times_between_seconds_are_kept(catalog: Catalog) -> None:
    times = np.datetime64("2000-01-01", "ns") + np.array([0, 250, 1500]) * np.timedelta64(1, "ms")
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.write(xr.Dataset({"q": ("t", np.zeros(3, np.float32))}, {"t": times}))
        entry = draft.publish()
    assert (entry.load()["t"].to_numpy() == times).all()


def test_a_recipe_that_cannot_be_recorded_is_told_before_the_work(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match=r"dataset/a cannot be recorded: recipe.x is nan, and"):
        catalog.draft("dataset", "a", recipe={"x": float("nan")})


def test_a_file_that_only_looks_like_a_reference_is_not_ours(catalog: Catalog) -> None:
    publish(catalog)
    (catalog.path / "refs/dataset/a@01").write_text("x")
    opened = Catalog(catalog.path)
    assert [str(entry.reference) for entry in opened.entries()] == ["dataset/a@1"]
    assert list(opened.query("")["reference"]) == ["dataset/a@1"]


def test_names_in_other_alphabets_are_carried(catalog: Catalog, tmp_path: Path) -> None:
    from geobench_catalog.archive import bring_in, export

    with catalog.draft("dataset", "a", recipe={"ort": "Köln"}) as draft:
        draft.write(xr.Dataset({"höhe": ("x", np.ones(3, np.float32))}))
        draft.publish()
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    other = Catalog(tmp_path / "other", create=True)
    assert [each.new for each in bring_in(other, tmp_path / "a.tar")] == [True]
    assert (other.get("dataset/a@1").load()["höhe"] == 1).all()
