"""The command line: light, and clear about what is wrong."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.cli.settings import Counts, Size
from geobench_catalog import Catalog

HEAVY = {"torch", "xarray", "xskillscore", "zarr", "numpy", "matplotlib"}


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"], ["--version"]])
def test_help_and_plugins_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom geobench.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as end: assert end.code == 0\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def _geobench(catalog: Path, *arguments: object) -> Result:
    words = ["--quiet", "--catalog", str(catalog), *map(str, arguments)]
    return CliRunner().invoke(main, words)


SMALL = {
    "spin_up": "2",
    "train": "{trajectories: 6, steps: 8}",
    "validation": "{trajectories: 2, steps: 8}",
    "test": "{trajectories: 4, inits: 2, every: 3}",
    "leads": "2",
}


def _simulate(catalog: Path, *changes: str) -> Result:
    fields = SMALL | dict(change.split("=", 1) for change in changes)
    options = [word for field in fields.items() for word in ("--set", "=".join(field))]
    return _geobench(catalog, "simulate", "lorenz95", "--name", "small", *options)


def test_the_steps_one_by_one(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    steps = [
        _simulate(catalog),
        _geobench(catalog, "train", "persistence", "--dataset", "dataset/small@latest"),
        _geobench(catalog, "forecast", "forecaster/small.persistence.s0@1", "--members", 3),
        _geobench(catalog, "score", "forecast/small.persistence.s0@1", "--scorer", "crps"),
    ]
    for step in steps:
        assert step.exit_code == 0, step.output
    assert [step.stdout.splitlines()[0] for step in steps] == [
        "dataset/small@1",
        "forecaster/small.persistence.s0@1",
        "forecast/small.persistence.s0@1",
        "score/small.persistence.s0.crps@1",
    ]
    # The test split: 4 trajectories with 2 inits each, all dates different.
    stored = Catalog(catalog).get("forecast/small.persistence.s0@1").open()
    assert dict(stored.sizes) == {"init_time": 8, "lead_time": 2, "member": 3, "x": 40}
    assert stored.indexes["init_time"].is_unique

    assert _simulate(catalog).stdout.strip() == "dataset/small@1"
    assert _simulate(catalog, "simulator.forcing=10").stdout.strip() == "dataset/small@2"

    listed = _geobench(catalog, "catalog", "list")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
        "dataset/small@1",
        "dataset/small@2",
        "forecaster/small.persistence.s0@1",
        "forecast/small.persistence.s0@1",
        "score/small.persistence.s0.crps@1",
    ]
    as_json = json.loads(_geobench(catalog, "catalog", "list", "--kind", "score", "--json").stdout)
    assert [entry["name"] for entry in as_json] == ["small.persistence.s0.crps"]
    shown = _geobench(catalog, "catalog", "show", "dataset/small@2").stdout
    assert "forcing: 10.0" in shown
    assert "  train/q (trajectory: 6, time: 8, x: 40) float32" in shown
    assert "group='climatology', consolidated=False)" in shown
    assert steps[3].stdout.splitlines()[1].startswith("  CRPS  day 1: ")

    # All forecasts, whatever there are, by one more scorer.
    words = ("score", "--query", "dataset = small", "--scorer", "rmse")
    assert _geobench(catalog, *words).stdout.splitlines()[0] == (
        "score/small.persistence.s0.rmse@1"
    )
    none = _geobench(catalog, "score", "--query", "dataset = nothing")
    assert none.exit_code == 2
    assert "there is no forecast to score" in none.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["simulate", "lorenz96"], "no experiment is called 'lorenz96'. Did you mean 'lorenz95'?"),
        (["simulate", "lorenz95", "-s", "leeds=3"], "no key 'leeds'. Did you mean 'leads'?"),
        (["simulate", "lorenz95", "-s", "leads=few"], "leads = 'few': write a number"),
        (["simulate", "lorenz95", "-s", "leads"], "'leads' sets nothing: write KEY=VALUE"),
        (["simulate", "lorenz95", "-s", "a=1", "-s", "a.b=2"], "a was set to 1 before"),
        (["simulate", "lorenz95", "-s", "quantiles=[]"], "quantiles"),
        (["simulate", "nowhere.yaml"], "there is no file nowhere.yaml"),
        (["forecast", "a@1", "--members", "1"], "Invalid value for '--members': 1 is not in"),
        (["forecast", "a@1", "--colour"], "No such option"),
        (["forecast"], "Missing argument 'FORECASTER'."),
        (["simulat"], "No such command 'simulat'"),
        (["run", "nowhere.yaml"], "there is no file nowhere.yaml. Check the path."),
        (["plugins", "show", "zzz"], "no plugin offers 'zzz'. There are: 3dvar, aifs"),
        (["plugins", "show", "fgm"], "no plugin offers 'fgm'. Did you mean 'fgn'?"),
        (["catalog", "list"], "is not a catalog (it has no geobench-catalog.json)"),
        (["train", "fgn", "--dataset", "dataset/a@1"], "is not a catalog"),
    ],
)
def test_mistakes_are_told_on_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = _geobench(tmp_path / "catalog", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.startswith("geobench: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "catalog" / "entries").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "fgm", "--dataset", "dataset/small@1"], "Did you mean 'fgn'?"),
        (["train", "fgn", "--dataset", "dataset/smal@1"], "Did you mean dataset/small@1?"),
        (
            ["train", "fgn", "--dataset", "small"],
            "'small' has no kind and no version. Did you mean dataset/small@1?",
        ),
        (
            ["train", "fgn", "--dataset", "dataset/small@1", "-s", "frames=7"],
            "looks at 7 past frames",
        ),
        (["--device", "cudda", "score", "forecast/x@1"], "the device 'cudda' cannot be used"),
        (["forecast", "dataset/small@1"], "dataset/small@1 is a dataset; name a forecaster"),
        (["score", "dataset/small@1"], "dataset/small@1 is a dataset; name a forecast"),
        (["catalog", "show", "forecast/x@1"], "there is no forecast/x@1"),
    ],
)
def test_mistakes_with_a_catalog_lose_nothing(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    catalog = tmp_path / "catalog"
    _simulate(catalog, "train={trajectories: 6, steps: 7}")
    result = _geobench(catalog, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    entries = list(Catalog(catalog).entries())
    assert [str(entry.reference) for entry in entries] == ["dataset/small@1"]
    assert list((catalog / "tmp").iterdir()) == []


def test_a_blow_up_leaves_nothing_half_written(tmp_path: Path) -> None:
    result = _simulate(tmp_path / "catalog", "simulator={amplitude: 80}", "spin_up=50")
    assert result.exit_code == 2
    assert "lorenz95 blew up" in result.stderr
    assert list(Catalog(tmp_path / "catalog").entries()) == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = ["--debug", "--catalog", str(tmp_path / "catalog"), "catalog", "list"]
    result = CliRunner().invoke(main, words)
    assert result.exception is not None
    assert "not a catalog" in str(result.exception)


COMMAND = """
import click
from geobench import hookimpl

@click.command()
def greet():
    \"\"\"Greet.\"\"\"
    click.echo("hello")

@click.command("run")
def usurper():
    \"\"\"Takes the place of run.\"\"\"

@hookimpl
def geobench_commands():
    return [greet, usurper]
"""


def test_a_plugin_can_add_a_command_but_replaces_none(tmp_path: Path) -> None:
    plugin = tmp_path / "greeting.py"
    plugin.write_text(COMMAND)
    result = CliRunner().invoke(main, ["--plugin", str(plugin), "greet"])
    assert (result.exit_code, result.stdout) == (0, "hello\n")
    shown = CliRunner().invoke(main, ["--plugin", str(plugin), "--help"]).stdout
    assert "greet" in shown
    assert "Takes the place" not in shown


def test_plugins_set_aside_are_told_wherever_plugins_are_used(tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text("import no_such_module")
    words = ["--plugin", str(plugin), "plugins", "show", "crps"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    assert "broken.py is set aside: No module named 'no_such_module'" in result.stderr
    listed = CliRunner().invoke(main, ["--plugin", str(plugin), "plugins", "list"]).stdout
    assert "No module named 'no_such_module'" in listed


def test_groups_of_fields_are_shown_with_their_own_fields() -> None:
    shown = CliRunner().invoke(main, ["plugins", "show", "gencast"]).stdout.splitlines()
    for line in (
        "  frames: int, default 2  past frames it sees",
        "    kind: unet",
        "      widths: int | …, default (24, 48, 96)  channels of each level, finest first",
        "  sampler: a group  how members are drawn",
        "    churn: float, default 2.5  S_churn; 0: no noise but the initial one",
        "      leads: int, default 1  steps of the rollout; each costs its sample-passes",
    ):
        assert line in shown


def test_what_plugins_offer_as_json_and_an_experiment_as_yaml() -> None:
    listed = json.loads(CliRunner().invoke(main, ["plugins", "list", "--json"]).stdout)
    assert listed["set_aside"] == {}
    (crps,) = [offer for offer in listed["offers"] if offer["name"] == "crps"]
    assert (crps["kind"], bool(crps["plugin"] and crps["summary"])) == ("scorer", True)
    shown = CliRunner().invoke(main, ["plugins", "show", "lorenz95-3day"]).stdout
    head, _, text = shown.partition("\n")
    assert head.startswith("experiment lorenz95-3day")
    assert yaml.safe_load(text)["simulator"] == {"use": "lorenz95", "output_hours": 72}


def test_a_scorer_says_which_scores_are_better() -> None:
    def declared(scorer: str) -> list[str]:
        shown = CliRunner().invoke(main, ["plugins", "show", scorer]).stdout.splitlines()
        return [line for line in shown if line.startswith(("better:", "excess:"))]

    assert declared("crps") == [
        "better: lower scores", "excess: score - score of the true distribution",
    ]  # fmt: skip
    assert declared("roc") == [
        "better: higher scores", "excess: score of the true distribution - score",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0", "2,", "2,-4", "two", "2;4", ""])
def test_what_are_no_counts_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a list of numbers from 1, such as 2,4,8"):
        Counts().convert(text, None, None)


def test_counts_have_commas_between_them() -> None:
    assert Counts().convert("2, 4,8", None, None) == (2, 4, 8)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1MiB", 2**20),
        ("512MB", 512_000_000),
        ("2000kB", 2_000_000),
        ("1.5GiB", 3 * 2**29),
        (".5GB", 500_000_000),
        (" 2 GiB", 2**31),
        ("1048576B", 2**20),
        (2**30, 2**30),
    ],
)
def test_sizes_have_units_of_powers_of_1000_or_1024(text: object, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *((text, "is no size; write 512MB or 2GiB") for text in ("", "MB", "512", "512M", "lots")),
        *((text, "is no size") for text in ("-1GB", "nanB", "infB", "8 Mbit", "1GB, 2GB", "1GXB")),
        ("1023KiB", "is too little; give 1MiB or more"),
        ("5B", "is too little"),
    ],
)
def test_what_is_no_size_is_refused(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter, match=told):
        Size().convert(text, None, None)


def _options(command: click.Command) -> Iterator[tuple[str, str]]:
    """Each option of a command and of those in it, with its help."""
    for option in command.params:
        if isinstance(option, click.Option):
            yield f"{command.name} {option.opts[-1]}", (option.help or "").partition("  [")[0]
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _options(part)


def test_help_of_options_says_what_they_do_in_a_sentence() -> None:
    options = dict(_options(main))
    assert len(options) > 100
    assert {
        name for name, text in options.items() if not re.fullmatch(r"[A-Z].* .*\.", text)
    } == set()
    assert {name for name, text in options.items() if re.match("(Of|One|Not|With) ", text)} == set()
