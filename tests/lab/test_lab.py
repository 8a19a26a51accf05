"""A lab: what a notebook makes, shows, and finds again."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from matplotlib.figure import Figure
from torch import nn

import geobench as gb
from geobench.cli import main
from geobench.errors import GeobenchError
from geobench.lab.board import Board
from geobench.lab.dataset import Dataset
from geobench.lab.forecaster import Forecaster
from geobench.lab.lab import Lab


def _command(lab: Lab, *words: str) -> Any:
    done = CliRunner().invoke(main, ["--quiet", "--catalog", lab.catalog.url, *words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_commands_find_what_a_lab_makes_and_a_lab_what_commands_make(
    lab: Lab, data: Dataset, tmp_path: Path
) -> None:
    listed = {entry["reference"] for entry in _command(lab, "catalog", "list")}
    assert data.reference in listed
    made = _command(lab, "train", "climatology", "--dataset", data.reference)
    assert lab.train("climatology", data).reference == made["reference"]
    assert lab.get(made["reference"]) == lab.train("climatology", data)


def test_what_is_there_is_not_made_again(lab: Lab, data: Dataset, fgn: Forecaster) -> None:
    again = lab.train("fgn", data, passes=64, backbone={"kind": "resnet", "width": 8, "blocks": 1})
    assert again == fgn
    assert hash(again) == hash(fgn)
    assert lab.train("climatology", data) != fgn


def test_a_key_of_several_groups_must_name_its_group(lab: Lab) -> None:
    with pytest.raises(GeobenchError, match=r"'trajectories' is a key of several.*train=\{"):
        lab.simulate("lorenz95", trajectories=200)
    with pytest.raises(GeobenchError, match=r"no key 'wdth'|there is no key"):
        lab.train("fgn", lab.simulate("lorenz95", **_sizes()), wdth=3)


def _sizes() -> dict[str, Any]:
    from tests.lab.conftest import SIZES

    return dict(SIZES)


def test_fields_of_the_simulator_may_be_named_alone(lab: Lab) -> None:
    stronger = lab.simulate("lorenz95", name="stronger", **_sizes(), forcing=10.0)
    assert stronger.experiment.simulator["forcing"] == 10.0
    assert stronger.reference == "dataset/stronger@1"


def test_splits_are_xarray_and_tensors_in_the_same_memory(data: Dataset) -> None:
    assert data.train.sizes == {"trajectory": 6, "time": 30, "x": 40}
    before = data.train["q"].to_numpy()
    states = data.tensor("train")
    assert states.shape == (6, 30, 1, 40)
    assert np.shares_memory(data.train["q"].to_numpy(), states.numpy())
    np.testing.assert_array_equal(data.train["q"].to_numpy(), before)
    np.testing.assert_array_equal(states[:, :, 0].numpy(), before)
    assert data.to_xarray("train")["time"].dtype == "timedelta64[s]"


def test_the_first_plot_of_a_dataset_works(data: Dataset) -> None:
    figure = Figure()
    image = data.train["q"][0].plot(ax=figure.subplots())
    assert image.get_array().shape == (30, 40)
    assert data.train["time"].attrs["units"] == "days"
    axes = data.plot(ax=figure.subplots())
    assert axes.get_ylabel().startswith("time")


def test_windows_are_runs_of_the_train_split_and_the_same_for_a_seed(data: Dataset) -> None:
    batches = list(data.windows(5, passes=12, frames=2, leads=3, seed=1))
    assert [len(history) for history, _ in batches] == [5, 5, 2]
    train = data.tensor("train")
    starts = {train[i, t].numpy().tobytes(): (i, t) for i in range(6) for t in range(30)}
    for history, future in batches:
        for row, rest in zip(history, future, strict=True):
            i, t = starts[row[0].numpy().tobytes()]
            assert torch.equal(torch.cat([row, rest]), train[i, t : t + 5])
    again = list(data.windows(5, passes=12, frames=2, leads=3, seed=1))
    other = list(data.windows(5, passes=12, frames=2, leads=3, seed=2))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, again, strict=True))
    assert not torch.equal(batches[0][0], other[0][0])
    assert len(data.windows(5, passes=12)) == 3


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(40, 40)

    def forward(self, history: torch.Tensor, noise: gb.Noise) -> torch.Tensor:
        spread: torch.Tensor = 0.1 * noise.normal(*history.shape[2:])
        now: torch.Tensor = history[:, -1]
        return now + 0.01 * self.body(now) + spread


def test_a_network_of_ones_own_forecasts_with_the_weights_it_had(lab: Lab, data: Dataset) -> None:
    net = Net()
    mine = lab.forecaster(net, data, label="mine")
    assert mine.cost.parameters == 40 * 41
    assert mine.cost.trained_elsewhere
    assert mine.source.startswith("class Net(nn.Module):")
    first = mine.forecast(members=3)
    state = data.test["q"].isel(trajectory=0, time=1).to_numpy()
    drawn = first.members["q"].isel(init_time=0, lead_time=0).to_numpy()
    with torch.no_grad():
        expected = state + 0.01 * net.body(torch.tensor(state)).numpy()
        net.body.weight.mul_(2.0)  # trained further
    assert np.abs(drawn - expected).max() < 0.6  # six standard deviations of its noise
    again = lab.forecaster(net, data, label="mine")
    assert again != mine
    assert again.reference == "forecaster/lorenz95.mine.s0@2"
    assert mine.forecast(members=3) == first


def test_the_weights_of_networks_that_a_function_refers_to_are_stored(
    lab: Lab, data: Dataset
) -> None:
    net = Net()

    def step(history: torch.Tensor, noise: gb.Noise) -> torch.Tensor:
        """Half a step."""
        drawn: torch.Tensor = net(history, noise)
        return drawn

    mine = lab.forecaster(step, data, label="halves")
    assert set(mine.restore().weights()) == {"net.body.weight", "net.body.bias"}
    with torch.no_grad():
        net.body.weight.add_(1.0)
    with pytest.raises(GeobenchError, match=r"halves refers to has changed since"):
        mine.forecast(members=2)


def test_functions_that_cannot_be_called_so_are_refused(lab: Lab, data: Dataset) -> None:
    with pytest.raises(GeobenchError, match=r"cannot be called with \(history, noise\)"):
        lab.forecaster(lambda history: history, data, label="short")
    with pytest.raises(GeobenchError, match=r"label='my model' names no model"):
        lab.forecaster(lambda history, noise: history[:, -1], data, label="my model")
    wrong = lab.forecaster(lambda history, noise: history, data, label="wrong")
    with pytest.raises(GeobenchError, match=r"wrong returned a state of shape .*expected"):
        wrong.forecast(members=2)
    with pytest.raises(GeobenchError, match=r"is a int, and no function"):
        lab.forecaster(3, data, label="number")
    with pytest.raises(GeobenchError, match=r"offered by geobench-twin\. Choose another name"):
        lab.forecaster(lambda history, noise: history[:, -1], data, label="fgn")


def test_functions_of_every_form_forecast(lab: Lab, data: Dataset) -> None:
    def scaled(factor: float, history: torch.Tensor, noise: gb.Noise) -> torch.Tensor:
        return factor * history[:, -1]

    class Steps:
        def __call__(self, history: torch.Tensor, noise: gb.Noise) -> torch.Tensor:
            return history[:, -1]

    first = lab.forecaster(partial(scaled, 0.1), data, label="scaled")
    assert lab.forecaster(partial(scaled, 0.2), data, label="scaled") != first
    assert first.forecast(members=2).members.sizes["member"] == 2
    called = lab.forecaster(Steps(), data, label="called", version="1")
    assert called.forecast(members=2).members.sizes["member"] == 2


def test_what_is_given_in_the_wrong_place_is_named(
    lab: Lab, data: Dataset, fgn: Forecaster
) -> None:
    assert lab.train("fgn", data.reference, passes=64, backbone=fgn_backbone()) == fgn
    with pytest.raises(GeobenchError, match=r"forecaster/lorenz95\.fgn\.s0@1 is no dataset"):
        lab.train("persistence", fgn)  # type: ignore[arg-type]
    with pytest.raises(GeobenchError, match="members = 0: write a whole number"):
        fgn.forecast(members=0)
    with pytest.raises(GeobenchError, match="windows of 0 rows"):
        data.windows(0, passes=4)
    with pytest.raises(GeobenchError, match=r"no place 999 along x: it has the places 0 to 39"):
        fgn.forecast(members=4).plot("plume", site=999)


def fgn_backbone() -> dict[str, Any]:
    return {"kind": "resnet", "width": 8, "blocks": 1}


def test_a_registered_class_is_a_plugin_whose_source_is_its_version(
    lab: Lab, data: Dataset
) -> None:
    from geobench_plugins.models.persistence import Persistence

    class Still(Persistence):
        """Persistence by another name."""

        name = "still"

    assert lab.register(Still) is Still
    version = Still.version
    assert version.startswith(f"{Persistence.version}+")
    assert lab.register(Still).version == version  # and not stamped twice
    made = lab.train("still", data)
    assert made.entry.record.recipe["model"]["version"] == version
    assert lab.train(Still(), data) == made
    assert "still" in repr(lab.plugins("model"))


def test_a_version_of_ones_own_takes_the_place_of_the_digest(lab: Lab, data: Dataset) -> None:
    hidden = object()

    def step(history: torch.Tensor, noise: gb.Noise) -> torch.Tensor:
        assert hidden is not None
        return history[:, -1]

    with pytest.raises(GeobenchError, match=r"version='…'"):
        lab.forecaster(step, data, label="dated")
    first = lab.forecaster(step, data, label="dated", version="monday")
    assert lab.forecaster(step, data, label="dated", version="monday") == first
    assert lab.forecaster(step, data, label="dated", version="tuesday") != first
    net = Net()
    untrained = lab.forecaster(net, data, label="own-version", version="1")
    with torch.no_grad():
        net.body.weight.add_(1.0)
    assert lab.forecaster(net, data, label="own-version", version="1") != untrained


def test_trainings_of_ones_own_have_seeds(lab: Lab, data: Dataset) -> None:
    trained = [lab.forecaster(Net(), data, label="seeded", seed=seed) for seed in (0, 1)]
    (row,) = (
        row
        for row in lab.compare(trained, members=3, scorers=["crps"], by_model=True).numbers.rows
        if row.label == "seeded"
    )
    assert row.seeds == [0, 1]


def test_another_session_is_told_where_a_model_lives(lab: Lab, data: Dataset) -> None:
    mine = lab.forecaster(lambda history, noise: history[:, -1], data, label="elsewhere")
    other = gb.open(lab.catalog.url, quiet=True).get(mine.reference)
    assert other == mine
    with pytest.raises(GeobenchError, match=r"made in a session of Python.*lab\.forecaster"):
        other.forecast(members=2)
    words = ["--catalog", lab.catalog.url, "reproduce", mine.reference]
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 2
    assert "its text is kept" in told.stderr
    assert "lab.reproduce" in repr(mine.provenance)
    assert lab.reproduce(mine).same_bits


def test_a_forecast_in_memory_is_taken_in_under_the_checks_of_a_file(
    lab: Lab, data: Dataset, fgn: Forecaster
) -> None:
    forecast = fgn.forecast(members=4)
    values = forecast.members["q"].to_numpy()
    for given in (values, forecast.members["q"], forecast.members.load()):
        taken = lab.take(given, data, "theirs")
        np.testing.assert_array_equal(taken.members["q"].to_numpy(), values)
        assert taken.reference == "forecast/lorenz95.theirs@1"
    assert taken.entry.origin == "imported"
    with pytest.raises(GeobenchError, match=r"has the shape \(12, 2, 4, 40\).*\(12, 3, members"):
        lab.take(values[:, :2], data, "theirs")
    with pytest.raises(GeobenchError, match="48 of 48 members"):
        lab.take(np.full_like(values, np.nan), data, "theirs")
    assert not [*lab.catalog.store.folder.glob(".taking-*")]


def test_a_board_shows_what_the_command_would(board: Board, lab: Lab) -> None:
    labels = [row.label for row in board.numbers.rows]
    assert set(labels) == {"oracle", "climatology", "fgn", "persistence"}
    assert list(board.ranking["model"]) == labels
    frame = board.frame
    crps = frame[(frame["model"] == "fgn") & (frame["score"] == "CRPS")]
    assert list(crps["lead_hours"]) == [24.0, 48.0, 72.0]
    score = lab.get("score/lorenz95.fgn.s0.crps@1")
    np.testing.assert_allclose(crps["value"], score.frame["CRPS"])
    assert "fgn" in repr(board)
    assert "<table" in board._repr_html_()
    assert r"\toprule" in board.to_latex()


def test_the_skill_of_a_distance_from_the_law_is_one_less_its_share_of_climatology(
    board: Board, lab: Lab
) -> None:
    columns, rows = lab.catalog.index.query(
        "kind = score and scorer = law-crps and law-crps@1d < 99 and law-crps.skill@1d < 99"
    )
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    values = {row["model"]: row["law-crps@1d"] for row in found}
    skills = {row["model"]: row["law-crps.skill@1d"] for row in found}
    assert {"oracle", "climatology", "fgn", "persistence"} <= set(skills)
    for model, skill in skills.items():
        assert skill == pytest.approx(1 - values[model] / values["climatology"])
    assert skills["climatology"] == 0
    assert skills["oracle"] == pytest.approx(1, abs=0.05)  # eight standard errors of 12 cases


def test_paired_differences_are_those_of_the_cases(board: Board, lab: Lab) -> None:
    paired = board.compare("persistence", "fgn")
    first = paired.iloc[0]
    assert first["difference"] == pytest.approx(first["persistence"] - first["fgn"])
    assert first["low"] < first["difference"] < first["high"]
    assert (paired["p_corrected"] >= paired["p"]).all()
    swapped = board.compare("fgn", "persistence").iloc[0]
    assert swapped["difference"] == pytest.approx(-first["difference"])
    assert swapped["p"] == pytest.approx(first["p"])
    assert swapped["better"] == first["better"]
    assert "bias" not in set(paired["scorer"])  # it is no mean over cases that could be paired
    with pytest.raises(GeobenchError, match="no model of this board is called 'nobody'"):
        board.compare("fgn", "nobody")


def test_two_forecasts_of_one_label_and_seed_are_refused(
    lab: Lab, data: Dataset, fgn: Forecaster
) -> None:
    with pytest.raises(GeobenchError, match=r"the same label and seed: fgn, 0"):
        lab.compare([fgn.forecast(members=3), fgn.forecast(members=4)])
    with pytest.raises(GeobenchError, match="a str is no forecaster and no forecast"):
        lab.compare(["fgn"], data)  # type: ignore[list-item]


def test_seeds_of_a_model_are_rows_or_one_row(lab: Lab, data: Dataset, fgn: Forecaster) -> None:
    backbone = {"kind": "resnet", "width": 8, "blocks": 1}
    other = lab.train("fgn", data, passes=64, backbone=backbone, seed=1)
    rows = lab.compare([fgn, other], members=4, scorers=["crps"]).numbers.rows
    assert [row.seed for row in rows if row.label == "fgn"] in ([0, 1], [1, 0])
    joined = lab.compare([fgn, other], members=4, scorers=["crps"], by_model=True).numbers.rows
    assert [row.seeds for row in joined if row.label == "fgn"] == [[0, 1]]


def test_a_comparison_is_a_study_that_commands_show(board: Board, lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    board.study.to_yaml(file)
    (shown,) = _command(lab, "leaderboard", "show", str(file))
    assert {row["label"] for row in shown["rows"]} == {row.label for row in board.numbers.rows}
    excess = {row["label"]: row["excess"] for row in shown["rows"]}
    assert excess["fgn"]["value"] == pytest.approx(
        next(row.excess.value for row in board.numbers.rows if row.label == "fgn")
    )


def test_a_site_of_a_comparison_is_built(board: Board, tmp_path: Path) -> None:
    page = board.site(tmp_path / "site")
    assert "lorenz95" in page.read_text("utf-8")
    document = json.loads((tmp_path / "site" / "board.json").read_text("utf-8"))
    assert "fgn" in json.dumps(document)


def test_provenance_says_how_to_make_it_again(fgn: Forecaster) -> None:
    lines = dict(zip(*(fgn.provenance.frame.iloc[:, i] for i in range(2)), strict=True))
    assert lines["recipe.model.use"] == "fgn"
    assert lines["parent dataset"] == "dataset/lorenz95@1"
    assert lines["again"].endswith(f"reproduce {fgn.reference}")


def test_everything_prints_as_text_and_as_a_table(lab: Lab, data: Dataset, fgn: Forecaster) -> None:
    forecast = fgn.forecast(members=4)
    scores = forecast.score("crps")
    for made in (data, fgn, forecast, scores):
        assert made.reference in repr(made)
        assert "<table" in made._repr_html_()
    assert list(scores.frame.columns) == ["CRPS"]
    with pytest.raises(GeobenchError, match=r"holds no maps\. Ask for them"):
        _ = scores.maps
    maps = forecast.score({"use": "crps", "maps": True}).maps
    assert maps.sizes == {"variable": 1, "lead_time": 3, "x": 40}
    assert scores.cases.sizes["init_time"] == 12
    assert fgn.loss is not None
    assert fgn.loss.dims == ("passes",)


def test_a_forecast_is_tested_against_the_true_distribution(
    lab: Lab, data: Dataset, fgn: Forecaster
) -> None:
    verdicts = fgn.forecast(members=4).test("crps", exchanges=19).frame
    assert list(verdicts.columns) == ["", "score", "the law", "p", "q"]
    assert verdicts["p"].iloc[0] == "0.050"  # the least that 19 exchanges can tell
    plan = fgn.forecast(members=4).plan("crps", members=(2, 4)).frame
    assert list(plan["members"]) == [2, 4]


def test_other_processes_are_not_asked_for_what_they_do_not_have(tmp_path: Path) -> None:
    lab = gb.open(tmp_path / "catalog", processes=2, quiet=True)
    data = lab.simulate("lorenz95", **_sizes())
    with pytest.warns(UserWarning, match="other processes do not have still"):
        still = lab.forecaster(lambda history, noise: history[:, -1], data, label="still")
    assert lab.engine.processes == 1
    assert still.forecast(members=2).members.sizes["member"] == 2
