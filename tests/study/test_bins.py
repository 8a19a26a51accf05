"""Boards of some of the cases, chosen by what was known of them and never by what happened."""

import json
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.diagnostics import bins
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of the oracle and the climatology, run: its file and its catalog."""
    folder = tmp_path_factory.mktemp("bins")
    study, catalog = folder / "study.yaml", folder / "catalog"
    fields = {
        "experiments": {
            "tiny": {
                "use": "lorenz95",
                "spin_up": 5,
                "train": {"trajectories": 40, "steps": 50},
                "validation": {"trajectories": 4, "steps": 10},
                "test": {"trajectories": 90},
                "leads": 4,
            }
        },
        "models": {"oracle": {"use": "oracle"}, "climatology": {"use": "climatology"}},
        "members": 8,
        "scorers": ["crps", "spread-skill"],
        "reference": {"members": 24},
    }
    study.write_text(yaml.safe_dump(fields))
    assert _geobench(catalog, "run", str(study)).exit_code == 0
    return study, catalog


def _geobench(catalog: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--quiet", "--catalog", str(catalog), *words])


def _boards(run: tuple[Path, Path], name: str) -> list[dict[str, object]]:
    study, catalog = run
    told = _geobench(catalog, "leaderboard", str(study), "--bin", name, "--json")
    assert told.exit_code == 0, told.output
    boards: list[dict[str, object]] = json.loads(told.stdout)
    return boards


def _oracle_score(board: "dict[str, object]") -> float:
    column = board["columns"][0]  # type: ignore[index] # JSON
    place = [row["label"] for row in board["rows"]].index("oracle")  # type: ignore[attr-defined] # JSON
    return float(np.mean([cell["score"]["value"] for cell in column["cells"][place]]))


@pytest.mark.slow
def test_thirds_by_predictability_are_in_order_of_the_oracles_score(
    run: tuple[Path, Path],
) -> None:
    boards = _boards(run, "predictability")
    assert [board["cases"] for board in boards] == [30, 30, 30]
    assert "the most predictable third of the cases" in str(boards[0]["title"])
    scores = [_oracle_score(board) for board in boards]
    assert scores[0] < scores[1] < scores[2]


def test_events_are_binned_by_their_true_probability(run: tuple[Path, Path]) -> None:
    boards = _boards(run, "ring-maximum")
    assert 1 <= len(boards) <= 3
    assert sum(int(str(board["cases"])) for board in boards) <= 90
    study, catalog = run
    page = study.with_name("bins.html")
    words = ("leaderboard", str(study), "--bin", "ring-maximum", "--html", str(page))
    assert _geobench(catalog, *words).exit_code == 0
    assert all(str(board["title"]) in unescape(page.read_text("utf-8")) for board in boards)
    session = Session(Engine(Catalog(catalog), Registry()))
    (law,) = (
        session.catalog.get(each, "forecast")
        for each in session.catalog.query("kind = forecast")["reference"]
        if ".reference." in each
    )
    counted = session.events(law).load()["ring_maximum_within"].isel(lead_time=-1)
    for each in bins.of("ring-maximum", session.engine, law):
        p = counted.isel(init_time=each.indices).max("ring_maximum_place")
        own = p.isel(ring_maximum_quantile=-1 if "99.99" in each.title else slice(None))
        assert own.sizes["init_time"] == len(each.indices) >= 10
    places = np.concatenate(
        [each.indices for each in bins.of("predictability", session.engine, law)]
    )
    assert sorted(places.tolist()) == list(range(90))


@pytest.mark.parametrize("name", ["outcome", "ring-minimum"])
def test_cases_are_not_chosen_by_their_outcome(run: tuple[Path, Path], name: str) -> None:
    study, catalog = run
    refused = _geobench(catalog, "leaderboard", str(study), "--bin", name)
    assert refused.exit_code == 2
    assert "the forecaster's dilemma" in refused.output
    assert "predictability, local-high" in refused.output
