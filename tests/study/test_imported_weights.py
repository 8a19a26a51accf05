"""Weights that were trained elsewhere are checked, tried out, forecast and scored as any other."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from click.testing import CliRunner, Result
from torch import Tensor

from geobench.cli import main
from geobench.foreign import weights as foreign_weights
from geobench_catalog import Catalog

PLUGIN = Path(__file__).parents[1] / "small_network.py"
STUDY = {
    "experiments": {
        "tiny": {
            "use": "lorenz95",
            "spin_up": 2,
            "train": {"trajectories": 6, "steps": 8},
            "validation": {"trajectories": 2, "steps": 8},
            "test": {"trajectories": 20, "inits": 2, "every": 3},
            "leads": 3,
        }
    },
    "models": {
        "climatology": "climatology",
        "oracle": "oracle",
        "own": {"use": "small-network", "training": {"passes": 64}},
    },
    "members": 4,
    "scorers": ["crps"],
    "reference": {"members": 8},
}
OWN = "forecaster/tiny.own.s0@1"


def _geobench(folder: Path, *words: object) -> Result:
    given = ["-q", "--catalog", folder / "catalog", "--plugin", PLUGIN, *words]
    return CliRunner().invoke(main, [*map(str, given)])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalog in which the study has run, and the weights that it trained."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    result = _geobench(folder, "run", folder / "study.yaml")
    assert result.exit_code == 0, result.output
    trained = Catalog(folder / "catalog").get(OWN)
    (folder / "own.safetensors").write_bytes(trained.content("weights.safetensors"))
    return folder


def _take_in(ran: Path, path: Path, *words: object) -> Result:
    given = ("--dataset", "dataset/tiny@1", "--model", "small-network", *words)
    return _geobench(ran, "catalog", "import-forecaster", path, *given)


def _weights(ran: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(ran / "own.safetensors")


@pytest.mark.slow
def test_imported_weights_forecast_and_score_as_those_that_were_trained_here(ran: Path) -> None:
    """To the last bit; and what was trained here is not found in their place, nor they in its."""
    words = ("--label", "theirs", "--set", "training.passes=64")
    result = _take_in(ran, ran / "own.safetensors", *words)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == "forecaster/tiny.theirs.s0@1"
    drawn = _geobench(ran, "forecast", "forecaster/tiny.theirs.s0@1", "--members", 4)
    assert drawn.exit_code == 0, drawn.output
    scored = _geobench(ran, "score", "forecast/tiny.theirs.s0@1", "--scorer", "crps")
    assert scored.exit_code == 0, scored.output
    catalog = Catalog(ran / "catalog")
    one, other = (catalog.get(f"forecast/tiny.{name}.s0@1") for name in ("own", "theirs"))
    np.testing.assert_array_equal(one.load()["q"], other.load()["q"])
    scores = [
        catalog.get(f"score/tiny.{name}.s0.crps@1").record.summary["scores"]
        for name in ("own", "theirs")
    ]
    assert scores[0] == scores[1]
    brought, trained = catalog.get("forecaster/tiny.theirs.s0@1"), catalog.get(OWN)
    assert brought.record.key != trained.record.key
    assert {"sample_passes", "training_seconds"}.isdisjoint(brought.record.summary)
    assert brought.record.summary["parameters"] == trained.record.summary["parameters"] > 0
    again = _geobench(ran, "catalog", "verify", "forecaster/tiny.theirs.s0@1")
    assert again.exit_code == 0, again.output


def test_the_same_weights_are_one_entry(ran: Path) -> None:
    """Whatever the file is called, and in whatever order it holds them."""
    first = _take_in(ran, ran / "own.safetensors", "--label", "once")
    assert first.exit_code == 0, first.output
    turned = dict(reversed(_weights(ran).items()))
    safetensors.torch.save_file(turned, ran / "other.safetensors", {"made": "elsewhere"})
    second = _take_in(ran, ran / "other.safetensors", "--label", "twice")
    assert second.stdout == first.stdout


def test_the_model_may_be_a_file(ran: Path) -> None:
    (ran / "model.yaml").write_text("use: small-network\ntraining: {passes: 32}\n")
    words = ("--model", ran / "model.yaml", "--set", "networks=2", "--label", "by-file")
    options = ("--dataset", "dataset/tiny@1", *words)
    result = _geobench(ran, "catalog", "import-forecaster", ran / "own.safetensors", *options)
    assert result.exit_code == 0, result.output
    recipe = Catalog(ran / "catalog").get(result.stdout.strip()).record.recipe["model"]
    assert (recipe["use"], recipe["networks"], recipe["training"]["passes"]) == (
        "small-network", 2, 32
    )  # fmt: skip


def test_a_board_marks_them_and_knows_no_cost_of_their_training(ran: Path) -> None:
    made = _take_in(ran, ran / "own.safetensors", "--label", "shown", "--set", "networks=3")
    assert made.exit_code == 0, made.output
    drawn = _geobench(ran, "forecast", made.stdout.strip(), "--members", 4)
    assert drawn.exit_code == 0, drawn.output
    page = ran / "page.html"
    words = (ran / "study.yaml", "--with", drawn.stdout.strip())
    board = _geobench(ran, "leaderboard", *words)
    assert board.exit_code == 0, board.output
    (line,) = [each for each in board.stdout.splitlines() if " shown " in each]
    assert "imported" in line
    board = _geobench(ran, "leaderboard", *words, "--html", page)
    assert board.exit_code == 0, board.output
    text = page.read_text("utf-8")
    costs = text[text.index("Cost of each entry") :]
    row = costs[costs.index(">shown<") :]
    unknown = r'<td data-sort="">–</td>'  # sample-passes, and seconds
    assert re.search(rf"\d</td>{unknown}{unknown}", row[: row.index("</tr>")])
    built = _geobench(ran, "leaderboard", "build", ran / "study.yaml", "--out", ran / "site")
    assert built.exit_code == 0, built.output
    assert any("shown" in each.read_text("utf-8") for each in (ran / "site").rglob("*.html"))


def _edited(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path, Path], None]:
    def make(ran: Path, path: Path) -> None:
        weights = _weights(ran)
        change(weights)
        safetensors.torch.save_file(weights, path)

    return make


REFUSED: dict[str, tuple[str, Callable[[Path, Path], object], tuple[str, ...], str]] = {
    "nothing": ("a.safetensors", lambda ran, path: None, (), "there is no file"),
    "a folder": ("a.safetensors", lambda ran, path: path.mkdir(), (), "is no regular file"),
    "a pipe": ("a.safetensors", lambda ran, path: os.mkfifo(path), (), "is no regular file"),
    "a pickle": (
        "a.pt",
        lambda ran, path: torch.save(_weights(ran), path),
        (),
        "only safetensors files are read, because other formats may run code.*torch.load",
    ),
    "a part of a file": (
        "a.safetensors",
        lambda ran, path: path.write_bytes((ran / "own.safetensors").read_bytes()[:-4]),
        (),
        "is no whole safetensors file",
    ),
    "a header without end": (
        "a.safetensors",
        lambda ran, path: path.write_bytes(b"\xff" * 64),
        (),
        "is no whole safetensors file",
    ),
    "no tensors": ("a.safetensors", _edited(dict.clear), (), "holds no tensors"),
    "one too few": (
        "a.safetensors",
        _edited(lambda w: w.pop("spread")),
        (),
        "it cannot be restored: .*Missing key.*spread.*The file holds 'conv.bias', 'conv.weight'",
    ),
    "one too many": (
        "a.safetensors",
        _edited(lambda w: w.update(more=torch.zeros(1))),
        (),
        'it cannot be restored: .*Unexpected key.*"more"',
    ),
    "another shape": (
        "a.safetensors",
        _edited(lambda w: w.update(spread=torch.zeros(2, 1))),
        (),
        "it cannot be restored: .*size mismatch for spread",
    ),
    "another dtype": (
        "a.safetensors",
        _edited(lambda w: w.update(spread=w["spread"].double())),
        (),
        "the weight 'spread' has the dtype torch.float64, and the model's has torch.float32",
    ),
    "NaN": (
        "a.safetensors",
        _edited(lambda w: w["conv.weight"][0, 0, 1].fill_(torch.nan)),
        (),
        r"the weight 'conv.weight' holds nan at \[0, 0, 1\], and 1 of its 3 numbers",
    ),
    "members that run away": (
        "a.safetensors",
        _edited(lambda w: w["conv.bias"].fill_(1e9)),
        (),
        "4 of 4 members fail: 4 are beyond 1000 standard deviations",
    ),
    "another model": (
        "a.safetensors",
        _edited(lambda w: None),
        ("--model", "persistence"),
        "--model is given twice",
    ),
    "a field that is none": (
        "a.safetensors",
        _edited(lambda w: None),
        ("--set", "network=2"),
        "there is no key 'network'. Did you mean 'networks'?",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_do_not_fit_are_refused_in_a_line(
    ran: Path, tmp_path: Path, case: str
) -> None:
    name, make, words, told = REFUSED[case]
    before = set(Catalog(ran / "catalog").query("")["reference"])
    make(ran, tmp_path / name)
    result = _take_in(ran, tmp_path / name, "--label", "bad", *words)
    assert result.exit_code == 2, result.output
    assert re.search(told, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert set(Catalog(ran / "catalog").query("")["reference"]) == before


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("oracle", "is given the law: it has no weights to import"),
        ("fgn", "the model fgn: it cannot be restored: .*The file holds 'conv.bias'"),
        ("climatology", "cannot be restored|does not use"),
    ],
)
def test_weights_of_another_model_are_refused_in_a_line(ran: Path, model: str, told: str) -> None:
    words = ("--dataset", "dataset/tiny@1", "--model", model)
    result = _geobench(ran, "catalog", "import-forecaster", ran / "own.safetensors", *words)
    assert result.exit_code == 2, result.output
    assert re.search(told, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_without_end_is_not_read(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_weights, "LARGEST", 100)
    result = _take_in(ran, ran / "own.safetensors")
    assert result.exit_code == 2
    assert "bytes, and 100 are the most that is read" in result.stderr


def test_imported_weights_draw_their_forecast_again_and_are_not_trained_again(ran: Path) -> None:
    made = _take_in(ran, ran / "own.safetensors", "--label", "again", "--set", "networks=4")
    drawn = _geobench(ran, "forecast", made.stdout.strip(), "--members", 4)
    assert drawn.exit_code == 0, drawn.output
    forecaster = _geobench(ran, "reproduce", made.stdout.strip())
    assert forecaster.exit_code == 2
    assert "was imported: how it was made is not known here" in forecaster.stderr
    forecast = _geobench(ran, "reproduce", drawn.stdout.strip())
    assert forecast.exit_code == 0, forecast.output
