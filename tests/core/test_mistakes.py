"""Mistakes that a new user makes are answered with a cure (docs/readers/messages.md)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import geobench
from geobench import GeobenchError
from geobench.cli import main
from geobench.contracts.mistakes import number_meant
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.registry.plain_yaml import read_yaml
from geobench_catalog import Catalog, CatalogError

SMALL = {
    "spin_up": "2",
    "train": "{trajectories: 6, steps: 8}",
    "validation": "{trajectories: 2, steps: 8}",
    "test": "{trajectories: 4, inits: 2, every: 3}",
    "leads": "2",
}


def _geobench(catalog: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--quiet", "--catalog", str(catalog), *words])


def _simulate(catalog: Path, name: str) -> Result:
    sets = [word for field in SMALL.items() for word in ("--set", "=".join(field))]
    return _geobench(catalog, "simulate", "lorenz95", "--name", name, *sets)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with one small dataset, beside some study files."""
    folder = tmp_path_factory.mktemp("mistakes")
    assert _simulate(folder / "catalog", "small").exit_code == 0
    (folder / "quick.yaml").write_text("experiments: {a: {use: lorenz95}}\nmodels: {fgn: fgn}\n")
    (folder / "syntax.yaml").write_text("experiments:\n  a: {use: lorenz95\nmodels: {}\n")
    (folder / "odd.yaml").write_text("title: a\nx: \x01\n")
    return folder / "catalog"


TRAIN = ["train", "fgn", "--dataset", "dataset/small@1"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--device", "gpu", *TRAIN], "Did you mean 'cuda'? Usable here: cpu"),
        (["--device", "cdua:1", *TRAIN], "Did you mean 'cuda'?"),
        ([*TRAIN, "--set", "passes=100"], "no key 'passes'. Did you mean 'training.passes'?"),
        (
            [*TRAIN, "--set", "training.pases=1"],
            "no key 'training.pases'. Did you mean 'training.passes'?",
        ),
        (
            [*TRAIN, "-s", "training.passes=20k"],
            "fgn: training.passes = '20k': write a number: 20000",
        ),
        ([*TRAIN, "-s", "backbone.widht=3"], "backbone.kind: write one of resnet, unet, vit"),
        (
            [*TRAIN, "-s", "backbone={kind: resnet, widht: 3}"],
            "no key 'backbone.widht'. Did you mean 'backbone.width'?",
        ),
        (
            [*TRAIN, "-s", "backbone={kind: resnet, width: 2k}"],
            "backbone.width = '2k': write a number: 2000",
        ),
        (["train", "fgn", "--dataset", "small"], "Did you mean dataset/small@1?"),
        (["catalog", "show", "dataset/small"], "has no version. The newest is dataset/small@1."),
        (["catalog", "show", "dataset/none"], "Write dataset/none@1, or dataset/none@latest."),
        (["catalog", "query", "kind = forecasts"], "did you mean 'forecast'? (at character 8)"),
        (["catalog", "query", "kind != forecasts"], "there is no kind 'forecasts'"),
        (["catalog", "query", "kind in (score, zzz)"], "kinds are dataset, forecaster, forecast"),
        (["catalog", "query", "kind == forecast"], "write '=' once: it compares"),
        (["run", "FOLDER/syntax.yaml"], "expected ',' or '}', but got ':' (line 3)"),
        (["run", "FOLDER/odd.yaml"], "odd.yaml is not YAML: a character that text cannot hold"),
        (["run", "FOLDER"], "is a folder. Name a YAML file in it: FOLDER/odd.yaml"),
        (["leaderboard", "FOLDER/catalog"], "Name a YAML file; this folder holds none."),
        (["run", "quick.yaml", "--members", "4"], "Write 'members: …' in the file."),
        (["run", "quick.yaml", "--keep-bits", "4"], "Write 'keep_bits: …' in the file."),
        (["run", "quick.yaml", "--colour", "4"], "No such option '--colour'"),
        (["quick.yaml"], "Did you mean 'geobench run quick.yaml'?"),
        (["quik"], "Did you mean 'geobench run quick'?"),
        (
            ["leaderboard", "quick", "--json", "--format", "csv"],
            "give --json or --format csv, not both.",
        ),
        (["--plugin", "FOLDER/nowhere.py", "plugins", "list"], "there is no file FOLDER/nowhere"),
        (["plugins", "list", "--plugin", "FOLDER/odd.yaml"], "odd.yaml is not a Python file"),
    ],
)
def test_a_mistake_gets_one_line_that_cures_it(catalog: Path, words: list[str], told: str) -> None:
    folder = str(catalog.parent)
    result = _geobench(catalog, *(word.replace("FOLDER", folder) for word in words))
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("geobench: ")
    assert told.replace("FOLDER", folder) in line


def test_the_mistakes_and_what_they_were_answered_are_in_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs/readers/messages.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    assert {row.count(" | ") for row in rows} == {2}


def test_a_kind_that_only_this_catalog_has_can_be_asked_for(catalog: Path) -> None:
    assert _geobench(catalog, "catalog", "query", "kind = dataset").exit_code == 0
    assert _geobench(catalog, "catalog", "query", "kind ~ fore*").exit_code == 0


def test_a_command_of_a_plugin_that_was_set_aside_says_why(tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text("import no_such_module")
    result = _geobench(tmp_path, "--plugin", str(plugin), "greet")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"set aside: {plugin} (No module named 'no_such_module')" in line


def test_a_name_that_is_not_used_is_told(catalog: Path) -> None:
    again = _simulate(catalog, "other")
    assert (again.exit_code, again.stdout) == (0, "dataset/small@1\n")
    assert "made before, as dataset/small@1, and keeps that name; --name other" in again.stderr
    assert _simulate(catalog, "small").stderr == ""
    train = ("train", "persistence", "--dataset", "dataset/small@1")
    assert _geobench(catalog, *train, "--label", "mine").stderr == ""
    relabelled = _geobench(catalog, *train, "--label", "yours")
    assert relabelled.stdout == "forecaster/small.mine.s0@1\n"
    assert "--label yours is not used" in relabelled.stderr


def test_an_entry_names_its_groups(catalog: Path) -> None:
    dataset = Catalog(catalog).get("dataset/small@1")
    with pytest.raises(CatalogError, match=r"small@1 holds groups: climatology, inits, test, tr"):
        dataset.load()
    with pytest.raises(CatalogError, match=r"no group 'trian'. Did you mean 'train'\? It holds"):
        dataset.load("trian")
    with pytest.raises(CatalogError, match="no group 'x/y'"):
        dataset.open("x/y")
    assert "q" in dataset.load("train")


def test_an_entry_without_groups_says_so(tmp_path: Path) -> None:
    import xarray as xr

    store = Catalog(tmp_path / "c", create=True)
    with store.draft("dataset", "a", recipe={}) as draft:
        draft.write(xr.Dataset({"q": ("x", [1.0])}))
        entry = draft.publish()
    assert list(entry.load()) == ["q"]
    with pytest.raises(CatalogError, match=r"no group 'b'. It holds: the root"):
        entry.load("b")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("20k", ": 20000"),
        ("1.5M", ": 1500000"),
        ("20_000", ": 20000"),
        ("20,000", ": 20000"),
        ("2.5", ": 2.5"),
        ("-3 k", ": -3000"),
        ("few", ""),
        ("1:30", ""),
        ("k", ""),
    ],
)
def test_numbers_as_people_write_them_are_recognised(text: str, meant: str) -> None:
    assert number_meant(text) == meant


def test_a_file_that_is_no_text_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\nb: 2\nc: \x02\n")
    with pytest.raises(GeobenchError, match=r"cannot hold \(line 3\)"):
        read_yaml(tmp_path / "a.yaml")


def test_objects_say_what_they_are(catalog: Path, registry: Registry) -> None:
    from geobench.nodes.dataset import DatasetNode
    from geobench.nodes.engine import Engine

    store = Catalog(catalog)
    engine = Engine(store, registry, processes=2)
    entry = store.get("dataset/small@1")
    session = Session(engine)
    fitted = session.train(entry, registry.model("oracle"))
    drawn = session.forecast(fitted, members=3)
    shown: dict[Any, str] = {
        store: f"<Catalog {catalog}>",
        entry: f"<Entry dataset/small@1 {entry.id[:12]}>",
        engine: f"<Engine on {catalog}: device cpu, 2 processes>",
        registry: "<Registry of geobench-twin>",
        engine.dataset(entry): "<Dataset dataset/small@1: lorenz95, 2 lead times>",
        engine.forecast(drawn): "<Forecast forecast/small.oracle.s0@1: 3 members of "
        "forecaster/small.oracle.s0@1 on dataset/small@1>",
        DatasetNode("a", engine.dataset(entry).experiment): "<DatasetNode dataset/a>",
    }
    assert {repr(thing): text for thing, text in shown.items()} == {
        text: text for text in shown.values()
    }


def test_every_kind_of_node_says_its_name() -> None:
    from geobench.nodes.kinds import node_classes
    from geobench.nodes.node import Node
    from geobench.nodes.stored import Stored
    from geobench.study.graph import BroughtNode
    from geobench.study.pages import SiteNode

    shown: list[Callable[[Any], str]] = [
        node.__repr__ for node in (*node_classes().values(), Stored, BroughtNode, SiteNode)
    ]
    assert set(shown) == {Node.__repr__}
    assert len(shown) > 8


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert geobench.__version__ == version("geobench-twin")
