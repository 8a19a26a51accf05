"""One record never makes a catalog unusable: not one's own, not a stranger's, not an old one."""

import json
import shutil
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_entries import data, publish

from geobench.cli import main
from geobench_catalog import Catalog, CatalogError, manifest
from geobench_catalog.archive import bring_in
from geobench_catalog.record import identity


def _nested(depth: int) -> object:
    return {"x": _nested(depth - 1)} if depth else 0


def _scores(hours: object, values: object) -> dict[str, Any]:
    return {"summary": {"better": "lower", "lead_hours": hours, "scores": {"CRPS": values}}}


ODD: dict[str, tuple[str, dict[str, Any], str]] = {
    "an integer of 80 bits": ("score", {"recipe": {"use": "x", "seed": 2**79}}, "80 bits"),
    "a lone surrogate": ("dataset", {"recipe": {"x": "\ud800"}}, "lone surrogate"),
    "a year 9999": ("dataset", {"created": "9999-12-31T23:59:59-12:00"}, "the year 9999"),
    "lists where numbers belong": (
        "score",
        _scores([[1], [2]], [[1], {}]),
        "lead_hours.0 is a list, and not a number",
    ),
    "not a number": ("score", _scores([1.0], [float("nan")]), "is nan, and not a finite number"),
    "infinity": ("score", {"summary": {"x": float("inf")}}, "is inf, and not a finite number"),
    "nesting": ("dataset", {"recipe": _nested(100)}, "nested more than 64 deep"),
    "a huge text": ("dataset", {"labels": {"title": "x" * (2**20 + 1)}}, "1,048,577 letters"),
    "wrong types": ("forecaster", {"recipe": {"model": 5, "seed": [1]}}, "is a number, and not an"),
    "a surrogate as a key": ("dataset", {"recipe": {"\udfff": 1}}, "a key in recipe"),
    "a list for a record": ("dataset", {}, "it is not an object"),
}


def _files(folder: Path, kind: str, changes: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    """An entry with an odd record, and all that must fit it: its id, its files."""
    source = Catalog(folder / "source", create=True)
    entry = publish(source, "odd", kind=kind)
    files = {name: entry.content(name) for name in entry.manifest}
    record = json.loads(files["record.json"]) | changes
    try:
        record["key"] = identity(record["kind"], record["recipe"], {})
    except ValueError:  # NaN
        record["key"] = "0" * 64
    files["record.json"] = json.dumps(record if changes else []).encode()
    facts = manifest.encode({name: manifest.measured(text) for name, text in files.items()})
    shutil.rmtree(folder / "source")
    return manifest.digest(facts), {"MANIFEST.json": facts, **files}


def _plant(catalog: Catalog, folder: Path, kind: Any, changes: dict[str, Any]) -> str:
    """Put it into a catalog as an older version would have."""
    entry_id, files = _files(folder, kind, changes)
    for name, content in files.items():
        path = catalog.path / "entries" / entry_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(catalog.names.give(kind, "odd", entry_id))


def _cli(catalog: Catalog, *words: object) -> Result:
    result = CliRunner().invoke(main, ["--catalog", str(catalog.path), *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def _ok(catalog: Catalog, *words: object) -> str:
    result = _cli(catalog, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("what", ODD)
def test_an_odd_record_that_is_there_leaves_the_catalog_usable(
    catalog: Catalog, tmp_path: Path, what: str
) -> None:
    kind, changes, _ = ODD[what]
    publish(catalog, "a", 1.0)
    publish(catalog, "b", 2.0)
    odd = _plant(catalog, tmp_path, kind, changes)
    for index in ("made anew", "up to date"):
        if index == "made anew":
            (catalog.path / "index.sqlite").unlink(missing_ok=True)
        assert "dataset/a@1" in _ok(catalog, "catalog", "list")
        assert "dataset/a@1" in {
            each["reference"] for each in json.loads(_ok(catalog, "catalog", "list", "--json"))
        }
        assert "dataset/a@1" in _ok(catalog, "catalog", "query", "kind = dataset")
        _ok(catalog, "catalog", "show", "dataset/a@1")
        _ok(catalog, "catalog", "du")
        _ok(catalog, "catalog", "reindex")
        for command in (["show", odd], ["show", odd, "--json"], ["verify"], ["gc", "--dry-run"]):
            result = _cli(catalog, "catalog", *command)
            assert len(result.stderr.splitlines()) <= 1
        assert _cli(catalog, "doctor").exit_code in (0, 1)
    mine = Catalog(catalog.path)
    assert mine.find("dataset", {"value": 1.0}, {})
    assert publish(mine, "c", 3.0).origin == "own"
    # What is odd can be removed, and then nothing of it is left.
    _ok(catalog, "catalog", "rm", "-y", odd)
    _ok(catalog, "catalog", "rm", "-y", "dataset/b@1")
    _ok(catalog, "catalog", "gc")
    _ok(catalog, "catalog", "verify")
    assert "odd" not in _ok(catalog, "catalog", "list")


@pytest.mark.parametrize("what", ODD)
def test_an_odd_record_does_not_come_in(catalog: Catalog, tmp_path: Path, what: str) -> None:
    kind, changes, evidence = ODD[what]
    publish(catalog, "a")
    entry_id, files = _files(tmp_path, kind, changes)
    listed = {"schema": 1, "entries": [{"reference": f"{kind}/odd@1", "id": entry_id}]}
    with tarfile.open(tmp_path / "odd.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in {"geobench-export.json": json.dumps(listed).encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
        for name, content in files.items():
            info = tarfile.TarInfo(f"{entry_id}/{name}")
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    with pytest.raises(CatalogError) as error:
        list(bring_in(catalog, tmp_path / "odd.tar"))
    assert evidence in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500
    assert [str(entry.reference) for entry in catalog.entries()] == ["dataset/a@1"]
    assert catalog.names.imported() == set()


@pytest.mark.parametrize(
    ("recipe", "evidence"),
    [
        ({"seed": 99999999999999999999}, "67 bits"),
        ({"x": "\ud800"}, "lone surrogate"),
        ({"x": float("nan")}, "nan"),
        ({"x": _nested(100)}, "nested"),
        ({"x": "y" * 2**21}, "2,097,152 letters"),
        ({"x": {1, 2}}, "the type set"),
    ],
)
def test_an_odd_recipe_is_refused_before_any_work(
    catalog: Catalog, recipe: dict[str, Any], evidence: str
) -> None:
    with pytest.raises(CatalogError, match=f"dataset/a cannot be recorded: .*{evidence}"):
        catalog.draft("dataset", "a", recipe=recipe)


@pytest.mark.parametrize(
    "summary",
    [{"seconds": 2**79}, {"x": "\ud800"}, {"failed_members": [1]}, {"lead_hours": ["a"]}],
)
def test_an_odd_summary_is_not_published(catalog: Catalog, summary: dict[str, Any]) -> None:
    with catalog.draft("score" if "lead_hours" in summary else "forecast", "a", recipe={}) as draft:
        draft.write(data())
        with pytest.raises(CatalogError, match="its record cannot be kept") as error:
            draft.publish(summary)
    assert len(str(error.value).splitlines()) == 1
    assert list(catalog.entries()) == []
    assert not list(catalog.path.glob("entries/*"))


def test_what_was_never_measured_is_null(catalog: Catalog) -> None:
    entry = publish(catalog, "a", summary={"x": float("nan"), "y": [float("inf")]})
    assert Catalog(catalog.path).get(str(entry.reference)).record.summary == {
        "x": None,
        "y": [None],
    }


@pytest.mark.parametrize(
    "words",
    [
        ["train", "fgn", "--dataset", "dataset/a@1", "--seed"],
        ["forecast", "forecaster/a@1", "--seed"],
        ["forecast", "forecaster/a@1", "--members"],
        ["control", "dataset/a@1", "--seed"],
    ],
)
def test_a_number_that_no_generator_takes_is_refused_before_any_work(
    catalog: Catalog, words: list[str]
) -> None:
    result = _cli(catalog, *words, "99999999999999999999")
    assert result.exit_code == 2
    assert f"Invalid value for '{words[-1]}': 99999999999999999999" in result.stderr
    assert len(result.stderr.splitlines()) == 1


# -- data of strangers

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (lambda node: node.update(storage_transformers=[{"name": "x"}]), "a storage transformer"),
        (
            lambda node: node.update(
                data_type={"name": "structured", "configuration": {"fields": [["a", "int8"]]}}
            ),
            "the data type 'structured'",
        ),
        (lambda node: node.update(data_type=["int8"]), "the data type"),
    ],
)
def test_odd_arrays_do_not_come_in(
    catalog: Catalog, tmp_path: Path, change: Change, evidence: str
) -> None:
    _, files = _files(tmp_path, "dataset", {"labels": {}})
    node = json.loads(files["data.zarr/q/zarr.json"])
    change(node)
    files["data.zarr/q/zarr.json"] = json.dumps(node).encode()
    own = {name: c for name, c in files.items() if name not in ("MANIFEST.json", "record.json")}
    facts = {name: manifest.measured(content) for name, content in own.items()}
    record = json.loads(files["record.json"])
    record |= {"size": manifest.size(facts), "content": manifest.content_digest(facts)}
    own["record.json"] = json.dumps(record).encode()
    text = manifest.encode({name: manifest.measured(content) for name, content in own.items()})
    from geobench_catalog.references import Reference
    from geobench_catalog.transfer import receive

    pieces = ((name, [content]) for name, content in own.items())
    with pytest.raises(CatalogError, match="is refused") as error:
        receive(
            catalog,
            Reference("dataset", "odd", 1),
            manifest.digest(text),
            text,
            pieces,
            door="pull",
        )
    assert evidence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("form", "change", "evidence"),
    [
        (3, {"storage_transformers": [{"name": "x"}]}, "uses a storage transformer"),
        (3, {"data_type": {"name": "structured", "configuration": {}}}, "the data type"),
        (2, {"dtype": [["a", "<f4"], ["b", "<f4"]]}, "uses a structured dtype"),
    ],
)
def test_odd_arrays_of_a_forecast_are_one_line(
    tmp_path: Path, form: Any, change: dict[str, Any], evidence: str
) -> None:
    from geobench.foreign.sources import open_foreign

    path = tmp_path / "theirs.zarr"
    data().to_zarr(path, zarr_format=form, consolidated=False)
    file = path / "q" / ("zarr.json" if form == 3 else ".zarray")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CatalogError, match=evidence) as error:
        open_foreign(path)
    assert len(str(error.value).splitlines()) == 1


def test_what_a_record_lacks_is_told(catalog: Catalog) -> None:
    publish(catalog, "a")
    publish(catalog, "f", kind="forecaster", recipe={})
    for words, evidence in (
        (["control", "dataset/a@1"], "dataset/a cannot be used here: its recipe has no 'events'"),
        (["reproduce", "forecaster/f@1"], "forecaster/f cannot be used here: its recipe has no"),
    ):
        result = _cli(catalog, *words)
        assert result.exit_code == 2
        assert evidence in result.stderr
        assert len(result.stderr.splitlines()) == 1
