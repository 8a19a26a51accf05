"""What every command prints with --json has the form that its JSON schema describes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from geobench.cli import main
from geobench.cli.schema import schema_of, schemas
from geobench.describe import effort
from geobench_catalog import Catalog

STUDY = """
experiments:
  small:
    use: lorenz95
    simulator: {sites: 8}
    spin_up: 2
    train: {trajectories: 20, steps: 20}
    validation: {trajectories: 2, steps: 8}
    test: {trajectories: 20}
    leads: 2
models: {persistence: persistence}
members: 3
scorers: [crps]
reference: {members: 4}
"""
FGN = ("--set", "backbone={kind: resnet, width: 4, blocks: 1}", "--set", "training.passes=64")


def _with_json(group: click.Group, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _with_json(command, f"{path}{name} ")
        elif any("--json" in param.opts for param in command.params):
            yield f"{path}{name}"


def test_every_command_with_json_has_a_schema_and_every_schema_a_command() -> None:
    commands = set(_with_json(main))
    assert len(commands) > 35
    # A new command with --json: write geobench/cli/schemas/COMMAND.json.
    assert {command.replace(" ", "-") for command in commands} | {"error"} == set(schemas())
    for command in commands:
        schema = schema_of(command)
        Draft202012Validator.check_schema(schema)
        assert schema["title"] == f"geobench {command} --json"


def check(command: str, document: object) -> None:
    Draft202012Validator(schema_of(command), format_checker=FormatChecker()).validate(document)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in which a small study was run, and the study beside it."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "study.yaml").write_text(STUDY)
    return folder


class _Runner:
    """Runs commands in a catalog, and checks what they print."""

    def __init__(self, catalog: Path) -> None:
        self.catalog = catalog
        self.checked: set[str] = set()

    def __call__(self, command: str, *words: object, codes: tuple[int, ...] = (0,)) -> Any:
        options = ["-q", "--catalog", str(self.catalog), *command.split(), *map(str, words)]
        result = CliRunner().invoke(main, [*options, "--json"])
        assert result.exit_code in codes, result.output
        document = json.loads(result.stdout)
        check(command, document)
        self.checked.add(command)
        return document


def test_every_command_prints_what_its_schema_describes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(effort._NUMBERS, "quick", 2e4)  # so few that it takes a second
    monkeypatch.setitem(effort._RESAMPLES, "quick", 2)
    run = _Runner(folder / "catalog")
    for part in (_make, _compare, _describe, _bring, _keep):
        part(run, folder)
    assert run.checked == set(_with_json(main))


def _make(run: _Runner, folder: Path) -> None:
    study = folder / "study.yaml"
    planned = run("run", study, "--dry-run")
    assert {(step["done"], step["seconds"]) for step in planned} == {(False, None)}
    (board,) = run("run", study)
    assert len(board["rows"]) == 2
    assert {step["done"] for step in run("run", study, "--dry-run")} == {True}
    study.write_text(STUDY.replace("members: 3", "members: 5"))
    assert any(step["seconds"] for step in run("run", study, "--dry-run"))
    study.write_text(STUDY)
    run("simulate", "lorenz95", "--name", "again", "--set", "simulator.sites=8", "-s", "leads=2")
    run("train", "oracle", "--dataset", "dataset/small@1")
    drawn = run("forecast", "forecaster/small.oracle.s0@1", "--members", 4)
    run("score", drawn["reference"], "--scorer", "rmse")
    run("events", drawn["reference"])
    run("control", "dataset/small@1", "--states", 2000)


def _compare(run: _Runner, folder: Path) -> None:
    law = "forecast/small.reference.s1000000@1"
    oracle = "forecast/small.oracle.s0@1"
    run("test", oracle, "--law", law, "--exchanges", 19, "--scorer", "crps")
    run("plan", oracle, "--law", law, "--members", "2,4")
    run("scorers power", oracle, "--members", 2, "--scorer", "crps")
    run("reproduce", oracle)
    run("leaderboard show", folder / "study.yaml", "--with", oracle)
    run("leaderboard build", folder / "study.yaml", "--out", folder / "site")
    built = ("leaderboard build", folder / "study.yaml", "--out", folder / "site", "--with", oracle)
    assert run(*built)["changes"]


def _describe(run: _Runner, folder: Path) -> None:
    run("doctor")
    run("plugins list")
    run("plugins show", "lorenz95")
    run("plugins new", "wavy-schemas", "--out", folder / "wavy")
    run("study list")
    run("study show", "quick")
    run("study new", "mine", "--out", folder / "mine.yaml")
    words = (
        "--bare",
        "--effort",
        "quick",
        "--exponents",
        1,
        "--set",
        "sites=8",
        "-s",
        "correlation=0.5",
    )
    run("simulator describe", "ou", *words)


def _bring(run: _Runner, folder: Path) -> None:
    run("train", "fgn", "--dataset", "dataset/small@1", *FGN)
    catalog = Catalog(run.catalog)
    weights = folder / "theirs.safetensors"
    weights.write_bytes(catalog.get("forecaster/small.fgn.s0@1").content("weights.safetensors"))
    words = ("--dataset", "dataset/small@1", "--model")
    run("catalog import-forecaster", weights, *words, "fgn", *FGN, "--label", "theirs")
    catalog.get("forecast/small.oracle.s0@1").load().to_netcdf(folder / "theirs.nc")
    run("catalog import-forecast", folder / "theirs.nc", *words, "somebody")


def _keep(run: _Runner, folder: Path) -> None:
    dataset, forecast = "dataset/small@1", "forecast/small.persistence.s0@1"
    assert {entry["origin"] for entry in run("catalog list")} == {"own", "imported"}
    run("catalog show", forecast)
    run("catalog query", "kind = forecast and forecast.members > 2 and crps < 1e9")
    run("catalog du")
    run("catalog diff", forecast, "forecast/small.oracle.s0@1")
    run("catalog tag", dataset, "good")
    run("catalog alias", dataset, "paper")
    run("catalog alias", "dataset/small@paper", "--remove")
    run("catalog trust", "forecast/small.somebody@1")
    run("catalog export", dataset, "--to", folder / "x.tar")
    run("catalog export", forecast, "--as", "netcdf", "--to", folder / "netcdf")
    other = _Runner(folder / "other")
    other("catalog import", folder / "x.tar")
    other("catalog push", dataset, folder / "third")
    other("catalog pull", dataset, folder / "third")
    (run.catalog / "tmp/debris").write_bytes(bytes(12))
    run("catalog gc")
    run("catalog rm", "forecast/small.oracle.s0@1", "--cascade", "--dry-run")
    run("catalog reindex")
    run("catalog verify")
    lost = Catalog(run.catalog).get("dataset/again@1").id
    (run.catalog / "refs/dataset/again@1").unlink()
    run("catalog name", lost[:12])
    run.checked |= other.checked


@pytest.mark.parametrize(
    "command", ["catalog list", "train fgn --dataset dataset/a@1", "leaderboard show no.yaml"]
)
def test_a_command_that_fails_prints_an_error(tmp_path: Path, command: str) -> None:
    words = ["--catalog", str(tmp_path / "none"), *command.split(), "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    check("error", json.loads(result.stdout))


@pytest.mark.parametrize(
    ("command", "change"),
    [
        ("plugins list", lambda document: document.update(more=1)),
        ("plugins list", lambda document: document.pop("offers")),
        ("plugins list", lambda document: document["offers"][0].update(kind="thing")),
    ],
)
def test_a_document_of_another_form_is_refused(
    command: str, change: Callable[[dict[str, Any]], object]
) -> None:
    document = json.loads(CliRunner().invoke(main, [*command.split(), "--json"]).stdout)
    check(command, document)
    change(document)
    with pytest.raises(ValidationError):
        check(command, document)


def test_an_entry_with_a_field_more_is_refused(folder: Path) -> None:
    catalog = Catalog(folder / "entries", create=True)
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.publish()
    words = ["--catalog", str(folder / "entries"), "catalog", "show", "dataset/a@1", "--json"]
    document = json.loads(CliRunner().invoke(main, words).stdout)
    check("catalog show", document)
    with pytest.raises(ValidationError):
        check("catalog show", document | {"more": 1})


def test_schemas_are_printed_whole_and_unknown_commands_are_told() -> None:
    printed = CliRunner().invoke(main, ["schema", "leaderboard", "show"])
    schema = json.loads(printed.stdout)
    Draft202012Validator(schema).validate([])
    assert {"Board", "Row", "Estimate"} <= set(schema["$defs"])
    assert "Step" not in schema["$defs"]  # only what is used
    listed = CliRunner().invoke(main, ["schema"]).stdout.splitlines()
    assert {"catalog import-forecast", "leaderboard show", "run"} <= set(listed)
    wrong = CliRunner().invoke(main, ["schema", "catalog", "lst"])
    assert wrong.exit_code == 2
    assert "Did you mean 'catalog list'?" in wrong.stderr
