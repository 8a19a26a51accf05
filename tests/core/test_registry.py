"""Plugins: found by entry point or file, set aside one by one when they fail, told by name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from geobench import GeobenchError
from geobench.cli import main
from geobench.registry import Registry, merged
from geobench.registry.plain_yaml import read_yaml
from geobench_catalog import environment
from geobench_plugins.models.aifs_crps import AIFSCRPS
from geobench_plugins.models.fgn import FGN
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.objectives import Energy

GOOD = """
from geobench import EnsembleModel, Forecaster, hookimpl

class Still(EnsembleModel):
    '''The state at init time.'''
    name = "still"
    factor: float = 1.0
    def fit(self, training, run): return _Still()
    def restore(self, weights, task): return _Still()

class _Still(Forecaster):
    def weights(self): return {}
    def step(self, history, noise): return history[:, -1]

@hookimpl
def geobench_models():
    return [Still]
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return write


Write = Callable[[str, str], Path]


def test_the_builtins_are_all_there(registry: Registry) -> None:
    assert registry.set_aside == {}
    offered = set(registry.offers)
    assert offered >= {
        ("simulator", "lorenz95"),
        ("experiment", "lorenz95"),
        *(("model", m) for m in ("oracle", "climatology", "persistence", "fgn", "flow-matching")),
        *(("scorer", s) for s in ("crps", "rmse", "spread-skill", "brier")),
        *(("assimilation", a) for a in ("etkf", "letkf", "enkf", "3dvar", "optimal-interpolation")),
    }


def test_headline_scores_come_in_their_order_and_the_first_can_rank(registry: Registry) -> None:
    headlines = registry.headline_scorers()
    assert [scorer.name for scorer in headlines] == ["crps", "rmse", "spread-skill", "brier"]
    assert headlines[0].fair
    offered = [name for kind, name in registry.offers if kind == "scorer"]
    assert offered[4:] == sorted(offered[4:])
    assert len(offered) > 40, "modules of scorers are not found"


def test_everything_offered_has_a_summary_and_described_fields(registry: Registry) -> None:
    for offer in registry.offers.values():
        assert offer.summary, f"{offer.kind} {offer.name} says nothing of itself"
        if offer.kind != "experiment":
            for key, field in offer.value.model_fields.items():
                assert field.description or key == "training", f"{offer.name}.{key}"


def test_a_plugin_can_be_one_file(plugin: Write) -> None:
    model = Registry([plugin("mine", GOOD)]).model({"use": "still", "factor": 2})
    recipe = model.recipe()
    assert (recipe["use"], recipe["factor"]) == ("still", 2.0)


def test_an_edited_plugin_file_has_another_version(plugin: Write) -> None:
    versions = [
        Registry([plugin("mine", text)]).model("still").recipe()["version"]
        for text in (GOOD, GOOD, GOOD + "# edited")
    ]
    assert versions[0] == versions[1] != versions[2]
    assert all(version.startswith("1+") for version in versions)


BROKEN = {
    "import error": ("import no_such_module\n", "No module named 'no_such_module'"),
    "syntax error": ("def broken(:\n", "SyntaxError"),
    "raises on import": ("1 / 0\n", "ZeroDivisionError: division by zero"),
    "wrong hook signature": (
        GOOD.replace("geobench_models()", "geobench_models(colour)"),
        "'colour'",
    ),
    "unknown hook": (GOOD.replace("geobench_models", "geobench_modles"), "geobench_modles"),
    "hook raises": (GOOD.replace("return [Still]", "raise KeyError('x')"), "KeyError"),
    "hook returns no list": (GOOD.replace("return [Still]", "return 7"), "TypeError"),
    "not a model": (GOOD.replace("return [Still]", "return [dict]"), "offer a subclass of"),
    "abstract": (
        GOOD.replace("    def restore(self, weights, task): return _Still()\n", ""),
        "does not implement restore",
    ),
    "no name": (GOOD.replace('    name = "still"\n', ""), "has the name ''"),
    "bad name": (GOOD.replace('"still"', '"Still Water"'), "has the name 'Still Water'"),
    "exits on import": ("raise SystemExit(3)\n", "SystemExit: 3"),
    "name as a field": (GOOD.replace("name =", "name: str ="), "Still.name is annotated"),
    "taken name": (
        GOOD.replace('"still"', '"fgn"'),
        "offers the model 'fgn', which geobench-twin already offers",
    ),
    "no experiment file": (
        GOOD.replace("geobench_models", "geobench_experiments").replace("Still]", "'gone.yaml']"),
        "there is no file gone.yaml",
    ),
    "an experiment that never ends": (
        GOOD.replace("geobench_models", "geobench_experiments").replace("Still]", "'/dev/zero']"),
        "its experiment /dev/zero is no file",
    ),
    "an error that cannot be shown": (
        "class Error(Exception):\n    def __str__(self): raise ValueError\nraise Error\n",
        "Error: its error cannot be shown",
    ),
    "an error of its own kind": ("class End(BaseException): pass\nraise End('now')", "End: now"),
    "more than can be listed": (
        GOOD.replace("return [Still]", "return iter(lambda: Still, None)"),
        "offers more than 10,000 things by geobench_models",
    ),
    "no summary": (
        GOOD.replace("    factor:", "    @classmethod\n    def summary(cls): 1 / 0\n    factor:"),
        "ZeroDivisionError",
    ),
    "missing file": (None, "there is no file"),
}


@pytest.mark.filterwarnings("ignore:Field name")  # pydantic's own, before our error
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_plugin_is_set_aside_and_nothing_else_breaks(plugin: Write, what: str) -> None:
    text, told = BROKEN[what]
    broken = Path("nowhere.py") if text is None else plugin("broken", text)
    good = plugin("good", GOOD.replace('"still"', '"good-one"'))
    registry = Registry([broken, good])
    _ = registry.offers
    assert list(registry.set_aside) == [str(broken)]
    assert told in registry.set_aside[str(broken)]
    assert "\n" not in registry.set_aside[str(broken)]
    assert ("model", "good-one") in registry.offers
    assert registry.offers["model", "fgn"].plugin == "geobench-twin"
    assert ("model", "still") not in registry.offers
    with pytest.raises(GeobenchError, match=r"no model is called 'stil'.*Not loaded: .*"):
        registry.model("stil")


POINTS = {
    "no such module": ("", "a = no_such_module:x", "No module named 'no_such_module'"),
    "no such name": ("", "a = geobench_strange:x", "has no attribute 'x'"),
    "no module at all": ("", "a = os.system('x')", ""),
    "a name of ours": ("Name: geobench-twin", "a = geobench_strange:good", None),
    "escapes": ("Name: x\x1b[2Jx", "a\x1b[2J = geobench_strange:bad", "not \ufffd[31m today"),
    "no name": ("", "a = geobench_strange:bad", "not"),
    "ends the program": ("Name: strange", "a = geobench_strange:end", "SystemExit: 0"),
    "takes our commands": ("Name: strange", "a = geobench_strange:commands", None),
}
STRANGE = """
import click, geobench
def __getattr__(name):
    if name == "bad": raise ImportError("not \x1b[31m today")
    if name == "end": raise SystemExit(0)
    raise AttributeError(f"has no attribute '{name}'")
class good:
    pass
class commands:
    @geobench.hookimpl
    def geobench_commands():
        return [click.Command("run", callback=lambda: print("mine")), click.Command("x\x1b[2J")]
"""


@pytest.mark.parametrize("what", POINTS)
def test_a_package_that_attacks_is_set_aside_and_ours_stay_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """By its entry points and metadata; what it runs when it is imported, nothing can hold."""
    name, point, reason = POINTS[what]
    folder = tmp_path / "strange-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\n{name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[geobench]\n{point}\n")
    (tmp_path / "geobench_strange.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "geobench_strange", raising=False)
    environment.versions.cache_clear()
    try:
        registry = Registry()
        assert all(offer.plugin.startswith("geobench-twin") for offer in registry.offers.values())
        assert ("model", "fgn") in registry.offers
        if reason is not None:
            assert reason in "".join(registry.set_aside.values())
            assert len(registry.set_aside) == 1
        assert environment.versions((), "geobench")["numpy"]
        result = CliRunner().invoke(main, ["plugins", "list"], color=True)
        assert result.exit_code == 0, result.output
        assert "\x1b[2J" not in result.output
        assert "\x1b[31m" not in result.output
        told = CliRunner().invoke(main, ["run", "--help"])
        assert "Run STUDY: simulate" in told.output
        assert "\x1b[2J" not in CliRunner().invoke(main, ["--help"], color=True).output
        doctor = CliRunner().invoke(main, ["--catalog", str(tmp_path / "c"), "doctor"])
        assert doctor.exit_code in (0, 1)
        assert not doctor.exception or isinstance(doctor.exception, SystemExit)
    finally:
        environment.versions.cache_clear()


def test_of_two_plugins_with_one_name_the_first_keeps_it_and_both_are_named(plugin: Write) -> None:
    registry = Registry([plugin("one", GOOD), plugin("two", GOOD)])
    assert registry.offers["model", "still"].plugin.endswith("one.py")
    (aside,) = registry.set_aside.items()
    assert aside[0].endswith("two.py")
    assert "one.py already offers" in aside[1]


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("fgm", "no model is called 'fgm'. Did you mean 'fgn'?"),
        ("xyz", "There are: oracle, climatology, persistence, analog, "),
        ({"use": "fgn", "farmes": 3}, "fgn: there is no key 'farmes'. Did you mean 'frames'?"),
        ({"use": "fgn", "frames": "many"}, "fgn: frames = 'many': write a number"),
        (
            {"use": "fgn", "training": {"pases": 3}},
            "there is no key 'training.pases'. Did you mean 'training.passes'?",
        ),
        ({"use": "fgn", "frames": 0, "seeds": -1}, "frames = 0.*; seeds = -1"),
        ({"frames": 3}, "a model is named by its plugin"),
        (["fgn"], "a model is named by its plugin"),
        ({"use": "fgn", "version": "9"}, "installed in version 2, and version 9 is asked for"),
    ],
)
def test_a_bad_recipe_is_told_on_one_line(registry: Registry, recipe: object, told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        registry.model(recipe)
    assert "\n" not in str(error.value)


def test_what_is_not_named_of_a_group_keeps_the_default_of_the_model(registry: Registry) -> None:
    kept = registry.model("aifs-crps").recipe()
    named = {"training": {"passes": 10}, "conditioning": {"where": "all"}, "objective": {}}
    found = registry.model({"use": "aifs-crps", **named}).recipe()
    assert len(kept["training"]["stages"]) == 12
    assert found["training"] == {**kept["training"], "passes": 10}
    assert found["conditioning"] == {**kept["conditioning"], "where": "all"}
    assert found["objective"] == {"score": "crps", "alpha": 0.95}


def test_a_group_means_the_same_as_object_and_as_keys() -> None:
    by_keys = AIFSCRPS.configured({"conditioning": {"noise": "both"}})
    assert by_keys.conditioning.where == "processor"  # of the preset
    assert AIFSCRPS(conditioning=Conditioning(noise="both")) == by_keys
    # A group that is taken from a model is all of it.
    assert AIFSCRPS(conditioning=FGN().conditioning).conditioning == Conditioning()
    assert AIFSCRPS(objective=Energy()).objective == Energy()


def test_another_kind_of_group_has_its_own_defaults(registry: Registry) -> None:
    found = registry.model({"use": "aifs-crps", "objective": {"score": "energy"}}).recipe()
    assert found["objective"] == {"score": "energy", "patch": None}


def test_a_recipe_rebuilds_the_model(registry: Registry) -> None:
    model = registry.model({"use": "fgn", "frames": 1, "training": {"passes": 10}})
    assert registry.model(model.recipe()) == model
    assert model != registry.model("fgn")


def test_an_experiment_starts_from_a_named_one(registry: Registry) -> None:
    experiment = registry.experiment(
        {"use": "lorenz95", "leads": 3, "simulator": {"amplitude": 0.5}}, "mine"
    )
    assert experiment.leads == 3
    assert experiment.simulator["amplitude"] == 0.5
    assert experiment.simulator["forcing"] == 8.0
    with pytest.raises(GeobenchError, match=r"mine: there is no key 'lead'. Did you mean 'leads'"):
        registry.experiment({"use": "lorenz95", "lead": 3}, "mine")
    with pytest.raises(GeobenchError, match=r"mine: quantiles must rise"):
        registry.experiment({"use": "lorenz95", "quantiles": [0.9, 0.5]}, "mine")


def test_merging_keeps_nothing_of_another_plugin() -> None:
    start = {"simulator": {"use": "a", "x": 1}, "train": {"steps": 1, "trajectories": 2}}
    assert merged(start, {"simulator": {"use": "b"}, "train": {"steps": 5}}) == {
        "simulator": {"use": "b"},
        "train": {"steps": 5, "trajectories": 2},
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: [1", "is not YAML"),
        (b"- 1\n", "holds no mapping"),
        (b"a: &x {b: *x}\n", "is not YAML: found unconstructable recursive node"),
        (b"a: 1\nb: {c: 1, c: 2}\n", "the key 'c' stands there twice.*line 2"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"!!python/object/apply:os.system [ls]", "is not YAML"),
        (None, "there is no file"),
    ],
)
def test_a_bad_file_is_told_on_one_line(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GeobenchError, match=told) as error:
        read_yaml(path)
    assert "\n" not in str(error.value)
