"""Models that differ only in how members are drawn are trained once."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geobench import GeobenchError
from geobench.cli import main
from geobench.nodes.engine import Engine
from geobench.nodes.forecaster import ForecasterNode
from geobench.nodes.session import Session
from geobench.nodes.stored import Stored
from geobench.registry import Registry
from geobench_catalog import Catalog, Entry

AIFS = {
    "use": "aifs",
    "backbone": {"kind": "resnet", "width": 8, "blocks": 1},
    "training": {"passes": 640},
}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Engine(Catalog(tmp_path / "catalog", create=True), Registry()))


def _dataset(session: Session, history: int) -> Entry:
    fields = {
        "use": "lorenz95",
        "spin_up": 5,
        "train": {"trajectories": 20, "steps": 30},
        "validation": {"trajectories": 4, "steps": 20},
        "test": {"trajectories": 20},
        "history": history,
        "leads": 2,
    }
    return session.simulate("tiny", session.registry.experiment(fields, "tiny"))


def test_three_ensembles_of_one_network_are_one_training(session: Session) -> None:
    dataset = _dataset(session, history=5)
    lagged = session.registry.model({**AIFS, "ensemble": "lagged"})
    assert session.engine.find(ForecasterNode(Stored(dataset, session.catalog), lagged)) is None
    first = session.train(dataset, lagged, label="lagged")
    plain = session.train(dataset, session.registry.model(AIFS))
    other = session.train(dataset, session.registry.model({**AIFS, "ensemble": "perturbed"}))
    names = sorted(str(entry.reference) for entry in session.catalog.entries("forecaster"))
    assert names == [
        "forecaster/tiny.aifs.s0@1",
        "forecaster/tiny.aifs.s0@2",
        "forecaster/tiny.lagged.s0@1",
    ]
    for derived in (first, other):
        assert session.catalog.parent(derived, "weights").id == plain.id
        assert derived.content("weights.safetensors") == plain.content("weights.safetensors")
        cost = derived.record.summary
        assert cost["trained_as"] == str(plain.reference)
        for key in ("training_seconds", "sample_passes", "parameters"):
            assert cost[key] == plain.record.summary[key]
    # A member that starts three steps back costs three steps more.
    assert first.record.summary["evaluations_per_step"] == 4
    assert other.record.summary["evaluations_per_step"] == 1
    assert session.train(dataset, lagged).id == first.id
    drawn = session.forecast(first, members=4).load()
    assert float(drawn["q"].std("member").mean()) > 0


@pytest.mark.slow
def test_a_sweep_of_evaluations_is_drawn_from_one_training(tmp_path: Path, study: Path) -> None:
    def geobench(*words: str) -> Result:
        catalog = ["--quiet", "--catalog", str(tmp_path / "catalog")]
        return CliRunner().invoke(main, [*catalog, *words], catch_exceptions=False)

    ran = geobench("run", str(study), "--nfe", "1,4,16")
    assert ran.exit_code == 0, ran.output
    board = json.loads(geobench("leaderboard", str(study), "--nfe", "1,4,16", "--json").stdout)[0]
    # 16 are what the model has by default: that is the row of the model itself.
    evaluations = {row["label"]: row["evaluations"] for row in board["rows"]}
    assert evaluations == {
        "oracle": 0, "climatology": 0, "fgn": 1, "fm": 16, "fm-nfe1": 1, "fm-nfe4": 4
    }  # fmt: skip
    catalog = Catalog(tmp_path / "catalog")
    trained = [
        entry
        for entry in catalog.entries("forecaster")
        if entry.record.recipe["model"]["use"] == "flow-matching"
    ]
    assert len(trained) == 3
    assert len({entry.content("weights.safetensors") for entry in trained}) == 1
    assert sum("trained_as" in entry.record.summary for entry in trained) == 2
    wrong = CliRunner().invoke(main, ["run", str(study), "--nfe", "2,none"])
    assert wrong.exit_code == 2
    assert "'2,none' is not a list of numbers from 1, such as 2,4,8." in wrong.output


def test_a_sweep_has_no_row_twice(tmp_path: Path, study: Path) -> None:
    models = "models:\n  map: {use: flow-map}\n  one: {use: flow-map, sampler: {evaluations: 1}}\n"
    study.write_text(re.sub(r"(?ms)^models:\n.*?(?=^\S)", models, study.read_text()))
    words = ["--catalog", str(tmp_path / "none"), "run", str(study), "--dry-run"]
    told = CliRunner().invoke(main, [*words, "--nfe", "32,8,1,2"], catch_exceptions=False).stdout
    rows = re.findall(r"forecaster +\S+?\.(map\S*|one\S*)\.s0", told)
    assert rows == ["map", "one", "map-nfe8"]  # 2 is its default, 1 another row, 32 no more than 8


def test_lags_that_do_not_fit_are_told_before_anything_is_trained(session: Session) -> None:
    dataset = _dataset(session, history=2)
    with pytest.raises(GeobenchError, match="need 5 past frames, and the experiment gives 2"):
        session.train(dataset, session.registry.model({**AIFS, "ensemble": "lagged"}))
    assert not list(session.catalog.entries("forecaster"))
