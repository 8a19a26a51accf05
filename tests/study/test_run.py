"""A study from an empty folder to a leaderboard: whole, resumed, killed, and with a bad model."""

import io
import json
import os
import signal
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import yaml
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
    *lines, told = plan.stdout.splitlines()
    # Of the reference two scores, of the others three: CRPS also against the true distribution.
    assert len(lines) == 1 + 5 * (1 + 1) + 2 + 4 * 3
    assert told == (
        "0 of 25 steps are done; to do: 1 dataset, 5 forecasters, 5 forecasts, 14 scores"
    )
    assert all(line.startswith("to do") for line in lines)

    first = _geobench(catalog, "run", study)
    assert first.exit_code == 0, first.output
    for label in ("oracle*", "climatology", "fgn", "fm"):
        assert label in first.stdout
    made = _digests(catalog)
    assert len(made) == len(lines)

    plan = _geobench(catalog, "run", study, "--dry-run")
    *lines, told = plan.stdout.splitlines()
    assert all(line.startswith("done ") for line in lines)
    assert told == "25 of 25 steps are done"
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
    import geobench_plugins.networks.ensemble_scores as scores
    dies(scores, "crps", 7)
elif where == "forecast":
    from geobench_plugins.models.generative import Denoising
    dies(Denoising, "step", 10)
elif where == "score":
    from geobench_plugins.scorers.spread_skill import SpreadSkill
    dies(SpreadSkill, "statistics", 1)
elif where == "write":
    import geobench_catalog.zarr_data as zarr_data
    dies(zarr_data, "write", 2)
elif where == "publish":
    from geobench_catalog.reference_files import Names
    dies(Names, "give", 1)
"""


def _process(words: list[str], during: str) -> None:
    """What a process does that runs the command line."""
    os.environ["KILL_DURING"] = during
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    main(words)


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_leaderboard(
    tmp_path: Path, study: Path, ran: Path, forkserver: ForkServerContext
) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text(KILLER)
    catalog = tmp_path / "killed"

    def run(*options: str, during: str = "") -> int | None:
        words = ["-q", "--catalog", str(catalog), *options, "run", str(study)]
        process = forkserver.Process(target=_process, args=(words, during))
        process.start()
        process.join(3000)
        return process.exitcode

    entries: list[int] = []
    for during in ("simulate", "write", "publish", "train", "forecast", "score"):
        assert run("--plugin", str(killer), during=during) == -signal.SIGKILL, during
        entries.append(len(list(Catalog(catalog).entries())))
    assert entries == sorted(entries)
    assert entries[0] == entries[1] == entries[2] == 0
    assert 0 < entries[3] < entries[4] < 25
    assert run() == 0

    assert _digests(catalog) == _digests(ran)
    assert _board(catalog, study) == _board(ran, study)


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
        if self.how == "runaway":
            bad = (noise.init == 3) & (noise.member == 2)
            return torch.where(bad[:, None, None] & (noise.lead > 0), 1e6 * state, state)
        if self.how == "shape":
            return state[..., :-1]
        raise KeyError("no such thing")

@hookimpl
def geobench_models():
    return [Failing]
"""


def _with_models(study: Path, models: dict[str, Any]) -> None:
    """Let the study have these models, and no others."""
    fields = yaml.safe_load(study.read_text()) | {"models": models}
    study.write_text(yaml.safe_dump(fields, sort_keys=False))


def test_a_model_that_fails_is_told_and_the_others_go_on(tmp_path: Path, study: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(NAN)
    expected = {
        "runaway": "1 of 5 members at init 3 failed; stopped there. Of this block",
        "nan": "1 of 5 members at init 3 failed; stopped there. Of this block, 1 ",
        "shape": "_Failing.step returned a state of shape (64, 1, 39); expected",
        "raise": "KeyError: 'no such thing'. Run again with --debug",
    }
    bad = {f"bad-{how}": {"use": "failing", "how": how} for how in expected}
    _with_models(study, bad | {"climatology": "climatology"})
    result = _geobench(tmp_path / "catalog", "--plugin", plugin, "run", study)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == len(expected)
    for line, (how, told) in zip(lines, expected.items(), strict=True):
        how_told = " failed with " if how == "raise" else ": "
        assert line.startswith(f"geobench: tiny: the model bad-{how}{how_told}{told}")
    assert "climatology" in result.stdout
    made = _digests(tmp_path / "catalog")
    assert not any(name.startswith("forecast/tiny.bad") for name in made)
    assert "score/tiny.climatology.s0.law-crps@1" in made


BAD_FIT = """
import torch
from geobench import EnsembleModel, Forecaster, hookimpl

class Model(EnsembleModel):
    '''A model with a mistake.'''
    name = "mistaken"
    how: str
    def fit(self, training, run):
        if self.how == "nothing": return None
        if self.how == "logs": run.log.update(loss=[1.0, 2.0, 3.0], validation=[1.0])
        if self.how == "global": torch.randn(3)
        return _Forecaster(self.how)
    def restore(self, weights, task):
        return _Forecaster("forgets" if self.how == "forgets" else self.how)

class _Forecaster(Forecaster):
    calls = 0
    def __init__(self, how):
        self.how, self.shared = how, torch.ones(4)
    def weights(self):
        if self.how == "float": return {"w": 1.0}
        if self.how == "key": return {3: torch.ones(2)}
        if self.how == "forgets":
            _Forecaster.calls += 1
            return {"w": torch.full((2,), float(_Forecaster.calls))}
        return {"a": self.shared, "b": self.shared[:2]}
    def step(self, history, noise):
        state = history[:, -1]
        return state + torch.randn_like(state) if self.how == "randn" else state

@hookimpl
def geobench_models():
    return [Model]
"""


def test_mistakes_in_a_model_are_told(tmp_path: Path, study: Path) -> None:
    plugin = tmp_path / "mistaken.py"
    plugin.write_text(BAD_FIT)
    expected = {
        "nothing": "fit returned NoneType; return a Forecaster.",
        "float": "weights() holds 'w': float; map names to tensors.",
        "key": "weights() holds 3: Tensor; map names to tensors.",
        "forgets": "the weight 'w' is another one after restore(weights).",
        "randn": "its step draws from a global generator",
    }

    def run(*ways: str) -> Result:
        bad = {f"bad-{how}": {"use": "mistaken", "how": how} for how in ways}
        _with_models(study, {"climatology": "climatology", **bad})
        return _geobench(tmp_path / "catalog", "--plugin", plugin, "run", study)

    result = run(*expected)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()  # one for each model
    assert len(lines) == len(expected)
    for line, (how, told) in zip(lines, expected.items(), strict=True):
        assert f"geobench: tiny: the model bad-{how}: {told}" in line
    # Global generators in fit, logs of several lengths and shared weights are none. Their members
    # are copies of one another, and the board says so.
    result = run("global", "logs", "shared")
    assert result.exit_code == 3, result.output
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "scorers: [spread-skill, crps]",
            "the first scorer ranks, and spread-skill is ideal at one",
        ),
        ("scorers: [crps, rmse, crps]", "a scorer is named twice"),
        ("seeds: [1, 2, 1]", "seeds = [1, 2, 1]: one is there twice"),
        ("seeds: [-1]", "seeds.0 = -1: Input should be greater than or equal to 0"),
        ("reference: {seed: 0}", "the reference has the seed 0 of a model"),
        ("reference: {use: climatology}", "the reference is climatology, which does not know"),
        ("members: 1", "members = 1: Input should be greater than 1"),
        ("models: {Fgn: fgn}", "'Fgn' cannot label a model"),
        ("models: {reference: fgn}", "a model cannot be labelled 'reference'"),
        (
            "models: {fgn: {use: fgn, farmes: 3}}",
            "model fgn: there is no key 'farmes'. Did you mean",
        ),
        (
            "models: {fgn: {use: fgn, training: {rows: 3}}}",
            "ensembles of 2 members need a multiple of 2",
        ),
        ("experiments: {}", "experiments = {}: Dictionary should have at least 1 item"),
        ("expriments: {a: 1}", "there is no key 'expriments'. Did you mean 'experiments'?"),
    ],
)
def test_a_bad_study_is_told_before_anything_runs(
    tmp_path: Path, study: Path, line: str, told: str
) -> None:
    study.write_text(yaml.safe_dump({**yaml.safe_load(study.read_text()), **yaml.safe_load(line)}))
    result = _geobench(tmp_path / "catalog", "run", study)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "catalog").exists()


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("reference", "file", "command"),
    [
        ("dataset/tiny@1", "data.zarr/train/q/c/0/0/0", "run"),
        pytest.param("dataset/tiny@1", "data.zarr/test/q/c/0/0/0", "run", marks=pytest.mark.slow),
        ("forecaster/tiny.fgn.s0@1", "weights.safetensors", "run"),
        ("forecast/tiny.fgn.s0@1", "data.zarr/q/c/0/0/0/0", "score"),
        ("score/tiny.fgn.s0.crps@1", "data.zarr/crps/c/0/0/0", "leaderboard"),
    ],
)
def test_a_flipped_bit_is_told_by_its_entry(
    ran: Path, study: Path, reference: str, file: str, command: str
) -> None:
    catalog = ran
    damaged = Catalog(catalog).get(reference).path / file
    _flip(damaged)
    # Something new to do, on the damaged entry.
    words: tuple[object, ...] = (command, study)
    if command == "run" and "fgn" in reference:
        study.write_text(study.read_text().replace("members: 5", "members: 6"))
    elif command == "run":
        study.write_text(study.read_text().replace("width: 8", "width: 4"))
    elif command == "score":
        words = ("score", "forecast/tiny.fgn.s0@1", "--scorer", "rmse")
    result = _geobench(catalog, *words)
    assert result.exit_code == 2, result.output
    told = [line for line in result.stderr.splitlines() if reference in line]
    assert len(told) == len(result.stderr.splitlines()) >= 1
    assert all("its data cannot be read" in line and "mend the plugin" not in line for line in told)


TWO_VARIABLES = """
from datetime import timedelta
from geobench import Dimension, Simulator, StateSpec, Variable, hookimpl

class Plane(Simulator):
    '''Two decaying variables on a 2-D grid with an island, in no alphabetical order.'''
    name = "plane"
    @property
    def spec(self):
        return StateSpec(
            variables=(Variable(name="u", units="m s-1"), Variable(name="h", units="m")),
            dims=(Dimension(name="y", size=4), Dimension(name="x", size=6)),
            land=(0, 7),
        )
    @property
    def output_step(self):
        return timedelta(hours=6)
    def initial(self, noise):
        return noise.use("initial").normal(2, 4, 6)
    def advance(self, state, steps, noise):
        for step in range(steps):
            state = 0.7 * state + 0.7 * noise.at(noise.lead + step).normal(2, 4, 6)
        return state

@hookimpl
def geobench_simulators():
    return [Plane]
"""


@pytest.mark.slow
def test_two_variables_on_a_plane_with_two_seeds_and_two_experiments(tmp_path: Path) -> None:
    plugin, study, catalog = tmp_path / "plane.py", tmp_path / "two.yaml", tmp_path / "catalog"
    plugin.write_text(TWO_VARIABLES)
    common = (
        "{simulator: {use: plane}, spin_up: 5, train: {trajectories: 20, steps: 20},"
        " validation: {trajectories: 2, steps: 5}, test: {trajectories: 20}, leads: 2, seed: %d}"
    )
    study.write_text(
        f"experiments:\n  one: {common % 1}\n  two: {common % 2}\n"
        "models: {oracle: oracle, climatology: climatology, fgn:\n"
        "    {use: fgn, backbone: {kind: resnet}}}\n"
        "seeds: [0, 1]\nmembers: 4\nscorers: [crps, brier]\nreference: {members: 8}\n"
    )
    result = _geobench(catalog, "--plugin", plugin, "run", study)
    # This network needs one dim: that is told for each seed and experiment, and the rest runs.
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 4
    assert all(
        "resnet: it is for 1 grid dim, and this grid has" in x for x in result.stderr.splitlines()
    )
    words = ("--plugin", plugin, "leaderboard", study, "--json")
    boards = json.loads(_geobench(catalog, *words).stdout)
    for board in boards:
        names = [column["name"] for column in board["columns"]]
        assert names[:2] == ["CRPS u", "CRPS h"]
        assert {row["label"] for row in board["rows"][:2]} == {"oracle"}
        assert [row["seed"] for row in board["rows"]].count(1) == 2
        assert "CRPS u, CRPS h, each divided by that of climatology" in board["ranked_by"]
    page = tmp_path / "page.html"
    assert _geobench(catalog, *words[:-1], "--html", page).exit_code == 2  # fgn is missing
    assert "oracle (seed 1)" in page.read_text("utf-8")
    # The island does not count: whatever stands there, the scores are the same.
    from geobench.nodes.engine import Engine
    from geobench.nodes.session import Session
    from geobench.registry import Registry

    session = Session(Engine(Catalog(catalog), Registry([plugin])))
    context = session.engine.context(session.engine.dataset(Catalog(catalog).get("dataset/one@1")))
    assert int(context.sea.sum()) == 22
    field = context.sea.astype(float)
    assert float(context.average(field.where(context.sea, 1e9))) == 1.0


@pytest.mark.slow
def test_failures_can_be_kept_and_rank_last(tmp_path: Path, study: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(NAN)
    study.write_text("keep_failures: true\n" + study.read_text())
    bad = {"bad": {"use": "failing"}, "far": {"use": "failing", "how": "runaway"}}
    _with_models(study, bad | {name: name for name in ("oracle", "persistence", "climatology")})
    catalog = tmp_path / "catalog"
    result = _geobench(catalog, "--plugin", plugin, "run", study)
    assert result.exit_code == 3, result.output
    for label in bad:
        assert f"{label} – 1 member failed" in " ".join(result.stdout.split())
    board = json.loads(
        _geobench(catalog, "--plugin", plugin, "leaderboard", study, "--json").stdout
    )[0]
    assert {row["label"] for row in board["rows"][-2:]} == {"bad", "far"}
    assert not any(row["failed"] for row in board["rows"][:-2])
    for last in board["rows"][-2:]:
        assert last["failed"] == 1
        assert (last["excess"]["value"] is None) == (last["label"] == "bad")  # it has no numbers
        assert last["rank_range"] == [3, 4]  # the last two places; the oracle has no rank
    assert {last["rank"] for last in board["rows"][-2:]} == {3, 4}
    summaries = [each.record.summary for each in Catalog(catalog).entries("forecast")]
    told = [each["failures"] for each in summaries if each["failed_members"]]
    assert told == [{"not finite": 1}, {"beyond 1000 standard deviations": 1}]


CAUCHY = """
from datetime import timedelta
from geobench import Dimension, Simulator, StateSpec, Variable, hookimpl

class Cauchy(Simulator):
    '''Independent ratios of two normal numbers: the law has no variance.'''
    name = "cauchy"
    @property
    def spec(self):
        return StateSpec(variables=(Variable(name="q"),), dims=(Dimension(name="x", size=8),))
    @property
    def output_step(self):
        return timedelta(days=1)
    def initial(self, noise):
        return self.advance(noise.use("initial").normal(1, 8), 1, noise)
    def advance(self, state, steps, noise):
        kicks = noise.use("kicks").normal(2, 1, 8, dtype=state.dtype)
        return kicks[:, 0] / kicks[:, 1]

@hookimpl
def geobench_simulators():
    return [Cauchy]
"""


def test_the_law_itself_is_never_failed_for_being_far_away(tmp_path: Path) -> None:
    from geobench.forecasts.failures import Limits

    plugin, study, catalog = (tmp_path / name for name in ("cauchy.py", "study.yaml", "catalog"))
    plugin.write_text(CAUCHY)
    study.write_text("""
experiments:
  wild: {simulator: {use: cauchy}, spin_up: 1, train: {trajectories: 4, steps: 10},
         validation: {trajectories: 2, steps: 8}, test: {trajectories: 20}, leads: 3,
         failed_beyond: 31}
models: {oracle: oracle}
members: 16
scorers: [crps]
reference: {members: 32}
""")
    result = _geobench(catalog, "--plugin", plugin, "run", study)
    assert result.exit_code == 0, result.output
    entry = Catalog(catalog).get("forecast/wild.reference.s1000000@1")
    limits = Limits.of(Catalog(catalog).get("dataset/wild@1"))
    assert limits.beyond == 31
    assert limits.failed(entry.load()).counts()  # any other model would have failed
    assert entry.record.summary["failed_members"] == 0


def test_the_limit_is_no_part_of_older_identities() -> None:
    from geobench.nodes.dataset import experiment_recipe
    from geobench.registry import Registry

    experiment = Registry().experiment({"use": "lorenz95"}, "lorenz95")
    recipe = experiment_recipe(experiment)
    assert "failed_beyond" not in recipe
    other = experiment.model_copy(update={"failed_beyond": 500.0})
    assert experiment_recipe(other) == {**recipe, "failed_beyond": 500.0}


def test_a_leaderboard_before_its_study_is_told(tmp_path: Path, study: Path) -> None:
    catalog = tmp_path / "catalog"
    Catalog(catalog, create=True)
    result = _geobench(catalog, "leaderboard", study)
    assert result.exit_code == 2
    assert "Run the study first: geobench run" in result.stderr


def test_a_board_is_printed_in_any_encoding(
    study: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoding in ("ascii", "cp1252", "latin-1", "gbk", "utf-8"):
        written = io.BytesIO()
        with monkeypatch.context() as own:
            own.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
            words = ["-q", "--catalog", str(ran), "leaderboard", str(study)]
            main(words, standalone_mode=False)
            sys.stdout.flush()
            # Where it seems to be ASCII, click takes the settings for wrong, and writes UTF-8.
            told = written.getvalue().decode("utf-8" if encoding == "ascii" else encoding)
            assert "climatology" in told
