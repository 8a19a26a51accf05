"""Whatever a command prints as a result, it prints as one JSON document too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from geobench.cli import main

WITHOUT = {
    "completion": "its result is a script for a shell",
    "schema": "its result is a JSON schema, or a list of the commands that have one",
}


def _commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def test_every_command_prints_json_or_says_why_not() -> None:
    commands = dict(_commands(main))
    assert len(commands) > 30
    without = set()
    for name, command in commands.items():
        found = [each for each in command.params if "--json" in each.opts]
        if not found:
            without.add(name)
            continue
        (option,) = found
        assert isinstance(option, click.Option)
        assert option.is_flag
        assert option.help == "Print JSON.", name
    assert without == set(WITHOUT)


def _geobench(catalog: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(catalog), *map(str, words)])


def _told(catalog: Path, *words: object) -> Any:
    result = _geobench(catalog, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # one document, and nothing else


STUDY = """
experiments:
  small:
    use: lorenz95
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in which a small study was run, and the study beside it."""
    folder = tmp_path_factory.mktemp("json")
    study = folder / "study.yaml"
    study.write_text(STUDY)
    planned = _told(folder / "catalog", "run", study, "--dry-run")
    assert {each["reference"] for each in planned} == {None}
    (board,) = _told(folder / "catalog", "run", study)
    assert {row["label"] for row in board["rows"]} == {"climatology", "persistence"}
    return folder


def test_the_steps_print_what_they_made(made: Path, tmp_path: Path) -> None:
    catalog = made / "catalog"
    fitted = _told(catalog, "train", "oracle", "--dataset", "dataset/small@1", "--seed", 3)
    assert (fitted["reference"], fitted["kind"]) == ("forecaster/small.oracle.s3@1", "forecaster")
    drawn = _told(catalog, "forecast", fitted["reference"], "--members", 3)
    assert drawn["parents"]["forecaster"]["id"] == fitted["id"]
    (score,) = _told(catalog, "score", drawn["reference"], "--scorer", "crps")
    assert set(score["summary"]["scores"]) == {"CRPS"}
    events = _told(catalog, "events", drawn["reference"])
    high = next(each for each in events["probabilities"] if each["event"] == "local-high")
    assert high["lead_hours"] == [24.0, 48.0]
    assert all(0 <= mean <= 1 for mean in high["mean"])


def test_the_catalog_prints_what_it_did(made: Path, tmp_path: Path) -> None:
    catalog, dataset = made / "catalog", "dataset/small@1"
    assert _told(catalog, "catalog", "tag", dataset, "b", "a")["tags"] == ["a", "b"]
    named = _told(catalog, "catalog", "alias", dataset, "paper")
    assert named == {"alias": "dataset/small@paper", "reference": dataset}
    gone = _told(catalog, "catalog", "alias", "dataset/small@paper", "--remove")
    assert gone["reference"] is None
    count = _told(catalog, "catalog", "reindex")["entries"]
    assert count == len(_told(catalog, "catalog", "list"))
    (catalog / "tmp/debris").write_bytes(bytes(12))
    collected = _told(catalog, "catalog", "gc")
    assert [piece["bytes"] for piece in collected["removed"]] == [12]
    packed = _told(catalog, "catalog", "export", dataset, "--to", tmp_path / "x.tar")
    assert packed["entries"] == [dataset]
    other = tmp_path / "other"
    assert _told(other, "catalog", "import", tmp_path / "x.tar") == [
        {"wanted": dataset, "here": dataset, "new": True}
    ]
    assert _told(other, "catalog", "pull", dataset, catalog)[0]["new"] is False
    planned = _told(other, "catalog", "rm", dataset, "--dry-run")
    assert planned == {"removed": [dataset], "dry_run": True}
    assert _told(other, "catalog", "rm", dataset, "--yes")["dry_run"] is False
    assert _told(other, "catalog", "list") == []


def test_a_name_of_several_plugins_is_one_document(tmp_path: Path) -> None:
    found = _told(tmp_path, "plugins", "show", "lorenz95")
    assert [each["kind"] for each in found] == ["simulator", "experiment"]
    assert "forcing" in found[0]["properties"]
    assert found[1]["experiment"]["simulator"]["use"] == "lorenz95"
