"""A study from an empty folder to a leaderboard: whole, resumed, killed, and with a bad model."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench_catalog import Catalog


def _geobench(catalog: Path, *arguments: object) -> Result:
    words = ["--quiet", "--catalog", str(catalog), *map(str, arguments)]
    return CliRunner().invoke(main, words, catch_exceptions=False)


def _digests(catalog: Path) -> dict[str, str]:
    return {str(e.reference): e.content_digest for e in Catalog(catalog).entries()}


def _board(catalog: Path, study: Path) -> Any:
    """The leaderboard without what the clock has measured."""
    result = _geobench(catalog, "leaderboard", study, "--json")
    assert result.exit_code == 0, result.output
    boards = json.loads(result.stdout)
    for board in boards:
        for row in board["rows"]:
            del row["training_seconds"], row["seconds_per_member"]
    return boards


def test_a_study_runs_once_and_is_not_done_again(tmp_path: Path, study: Path) -> None:
    catalog = tmp_path / "catalog"
    plan = _geobench(catalog, "run", study, "--dry-run")
    assert plan.exit_code == 0
    assert not catalog.exists()
    lines = plan.stdout.splitlines()
    assert len(lines) == 1 + 5 * (1 + 1 + 2)
    assert all(line.startswith("to do") for line in lines)

    first = _geobench(catalog, "run", study)
    assert first.exit_code == 0, first.output
    for label in ("oracle*", "climatology", "fgn", "fm"):
        assert label in first.stdout
    made = _digests(catalog)
    assert len(made) == len(lines)

    plan = _geobench(catalog, "run", study, "--dry-run")
    assert all(line.startswith("done ") for line in plan.stdout.splitlines())
    assert _geobench(catalog, "run", study).stdout == first.stdout
    assert _digests(catalog) == made

    # More members: the datasets and forecasters stay, the old members are the first of the new.
    study.write_text(study.read_text().replace("members: 5", "members: 7"))
    assert _geobench(catalog, "run", study).exit_code == 0
    assert made.items() < _digests(catalog).items()
    old, new = (
        Catalog(catalog).get(f"forecast/tiny.fm.s0@{version}").open()["q"].load()
        for version in (1, 2)
    )
    assert new.sizes["member"] == 7
    assert new.isel(member=slice(5)).equals(old)

    page = tmp_path / "out" / "page.html"
    assert _geobench(catalog, "leaderboard", study, "--html", page).exit_code == 0
    assert "A tiny &lt;study&gt; &amp; its test" in page.read_text("utf-8")


# A plugin file that kills its own process with SIGKILL in the middle of a step.
KILLER = """
import os, signal
import geobench.cli  # (a plugin is loaded after the command line)

def dies(owner, name, calls):
    original, count = getattr(owner, name), [0]
    def wrapped(*args, **kwargs):
        count[0] += 1
        if count[0] == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(owner, name, wrapped)

where = os.environ["KILL_DURING"]
if where == "simulate":
    from geobench_plugins.simulators.lorenz95 import Lorenz95
    dies(Lorenz95, "advance", 30)
elif where == "train":
    import geobench_plugins.models.fgn as fgn
    dies(fgn, "fair_crps_of_two", 7)
elif where == "forecast":
    from geobench_catalog import Draft
    from geobench_plugins.models.flow_matching import _FlowMatching
    dies(_FlowMatching, "step", 10)
elif where == "score":
    from geobench_plugins.scorers.spread_skill import SpreadSkill
    dies(SpreadSkill, "statistics", 1)
elif where == "write":
    import geobench_catalog.zarr_data as zarr_data
    dies(zarr_data, "write", 2)
elif where == "publish":
    from geobench_catalog import Catalog
    dies(Catalog, "name", 1)
"""


def test_a_killed_study_goes_on_to_the_same_leaderboard(tmp_path: Path, study: Path) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text(KILLER)
    catalog = tmp_path / "killed"

    def run(*options: str, during: str = "") -> int:
        words = [sys.executable, "-m", "geobench", "-q", "--catalog", str(catalog), *options]
        done = subprocess.run(
            [*words, "run", str(study)],
            env={**os.environ, "KILL_DURING": during},
            capture_output=True,
            timeout=300,
        )
        return done.returncode

    entries: list[int] = []
    for during in ("simulate", "write", "publish", "train", "forecast", "score"):
        assert run("--plugin", str(killer), during=during) == -signal.SIGKILL, during
        entries.append(len(list(Catalog(catalog).entries())))
    assert entries == sorted(entries)
    assert entries[0] == entries[1] == entries[2] == 0
    assert 0 < entries[3] < entries[4] < 21
    assert run() == 0

    undisturbed = tmp_path / "undisturbed"
    words = [sys.executable, "-m", "geobench", "-q", "--catalog", str(undisturbed)]
    subprocess.run([*words, "run", str(study)], check=True, capture_output=True)
    assert _digests(catalog) == _digests(undisturbed)
    assert _board(catalog, study) == _board(undisturbed, study)


NAN = """
import torch
from geobench import EnsembleModel, Forecaster, hookimpl

class Failing(EnsembleModel):
    '''A model of which some members fail.'''
    name = "failing"
    how: str = "nan"
    def fit(self, training, run): return _Failing(self.how)
    def restore(self, weights, task): return _Failing(self.how)

class _Failing(Forecaster):
    def __init__(self, how): self.how = how
    def weights(self): return {}
    def step(self, history, noise):
        state = history[:, -1] + noise.normal(1, 40)
        if self.how == "nan":
            bad = (noise.init == 3) & (noise.member == 2)
            return torch.where(bad[:, None, None] & (noise.lead > 1), torch.nan, state)
        if self.how == "shape":
            return state[..., :-1]
        raise KeyError("no such thing")

@hookimpl
def geobench_models():
    return [Failing]
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("nan", "the model bad: 1 of 5 members at init 3 are not finite; stopped there. Mend"),
        ("shape", "the model bad: _Failing.step returned a state of shape (64, 1, 39); expected"),
        ("raise", "the model bad failed with KeyError: 'no such thing'. Run again with --debug"),
    ],
)
def test_a_model_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, study: Path, how: str, told: str
) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(NAN)
    bad = f"models:\n  bad: {{use: failing, how: {how}}}\n"
    study.write_text(study.read_text().replace("models:\n", bad))
    result = _geobench(tmp_path / "catalog", "--plugin", plugin, "run", study)
    assert result.exit_code == 2
    assert f"geobench: tiny: {told}" in result.stderr
    assert "Traceback" not in result.stderr
    assert "fgn" in result.stdout
    made = _digests(tmp_path / "catalog")
    assert not any(name.startswith("forecast/tiny.bad") for name in made)


def test_failures_can_be_kept_and_rank_last(tmp_path: Path, study: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(NAN)
    bad = "models:\n  bad: {use: failing}\n  persistence: {use: persistence}\n"
    study.write_text("keep_failures: true\n" + study.read_text().replace("models:\n", bad))
    catalog = tmp_path / "catalog"
    result = _geobench(catalog, "--plugin", plugin, "run", study)
    assert result.exit_code == 0, result.output
    assert "bad – 1 members failed" in " ".join(result.stdout.split())
    board = json.loads(
        _geobench(catalog, "--plugin", plugin, "leaderboard", study, "--json").stdout
    )[0]
    last = board["rows"][-1]
    assert (last["label"], last["failed"], last["excess"]["value"]) == ("bad", 1, None)
    assert last["rank"] == len(board["rows"])


def test_a_leaderboard_before_its_study_is_told(tmp_path: Path, study: Path) -> None:
    catalog = tmp_path / "catalog"
    Catalog(catalog, create=True)
    result = _geobench(catalog, "leaderboard", study)
    assert result.exit_code == 2
    assert "Run the study first: geobench run" in result.stderr
