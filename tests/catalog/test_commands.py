"""The commands of the catalog: with geobench, and alone."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_entries import family, publish

from geobench.cli import main
from geobench_catalog import Catalog
from geobench_catalog.__main__ import main as alone
from geobench_catalog.vocabulary import tell_renamed


def _catalog(where: Catalog, *words: object, stdin: str = "") -> Result:
    options = ["--catalog", str(where.path), "catalog", *map(str, words)]
    return CliRunner().invoke(main, options, input=stdin)


def _said(where: Catalog, *words: object, stdin: str = "") -> str:
    result = _catalog(where, *words, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, three forecasters of it, their forecasts and scores."""
    catalog = Catalog(tmp_path_factory.mktemp("families") / "catalog", create=True)
    twin = family(catalog, "climatology", crps=1.2)["dataset"]
    family(catalog, "oracle", twin=twin, crps=0.2, law=True)
    family(catalog, "fgn", twin=twin, crps=0.4)
    return catalog.path


@pytest.fixture
def full(families: Path, tmp_path: Path) -> Catalog:
    """The families, in a catalog that a test may change."""
    return Catalog(shutil.copytree(families, tmp_path / "catalog"))


def test_earlier_names_in_queries_work_with_one_note(
    families: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The skill was called share, and the table of measures scores."""
    tell_renamed.cache_clear()
    catalog = Catalog(families)
    answers = []
    for word in ("share", "share", "skill"):
        shown = json.loads(_said(catalog, "query", f"crps.{word}@1d > 0.7", "--json"))
        answers.append({row["reference"]: row[f"crps.{word}@1d"] for row in shown})
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["score/twin.fgn.s0.crps@1"] == pytest.approx(0.8)
    former = 'SELECT scorer, "column", lead_hours, value, share FROM scores ORDER BY value'
    present = "SELECT name, part, hours, value, skill FROM measures ORDER BY value"
    rows = [
        _said(catalog, "query", "--csv", "--sql", sql).splitlines()[1:]
        for sql in (former, former, present)
    ]
    assert rows[0] == rows[1] == rows[2] != []
    assert [record.getMessage() for record in caplog.records] == [
        f"geobench: '{former}' is now called '{present}'. The earlier name still works."
        for former, present in (("share", "skill"), ("scores", "measures"))
    ]


def test_it_works_without_torch_and_geobench(full: Catalog) -> None:
    code = (
        "import sys\nfrom geobench_catalog.__main__ import main\n"
        "try: main({words!r})\nexcept SystemExit as end: assert end.code == 0\n"
        "print('loaded:', sorted({{'torch', 'geobench', 'xarray', 'zarr'}} & set(sys.modules)))"
    )
    for command, heavy in (
        (["list"], []),
        (["show", "score/twin.fgn.s0.crps@1"], []),
        (["query", "kind = score"], []),
        (["verify"], ["zarr"]),
    ):
        words = ["--catalog", str(full.path), *command]
        done = subprocess.run(
            [sys.executable, "-c", code.format(words=words)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        loaded = done.stdout.splitlines()[-1]
        assert "'torch'" not in loaded
        assert "'geobench'" not in loaded
        if not heavy:
            assert loaded == "loaded: []", command


def test_alone_it_says_the_same_of_entries_whose_kinds_it_was_not_told(full: Catalog) -> None:
    for words in (["list"], ["show", "dataset/twin@1"], ["verify", "score/twin.fgn.s0.crps@1"]):
        command = [sys.executable, "-m", "geobench_catalog", "--catalog", str(full.path), *words]
        own = subprocess.run(command, capture_output=True, text=True, check=True)
        assert sorted(own.stdout.splitlines()) == sorted(_said(full, *words).splitlines())
    asked = [
        "query",
        "label.scorer = crps and forecaster.model.use = fgn",
        "--columns",
        "reference",
    ]
    command = [sys.executable, "-m", "geobench_catalog", "--catalog", str(full.path), *asked]
    own = subprocess.run(command, capture_output=True, text=True, check=True)
    assert own.stdout.split() == ["reference", "score/twin.fgn.s0.crps@1"]
    wrong = CliRunner().invoke(alone, ["--catalog", str(full.path), "show", "dataset/x@1"])
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("geobench: there is no dataset/x@1 in ")


def test_list_is_a_table_or_json(full: Catalog) -> None:
    lines = _said(full, "list").splitlines()
    assert lines[0].split() == ["reference", "size", "created", "seconds", "tags"]
    assert lines[1].startswith("dataset/twin@1 ")
    assert len(lines) == 11
    listed = json.loads(_said(full, "list", "--kind", "score", "--json"))
    assert [each["reference"] for each in listed] == [
        f"score/twin.{model}.s0.crps@1" for model in ("climatology", "fgn", "oracle")
    ]
    assert listed[0]["recipe"] == {"use": "crps", "version": "1"}


def test_query_prints_a_table_json_and_csv(full: Catalog) -> None:
    asked = "kind = forecast and crps.skill@5d > 0.5"
    lines = _said(full, "query", asked).splitlines()
    assert [line.split()[0] for line in lines] == [
        "reference", "forecast/twin.fgn.s0@1", "forecast/twin.oracle.s0@1",
    ]  # fmt: skip
    assert lines[0].endswith("crps.skill@5d")
    assert lines[1].endswith("0.8")
    rows = json.loads(_said(full, "query", asked, "--json"))
    assert [row["crps.skill@5d"] for row in rows] == pytest.approx([0.8, 1.0])
    as_csv = list(csv.DictReader(io.StringIO(_said(full, "query", asked, "--csv"))))
    assert [row["model"] for row in as_csv] == ["fgn", "oracle"]
    chosen = _said(full, "query", asked, "--columns", "model, seed")
    assert chosen.splitlines()[0].split() == ["model", "seed"]
    counted = _said(full, "query", "--sql", "SELECT count(*) AS n FROM entries", "--json")
    assert json.loads(counted) == [{"n": 10}]
    assert _said(full, "query", "kind = score and model = nobody").splitlines()[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["query", "kindd = score"], "there is no field 'kindd'; did you mean kind?"),
        (["query", "kind ="], "a value is missing"),
        (["query", "x", "--sql", "y"], "give an expression or --sql, not both"),
        (["query", "", "--json", "--csv"], "give --json or --csv, not both"),
        (["query", "", "--columns", "modell"], "no column 'modell'. Did you mean 'model'?"),
        (["query", "--sql", "SELEC"], "SQLite: near"),
        (["show", "dataset/twon@1"], "Did you mean dataset/twin@1?"),
        (["show", "dataset/twin@paper"], "there is no dataset/twin@paper"),
        (["rm", "dataset/twin@1", "-y"], "depend on it. Remove those first, or all of it with"),
        (["rm", "dataset/twin@9", "-y"], "there is no dataset/twin@9"),
        (["tag", "dataset/twin@1", "Bad"], "'Bad' cannot be a tag"),
        (["tag", "dataset/twin@1", "x", "--remove"], "dataset/twin@1 has no tag 'x'"),
        (["alias", "dataset/twin@1"], "name the alias"),
        (["alias", "dataset/twin@1", "--remove"], "'dataset/twin@1' is no alias"),
        (["alias", "dataset/twin@nothing", "--remove"], "there is no alias dataset/twin@nothing"),
        (["verify", "dataset/twin@7"], "there is no dataset/twin@7"),
        (["diff", "dataset/twin@1", "dataset/x@1"], "there is no dataset/x@1"),
        (["import", "nowhere.tar"], "nowhere.tar cannot be read (No such file or directory)"),
        (["pull", "dataset/a@1", "nowhere"], "nowhere is not a catalog"),
        (["export", "dataset/x@1", "--to", "x.tar"], "there is no dataset/x@1"),
        (["import-forecast", "x.zarr", "--dataset", "dataset/twin@1"], "Missing option '--model'"),
        (
            ["import-forecast", "x.zarr", "--dataset", "dataset/twin@1", "--model", "m"],
            "x.zarr is not there",
        ),
    ],
)
def test_mistakes_are_told_on_one_line_and_lose_nothing(
    full: Catalog, words: list[str], told: str
) -> None:
    result = _catalog(full, *words)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert len(list(full.entries())) == 10


def test_what_the_system_refuses_is_told_on_one_line(
    full: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/data/refs")

    monkeypatch.setattr("geobench_catalog.reference_files.Names.texts", refuse)
    result = _catalog(full, "list")
    assert result.exit_code == 2
    assert result.stderr.startswith("geobench: /data/refs: Permission denied. Look at permissions")
    assert len(result.stderr.splitlines()) == 1


def test_show_tells_the_lineage_both_ways(full: Catalog) -> None:
    said = _said(full, "show", "forecast/twin.fgn.s0@1").splitlines()
    at = said.index("lineage:")
    assert [line.split("  ")[-2].strip() for line in said[at + 1 : at + 4]] == [
        "forecast/twin.fgn.s0@1",
        "forecaster: forecaster/twin.fgn.s0@1",
        "dataset: dataset/twin@1",
    ]
    assert said[said.index("made from it:") + 1] == "  score/twin.fgn.s0.crps@1"
    assert any(line.startswith("  xarray.open_zarr('") for line in said)


def test_the_call_that_show_prints_opens_the_data(full: Catalog) -> None:
    import xarray

    said = _said(full, "show", "forecast/twin.fgn.s0@1").splitlines()
    (call,) = [line.strip() for line in said if "open_zarr" in line]
    opened = eval(call, {"xarray": xarray})  # what users are told to write
    assert opened["q"].shape == (3, 4)


def test_diff_tells_configuration_and_numbers(catalog: Catalog) -> None:
    publish(catalog, value=1.0, recipe={"a": {"b": 1}, "c": 2})
    publish(catalog, value=1.5, recipe={"a": {"b": 3}, "c": 2})
    said = _said(catalog, "diff", "dataset/a@1", "dataset/a@2").splitlines()
    assert "recipe.a.b: 1 | 3" in said
    assert "q: differs in 12 of 12 values, by 0.5 at most" in said
    assert "x: equal" in said
    assert not any(line.startswith("recipe.c") for line in said)
    told = json.loads(_said(catalog, "diff", "dataset/a@1", "dataset/a@2", "--json"))
    assert {each["array"]: each["state"] for each in told["data"]}["q"] == "differs"


def test_diff_compares_numbers_whatever_their_chunks(catalog: Catalog) -> None:
    publish(catalog, value=1.0, chunks=1)
    publish(catalog, value=1.0, chunks=3)
    assert "q: equal" in _said(catalog, "diff", "dataset/a@1", "dataset/a@2").splitlines()


def test_verify_ends_with_1_if_anything_is_wrong(full: Catalog) -> None:
    assert _said(full, "verify").splitlines()[-1].endswith("all well")
    entry = full.get("dataset/twin@1")
    (entry.path / "data.zarr/q/c/0/0").unlink()
    result = _catalog(full, "verify")
    assert result.exit_code == 1
    assert "damaged  dataset/twin@1: data.zarr/q/c/0/0 is missing" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("1 damaged")
    found = json.loads(_catalog(full, "verify", "--json").stdout)
    assert sum(bool(each["problems"]) for each in found) == 1


def test_rm_asks_and_shows_what_goes(full: Catalog) -> None:
    words = ("rm", "forecaster/twin.fgn.s0@1", "--cascade")
    assert "would remove  score/twin.fgn.s0.crps@1" in _said(full, *words, "--dry-run")
    refused = _catalog(full, *words, stdin="n\n")
    assert refused.exit_code == 2
    assert "nothing was removed" in refused.stderr
    assert len(list(full.entries())) == 10
    _said(full, *words, stdin="y\n")
    assert len(list(full.entries())) == 7


def test_tags_aliases_and_gc(full: Catalog) -> None:
    assert _said(full, "tag", "dataset/twin@1", "a", "b") == "dataset/twin@1  a, b\n"
    assert "a, b" in _said(full, "list").splitlines()[1]
    assert "stands for dataset/twin@1" in _said(full, "alias", "dataset/twin@1", "paper")
    assert _said(full, "show", "dataset/twin@paper").startswith("dataset/twin@1\n")
    found = _said(full, "query", "alias = dataset/twin@paper").splitlines()
    assert found[1].startswith("dataset/twin@1")
    _said(full, "alias", "dataset/twin@paper", "--remove")
    (full.path / "tmp/debris").write_bytes(bytes(1234))
    assert "debris" in _said(full, "du")
    assert _said(full, "gc", "--dry-run").splitlines()[-1] == "1 piece of debris, 1.2 kB"
    _said(full, "gc")
    assert _said(full, "gc") == "0 pieces of debris, 0 B\n"
    assert _said(full, "reindex") == "10 entries\n"


def test_entries_move_by_file_and_between_catalogs(full: Catalog, tmp_path: Path) -> None:
    said = _said(full, "export", "forecast/twin.fgn.s0@1", "--to", tmp_path / "x.tar").splitlines()
    assert said[:3] == ["dataset/twin@1", "forecaster/twin.fgn.s0@1", "forecast/twin.fgn.s0@1"]
    for name, words in (
        ("imported", ("import", tmp_path / "x.tar")),
        ("pulled", ("pull", "forecast/twin.fgn.s0@1", full.path)),
    ):
        options = ["--catalog", str(tmp_path / name), "catalog", *map(str, words)]
        result = CliRunner().invoke(main, options)
        assert result.exit_code == 0, result.output
        assert len(result.stdout.splitlines()) == 3
        assert len(list(Catalog(tmp_path / name).entries())) == 3
    _said(full, "push", "score/twin.fgn.s0.crps@1", tmp_path / "pulled")
    assert len(list(Catalog(tmp_path / "pulled").entries())) == 4


def test_references_complete_themselves(full: Catalog) -> None:
    import os

    full.alias("dataset/twin@1", "paper")
    environment = {
        **os.environ,
        "_GEOBENCH_COMPLETE": "bash_complete",
        "GEOBENCH_CATALOG": str(full.path),
        "COMP_WORDS": "geobench catalog show dataset/tw",
        "COMP_CWORD": "3",
    }
    code = "from geobench.cli import main; main(prog_name='geobench')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["plain,dataset/twin@1", "plain,dataset/twin@paper"]


def test_help_of_query_tells_the_language(catalog: Catalog) -> None:
    said = _said(catalog, "query", "--help")
    for word in ("kind in (forecaster, forecast)", "crps.skill@5d > 0.8", "-7d", "1.5GiB"):
        assert word in said
