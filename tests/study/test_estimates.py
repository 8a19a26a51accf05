"""What a study will cost is scaled from recorded costs; where there are none, it is unknown."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.nodes.engine import Engine
from geobench.registry import Registry
from geobench.study.estimates import Estimate, Estimates
from geobench.study.file import read_study
from geobench.study.graph import StudyGraph
from geobench_catalog import Catalog


def _geobench(catalog: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["--catalog", str(catalog), *map(str, words)])


def _planned(catalog: Path, study: Path) -> dict[str, dict[str, Any]]:
    steps = json.loads(_geobench(catalog, "run", study, "--dry-run", "--json").stdout)
    return {f"{step['kind']}/{step['name']}": step for step in steps}


def _changed(study: Path, *changes: tuple[str, str]) -> Path:
    text = study.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    study.write_text(text)
    return study


def _recorded(catalog: Path, reference: str) -> Any:
    return Catalog(catalog).get(reference).record


def test_a_longer_training_takes_longer_and_more_members_take_more(ran: Path, study: Path) -> None:
    changes = [("passes: 640", "passes: 6400"), ("members: 5", "members: 10")]
    planned = _planned(ran, _changed(study, *changes))
    training = _recorded(ran, "forecaster/tiny.fgn.s0@1")
    step = planned["forecaster/tiny.fgn.s0"]
    assert step["done"] is False
    assert step["seconds"] == pytest.approx(10 * training.seconds)
    assert step["memory"] == training.summary["peak_memory"]
    assert step["bytes"] == training.size  # weights do not grow with the training
    drawing = _recorded(ran, "forecast/tiny.fm.s0@1")
    step = planned["forecast/tiny.fm.s0"]
    assert step["seconds"] == pytest.approx(2 * drawing.seconds)
    assert step["bytes"] == pytest.approx(2 * drawing.size, abs=1)
    # The reference has 8 members, so its score is nearer than those of the models.
    scoring = _recorded(ran, "score/tiny.reference.s1000000.crps@1")
    step = planned["score/tiny.oracle.s0.crps"]
    assert step["seconds"] == pytest.approx(10 / 8 * scoring.summary["scoring_seconds"])
    assert step["bytes"] == scoring.size  # means over members do not grow with them
    done = planned["dataset/tiny"]
    assert (done["done"], done["seconds"], done["bytes"]) == (True, None, None)


def test_a_larger_dataset_takes_more(ran: Path, study: Path) -> None:
    # From 20 x 20 + 4 x 10 + 20 x 5 states of 40 cells to twice the train split.
    planned = _planned(
        ran, _changed(study, ("train: {trajectories: 20", "train: {trajectories: 40"))
    )
    made = _recorded(ran, "dataset/tiny@1")
    states = made.summary["states"]
    seconds = planned["dataset/tiny"]["seconds"]
    assert seconds == pytest.approx(made.seconds * (states + 400) / states)
    assert planned["forecaster/tiny.fgn.s0"]["seconds"] == pytest.approx(
        _recorded(ran, "forecaster/tiny.fgn.s0@1").seconds  # as many passes
    )


def test_what_was_never_made_is_unknown(ran: Path, study: Path) -> None:
    planned = _planned(ran, _changed(study, ("width: 8, blocks: 1}", "width: 9, blocks: 1}")))
    step = planned["forecaster/tiny.fgn.s0"]
    assert (step["seconds"], step["memory"], step["bytes"]) == (None, None, None)
    planned = _planned(ran.parent / "none", study)
    assert {step["seconds"] for step in planned.values()} == {None}


def test_of_several_records_the_nearest_size_counts(
    ran: Path, study: Path, registry: Registry
) -> None:
    passes = (
        "--set",
        "backbone={kind: resnet, width: 8, blocks: 1}",
        "--set",
        "training.passes=64",
    )
    made = _geobench(ran, "train", "fgn", "--dataset", "dataset/tiny@1", *passes)
    assert made.exit_code == 0, made.output
    few = _recorded(ran, made.stdout.strip())
    graph = StudyGraph(read_study(_changed(study, ("passes: 640", "passes: 96"))), registry)
    estimates = Estimates(Engine(Catalog(ran), registry))
    nodes = {node.name: node for node in graph.of("tiny").nodes() if node.kind == "forecaster"}
    seconds = estimates.of(nodes["tiny.fgn.s0"]).seconds
    assert seconds == pytest.approx(few.seconds * 96 / 64)
    assert Estimate() == (None, None, None)


def test_the_terminal_shows_costs_in_columns_and_their_sum(ran: Path, study: Path) -> None:
    _changed(study, ("passes: 640", "passes: 6400"))
    heading, *lines = _geobench(ran, "run", study, "--dry-run").stdout.splitlines()
    assert heading.split() == ["kind", "time", "memory", "disk", "name"]
    done = [line for line in lines if line.startswith("done ")]
    to_do = [line for line in lines if line.startswith("to do")]
    assert (len(done), len(to_do)) == (15, 10)
    assert len({line.rindex(" ") for line in to_do}) == 1  # names begin below one another
    text = " ".join(" ".join(lines[25:]).split())
    assert text.startswith("15 of 25 steps are done; to do: 2 forecasters, 2 forecasts, 6 scores")
    assert "Estimated from recorded costs: " in text
    nothing = _geobench(ran.parent / "none", "run", study, "--dry-run").stdout
    assert nothing.startswith("to do  dataset     tiny\n")
    Catalog(ran.parent / "empty", create=True)
    nothing = _geobench(ran.parent / "empty", "run", study, "--dry-run").stdout
    assert nothing.splitlines()[-1].startswith("Costs are unknown: no step like these")


def test_records_of_strangers_are_passed_over(ran: Path, study: Path) -> None:
    catalog = Catalog(ran)
    with catalog.draft("dataset", "strange", recipe={"simulator": 3}) as draft:
        draft.publish()
    _changed(study, ("members: 5", "members: 6"))
    assert _planned(ran, study)["forecast/tiny.oracle.s0"]["seconds"] is not None


def test_run_ends_with_what_to_do_next(ran: Path, study: Path) -> None:
    result = _geobench(ran, "run", study)
    build = f"geobench --catalog {ran} leaderboard build {study} --out site"
    assert result.stderr.splitlines()[-4:] == [
        "Next:",
        f"  geobench --catalog {ran} leaderboard {study}  # the boards again",
        f"  {build}  # pages to look at and send",
        f"  geobench --catalog {ran} catalog list  # all that was made",
    ]
    shown = result.stderr.splitlines()[-2].partition("#")[0].split()[1:]
    assert CliRunner().invoke(main, [*shown[:-1], str(ran.parent / "site")]).exit_code == 0
    assert "Next:" not in _geobench(ran, "--quiet", "run", study).output
    found = CliRunner().invoke(main, ["run", str(study)], env={"GEOBENCH_CATALOG": str(ran)})
    assert f"  geobench leaderboard {study}" in found.stderr  # the environment says which


def test_building_a_site_says_how_many_boards_there_are(ran: Path, study: Path) -> None:
    built = _geobench(ran, "leaderboard", "build", study, "--out", ran.parent / "site")
    assert "pages of 1 board  " in built.stderr
