"""Entries on their way: archives, also hostile ones, and from one catalog to another."""

import fcntl
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from small_entries import family, publish

from geobench_catalog import Catalog, CatalogError, manifest
from geobench_catalog.archive import bring_in, export
from geobench_catalog.transfer import copy
from geobench_catalog.verification import verify


def _well(catalog: Catalog) -> bool:
    return not any(finding.problems for finding in verify(catalog))


@pytest.fixture
def other(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "other", create=True)


def test_an_export_carries_entries_with_all_they_were_made_from(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    members = family(catalog)
    publish(catalog, "unrelated")
    written = export(catalog, ["score/twin.fgn.s0.crps@1"], tmp_path / "a.tar")
    assert [entry.id for entry in written] == [entry.id for entry in members.values()]
    arrived = list(bring_in(other, tmp_path / "a.tar"))
    assert [str(each.here) for each in arrived] == [str(e.reference) for e in members.values()]
    assert all(each.new for each in arrived)
    for entry in members.values():
        again = other.get(str(entry.reference))
        assert (again.id, again.record) == (entry.id, entry.record)
        xr.testing.assert_identical(again.load(), entry.load())
    assert _well(other)
    # The same again changes nothing; the archive is the same bits.
    assert not any(each.new for each in bring_in(other, tmp_path / "a.tar"))
    export(other, ["score/twin.fgn.s0.crps@1"], tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert len(list(other.entries())) == 4


def test_an_export_is_a_tar_that_tar_can_read(catalog: Catalog, tmp_path: Path) -> None:
    entry = publish(catalog, value=2.0)
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        archive.extractall(tmp_path / "plain", filter="data")
    plain = xr.open_zarr(tmp_path / "plain" / entry.id / "data.zarr", consolidated=False)
    assert (plain["q"].to_numpy() == 2.0).all()


def test_a_name_that_is_taken_gets_the_next_version_and_lineage_stays(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    members = family(catalog)
    taken = publish(other, "twin", 9.0)
    export(catalog, ["forecast/twin.fgn.s0@1"], tmp_path / "a.tar")
    arrived = {str(each.wanted): str(each.here) for each in bring_in(other, tmp_path / "a.tar")}
    assert arrived["dataset/twin@1"] == "dataset/twin@2"
    fitted = other.get("forecaster/twin.fgn.s0@1")
    assert other.parent(fitted, "dataset").id == members["dataset"].id != taken.id
    assert [str(each) for each in other.index.children(members["dataset"].id)] == [
        "forecaster/twin.fgn.s0@1"
    ]
    assert _well(other)


def test_push_and_pull_copy_what_is_not_there(catalog: Catalog, other: Catalog) -> None:
    members = family(catalog)
    first = list(copy(catalog, other, ["forecaster/twin.fgn.s0@1"]))
    assert [each.new for each in first] == [True, True]
    second = list(copy(catalog, other, ["score/twin.fgn.s0.crps@1"]))
    assert [each.new for each in second] == [False, False, True, True]
    assert {e.id for e in other.entries()} == {e.id for e in members.values()}
    assert _well(other)


def test_an_entry_without_its_parents_is_refused(
    catalog: Catalog, other: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(catalog)
    monkeypatch.setattr(
        "geobench_catalog.archive.with_lineage", lambda c, refs: [c.get(ref) for ref in refs]
    )
    export(catalog, ["forecast/twin.fgn.s0@1"], tmp_path / "a.tar")
    with pytest.raises(CatalogError, match=r"made from forecaster/twin.fgn.s0@1, which is not in"):
        list(bring_in(other, tmp_path / "a.tar"))
    assert list(other.entries()) == []


def test_what_is_damaged_is_not_exported(catalog: Catalog, tmp_path: Path) -> None:
    entry = publish(catalog, value=1.0)
    chunk = entry.path / "data.zarr/q/c/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    with pytest.raises(CatalogError, match="dataset/a@1: its data cannot be read"):
        export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    assert not list(tmp_path.glob("a.tar*"))


def test_an_export_replaces_nothing(catalog: Catalog, tmp_path: Path) -> None:
    publish(catalog)
    (tmp_path / "a.tar").write_text("precious")
    with pytest.raises(CatalogError, match="is there already"):
        export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_text() == "precious"
    assert not (tmp_path / "a.tar.part").exists()


def test_an_export_that_died_is_written_over_and_one_that_lives_is_not(
    catalog: Catalog, tmp_path: Path
) -> None:
    publish(catalog)
    left = tmp_path / "a.tar.part"
    left.write_text("half of an archive" * 10_000)
    with left.open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        with pytest.raises(CatalogError, match="another export is writing"):
            export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    assert left.exists()
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    export(catalog, ["dataset/a@1"], tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert not list(tmp_path.glob("*.part"))


# -- hostile archives

Members = list[tuple[tarfile.TarInfo, bytes]]


def _members(path: Path) -> Members:
    with tarfile.open(path) as archive:
        return [(each, archive.extractfile(each).read()) for each in archive]  # type: ignore[union-attr]


def _write(path: Path, members: Members, form: int = tarfile.USTAR_FORMAT) -> None:
    with tarfile.open(path, "w", format=form) as archive:
        for info, content in members:
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _insert(name: str, content: bytes = b"evil", kind: bytes = tarfile.REGTYPE, link: str = ""):  # type: ignore[no-untyped-def]
    def change(members: Members) -> Members:
        info = tarfile.TarInfo(name.replace("ID", members[1][0].name[:64]))
        info.type, info.linkname = kind, link
        return [*members[:3], (info, content), *members[3:]]

    return change


def _replace(ending: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    def changed(members: Members) -> Members:
        return [(i, change(c) if i.name.endswith(ending) else c) for i, c in members]

    return changed


def _forged(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Callable[[Members], Members]:
    """Other files with a manifest and an id that fit them."""

    def changed(members: Members) -> Members:
        files = {info.name[65:]: content for info, content in members[2:]}
        files = change(files)
        if change in (_codec, _old_zarr, _no_chunk, _moved_chunk, _deep_metadata) or hasattr(
            change, "fits"
        ):  # whose record is made to fit
            rest = {
                name: manifest.measured(c) for name, c in files.items() if name != "record.json"
            }
            fit = {"size": manifest.size(rest), "content": manifest.content_digest(rest)}
            files = _record(**fit)(files)
        facts = {name: manifest.measured(content) for name, content in files.items()}
        text = manifest.encode(facts)
        new = manifest.digest(text)
        listed = json.loads(members[0][1])
        listed["entries"][0]["id"] = new
        named = [(f"{new}/{name}", content) for name, content in files.items()]
        all_of = [(members[0][0].name, json.dumps(listed).encode()), (f"{new}/MANIFEST.json", text)]
        return [(tarfile.TarInfo(name), content) for name, content in [*all_of, *named]]

    return changed


def _codec(files: dict[str, bytes]) -> dict[str, bytes]:
    node = json.loads(files["data.zarr/q/zarr.json"])
    node["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    return files | {"data.zarr/q/zarr.json": json.dumps(node).encode()}


def _old_zarr(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"data.zarr/q/.zarray": b'{"filters": [{"id": "pickle"}]}'}


def _no_chunk(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name != "data.zarr/q/c/0/0"}


def _moved_chunk(files: dict[str, bytes]) -> dict[str, bytes]:
    rest = _no_chunk(files)
    return rest | {"data.zarr/q/c/9/0": files["data.zarr/q/c/0/0"]}


def _node(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, bytes]], Any]:
    def changed(files: dict[str, bytes]) -> dict[str, bytes]:
        node = json.loads(files["data.zarr/q/zarr.json"])
        change(node)
        return files | {"data.zarr/q/zarr.json": json.dumps(node).encode()}

    changed.fits = True  # type: ignore[attr-defined]
    return changed


def _grid(cut: list[Any]) -> Callable[[dict[str, bytes]], Any]:
    return _node(lambda node: node["chunk_grid"]["configuration"].update(chunk_shape=cut))


_twice = _node(lambda node: node["codecs"].append({"name": "zstd", "configuration": {}}))


def _bomb(files: dict[str, bytes]) -> dict[str, bytes]:
    """Blosc's header says how many bytes to make room for."""
    chunk = files["data.zarr/q/c/0/0"]
    more = chunk[:4] + (2_147_000_000).to_bytes(4, "little") + chunk[8:]
    return files | {"data.zarr/q/c/0/0": more}


_bomb.fits = True  # type: ignore[attr-defined]
_keys = _node(lambda node: node["chunk_key_encoding"].update(configuration={"separator": "."}))


def _deep_metadata(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"data.zarr/q/zarr.json": b"[" * 10**5}


def _nested(depth: int) -> object:
    return {"x": _nested(depth - 1)} if depth else 0


def _record(**changes: object) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        record = json.loads(files["record.json"]) | changes
        return files | {"record.json": json.dumps(record).encode()}

    return change


HOSTILE = {
    "path traversal": (_insert("../evil"), "would leave its folder"),
    "path traversal in an entry": (_insert("ID/../../evil"), "would leave its folder"),
    "absolute name": (_insert("/tmp/evil"), "would leave its folder"),
    "another entry's folder": (_insert(f"{'a' * 64}/evil"), "is not of the entry"),
    "a file that no manifest names": (_insert("ID/evil"), "is not in its manifest, or there twice"),
    "a file twice": (_insert("ID/data.zarr/init_time/c/0"), "not in its manifest, or there twice"),
    "symbolic link": (
        _insert("ID/data.zarr/q/c/0/0", b"", tarfile.SYMTYPE, "/etc/passwd"), "is no plain file"),
    "hard link": (
        _insert("ID/data.zarr/q/c/0/0", b"", tarfile.LNKTYPE, "/etc/passwd"), "is no plain file"),
    "device": (_insert("ID/x", b"", tarfile.CHRTYPE), "is no plain file"),
    "pipe": (_insert("ID/x", b"", tarfile.FIFOTYPE), "is no plain file"),
    "folder": (_insert("ID/x", b"", tarfile.DIRTYPE), "is no plain file"),
    "sparse bomb": (_insert("ID/x", b"", tarfile.GNUTYPE_SPARSE), "is no plain file"),
    "another content": (_replace("/q/c/0/0", lambda c: c[:-1] + b"!"), "'0' is not what was"),
    "a longer content": (_replace("/q/c/0/0", lambda c: c * 10**5), "'0' is not what was"),
    "a shorter content": (_replace("/q/c/0/0", lambda c: c[:-1]), "'0' is not what was"),
    "another manifest": (
        _replace("MANIFEST.json", lambda c: c.replace(b"[", b"[1", 1)), "not the one that its id"),
    "no list": (_replace("geobench-export.json", lambda c: b"{}"), "is no export of a catalog"),
    "a list of something else": (
        _replace("geobench-export.json", lambda c: b"[1, 2]"), "is no export"),
    "a newer list": (
        _replace("geobench-export.json", lambda c: c.replace(b'"schema": 1', b'"schema": 2')),
        "it has schema 2"),
    "a name that leaves the catalog": (
        _replace("geobench-export.json", lambda c: c.replace(b"dataset/a@1", b"dataset/../a@1")),
        "cannot name an entry"),
    "an id that leaves the catalog": (
        _replace("geobench-export.json", lambda c: c[:-70] + b'../' * 20 + c[-10:]),
        "is no export"),
    "a missing file": (lambda members: members[:-1], "it ends too early"),
    "something at the end": (
        lambda members: [*members, (tarfile.TarInfo("x"), b"")], "more follows than it lists"),
    "a manifest with a path that leaves": (
        _forged(lambda files: files | {"../evil": b"x"}), "names the file '../evil'"),
    "a manifest with an absolute path": (
        _forged(lambda files: files | {"/tmp/evil": b"x"}), "names the file '/tmp/evil'"),
    "a manifest with a backslash": (
        _forged(lambda files: files | {"..\\evil": b"x"}), "names the file"),
    "a codec that runs code": (_forged(_codec), "numcodecs.pickle"),
    "an array of Zarr 2": (_forged(_old_zarr), "q/.zarray is not of Zarr 3"),
    "a chunk that is elsewhere": (_forged(_moved_chunk), "chunks that are not in its shape"),
    "a chunk grid of nothing": (_forged(_grid([0, 4])), "in chunks of [0, 4]"),
    "a grid of texts": (_forged(_grid(["1", "4"])), "in chunks of"),
    "other chunk keys": (_forged(_keys), "not named as geobench names them"),
    "chunks larger than the limit": (
        _forged(_grid([2**20, 2**10])), "has chunks of 4,294,967,296 bytes"),
    "chunks that are packed twice": (_forged(_twice), "packs its chunks twice (zstd, then blosc)"),
    "a chunk that unpacks to gigabytes": (_forged(_bomb), "bytes and unpacks to 2,147,000,000"),
    "deep metadata": (_forged(_deep_metadata), ""),
    "a deep recipe": (_forged(_record(recipe=_nested(100))), "nested"),
    "a very deep record": (_forged(lambda f: f | {"record.json": b"[" * 10**5}), ""),
    "a key of another computation": (_forged(_record(recipe={"x": 1})), "its key is not that of"),
    "an infinite size": (
        _replace("MANIFEST.json", lambda c: c.replace(b"[", b"[Infinity,", 1)), ""),
    "a deep manifest": (_replace("MANIFEST.json", lambda c: b"[" * 10**5), ""),
    "a deep list": (_replace("geobench-export.json", lambda c: b"[" * 10**5), "is no export"),
    "a number for a reference": (
        _replace("geobench-export.json", lambda c: b'{"schema": 1, "entries": [{"reference": 5}]}'),
        "is no export"),
    "a missing chunk": (_forged(_no_chunk), "1 chunks of q are missing"),
    "no record": (
        _forged(lambda f: {k: v for k, v in f.items() if k != "record.json"}), "not in the form"),
    "a record of another name": (_forged(_record(name="b")), "that of a dataset called b"),
    "a record of a hostile name": (_forged(_record(name="../b")), "cannot name an entry"),
    "a record with a hostile parent": (
        _forged(_record(parents={"x": {"reference": "../x@1", "id": None}})),
        "cannot be a kind of entry"),
    "a record of a newer schema": (_forged(_record(schema_version=9)), "it has schema 9"),
    "a record with something more": (_forged(_record(surprise=1)), "surprise"),
    "a record of another size": (_forged(_record(size=1)), "another size or content"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(
    catalog: Catalog, other: Catalog, tmp_path: Path, what: str
) -> None:
    change, told = HOSTILE[what]
    publish(catalog)
    export(catalog, ["dataset/a@1"], tmp_path / "good.tar")
    _write(tmp_path / "bad.tar", change(_members(tmp_path / "good.tar")))
    with pytest.raises(CatalogError) as error:
        list(bring_in(other, tmp_path / "bad.tar"))
    assert told in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    if what != "something at the end":  # the entry before it is whole, and kept
        assert list(other.entries()) == []
        assert list(other.path.glob("entries/*")) == []
    assert list(other.path.glob("tmp/*")) == []
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/evil").exists()
    assert _well(other)


def test_long_names_of_other_formats_are_refused(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    publish(catalog)
    export(catalog, ["dataset/a@1"], tmp_path / "good.tar")
    members = _insert("ID/" + "x" * 300)(_members(tmp_path / "good.tar"))
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        _write(tmp_path / "bad.tar", members, form)
        with pytest.raises(CatalogError, match="is no plain file"):
            list(bring_in(other, tmp_path / "bad.tar"))


def test_a_manifest_that_asks_for_more_room_than_there_is_is_refused_at_once(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    publish(catalog)
    export(catalog, ["dataset/a@1"], tmp_path / "good.tar")
    members = _members(tmp_path / "good.tar")
    facts = json.loads(members[1][1])
    facts["data.zarr/q/c/0/0"][0] = 10**18
    text = manifest.encode(facts)
    listed = json.loads(members[0][1])
    listed["entries"][0]["id"] = manifest.digest(text)
    facts_info = tarfile.TarInfo(f"{manifest.digest(text)}/MANIFEST.json")
    bad = [(members[0][0], json.dumps(listed).encode()), (facts_info, text), *members[2:]]
    _write(tmp_path / "bad.tar", bad)
    with pytest.raises(CatalogError, match=r"needs 1,000,000,000,000,\d+,\d+ bytes, and"):
        list(bring_in(other, tmp_path / "bad.tar"))


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 1400, 3000])
def test_a_file_that_is_no_export_or_was_cut_is_told(
    catalog: Catalog, other: Catalog, tmp_path: Path, cut: int
) -> None:
    publish(catalog)
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:cut])
    with pytest.raises(CatalogError, match=r"is no export|ends too early|is refused"):
        list(bring_in(other, tmp_path / "a.tar"))
    (tmp_path / "a.tar").write_bytes(np.random.default_rng(cut).bytes(2000))
    with pytest.raises(CatalogError, match="is no export of a catalog, or is damaged"):
        list(bring_in(other, tmp_path / "a.tar"))
    assert list(other.entries()) == []


def test_what_came_before_a_bad_entry_is_kept_whole(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    members = family(catalog)
    export(catalog, ["score/twin.fgn.s0.crps@1"], tmp_path / "a.tar")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    last = content.rindex(members["score"].id.encode())
    content[last + 600] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(CatalogError):
        list(bring_in(other, tmp_path / "a.tar"))
    assert [str(entry.reference) for entry in other.entries()] == [
        "dataset/twin@1", "forecaster/twin.fgn.s0@1", "forecast/twin.fgn.s0@1",
    ]  # fmt: skip
    assert _well(other)


def test_an_import_that_died_before_it_named_the_entry_can_be_made_again(
    catalog: Catalog, other: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog)
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geobench_catalog.reference_files.Names.give", dies)
    with pytest.raises(KeyboardInterrupt):
        list(bring_in(other, tmp_path / "a.tar"))
    monkeypatch.undo()
    assert list(other.entries()) == []
    assert [str(each.here) for each in bring_in(other, tmp_path / "a.tar")] == ["dataset/a@1"]
    assert _well(other)


def test_importing_again_mends_what_is_damaged(
    catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    entry = publish(catalog, value=1.0)
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    list(bring_in(other, tmp_path / "a.tar"))
    chunk = other.path / f"entries/{entry.id}/data.zarr/q/c/0/0"
    for bring in (
        lambda: bring_in(Catalog(other.path), tmp_path / "a.tar"),
        lambda: copy(catalog, Catalog(other.path), ["dataset/a@1"]),
    ):
        chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
        assert not _well(other)
        assert [(str(each.here), each.new) for each in bring()] == [("dataset/a@1", True)]
        assert _well(other)
    # Also where its name was lost and what is left is damaged.
    chunk.unlink()
    (other.path / "refs/dataset/a@1").unlink()
    assert [str(each.here) for each in bring_in(Catalog(other.path), tmp_path / "a.tar")] == [
        "dataset/a@1"
    ]
    assert _well(Catalog(other.path))


def test_a_header_that_is_no_text_is_told(catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    publish(catalog)
    export(catalog, ["dataset/a@1"], tmp_path / "a.tar")
    content = (tmp_path / "a.tar").read_bytes()
    bad = content.replace(b"geobench-export.json", b"geobench-export.j\xff\xff\xff", 1)
    (tmp_path / "a.tar").write_bytes(bad)
    with pytest.raises(CatalogError, match="is no export of a catalog, or is damaged"):
        list(bring_in(other, tmp_path / "a.tar"))
