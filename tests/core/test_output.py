"""What is printed: one document for programs, and nothing a terminal or a spreadsheet obeys."""

import csv
import io
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from geobench import GeobenchError
from geobench.cli import settings
from geobench.lab import watching
from geobench_catalog import Catalog
from geobench_catalog.commands import tables
from geobench_catalog.plain_text import csv_cell, plain

CHATTY = """
import os, subprocess, sys
from typing import ClassVar
from geobench import EnsembleModel, Forecaster, Scorer, hookimpl
print("imported")

class Chatty(EnsembleModel):
    '''It prints wherever it can, and may end the program.'''
    name = "chatty"
    deterministic: ClassVar[bool] = True
    ends: str = ""
    def fit(self, training, run):
        print("fitting")
        os.write(1, b"from below\\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        if self.ends == "fit": raise SystemExit(0)
        return _Forecaster()
    def restore(self, weights, task): return _Forecaster()

class _Forecaster(Forecaster):
    deterministic = True
    def weights(self): return {}
    def step(self, history, noise):
        print("stepping")
        return history[:, -1]

class Ending(Scorer):
    '''It ends the program when a board is made.'''
    name = "ending"
    def statistics(self, forecast, truth, context):
        return context.average(abs(forecast.mean("member") - truth)).to_dataset(name="a")
    def metric(self, means):
        if means["a"].dims[0] != "lead_time": sys.exit(0)
        return means

@hookimpl
def geobench_models(): return [Chatty]
@hookimpl
def geobench_scorers(): return [Ending]
"""
STUDY = """
experiments:
  small:
    use: lorenz95
    spin_up: 2
    train: {trajectories: 8, steps: 8}
    validation: {trajectories: 2, steps: 8}
    test: {trajectories: 8}
    leads: 2
    events: []
models: {climatology: climatology, chatty: {use: chatty, ends: ENDS}}
members: 3
scorers: [crps]
reference: {members: 4}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "chatty.py").write_text(CHATTY)
    (tmp_path / "study.yaml").write_text(STUDY.replace("ENDS", "''"))
    return tmp_path / "study.yaml"


@dataclass(frozen=True)
class Done:
    """A program that has ended, and all that it and its children have printed."""

    returncode: int | None
    stdout: str
    stderr: str


Program = Callable[..., Done]


def _run_as_program(folder: Path, words: list[str], env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    for handle, name in ((1, "stdout"), (2, "stderr")):
        with (folder / name).open("wb") as file:
            os.dup2(file.fileno(), handle)
    sys.argv[1:] = words
    runpy.run_module("geobench", run_name="__main__", alter_sys=True)


@pytest.fixture
def geobench(study: Path, forkserver: ForkServerContext) -> Program:
    """`python -m geobench` with the plugin, in a process that has imported everything."""
    folder = study.parent

    def run(*words: object, **env: str) -> Done:
        start = ["--catalog", folder / "catalog", "--plugin", folder / "chatty.py"]
        line = list(map(str, [*start, *words]))
        process = forkserver.Process(
            target=_run_as_program, args=(folder, line, dict(os.environ | env))
        )
        process.start()
        process.join()
        texts = ((folder / name).read_text("utf-8") for name in ("stdout", "stderr"))
        return Done(process.exitcode, *texts)

    return run


def test_whatever_plugins_print_json_is_one_document(study: Path, geobench: Program) -> None:
    done = geobench("run", study, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    for text in ("imported", "fitting", "from below", "from a child", "stepping"):
        assert text in done.stderr
    board = geobench("leaderboard", study, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(board.stdout)))
    assert {row["model"] for row in rows} == {"climatology", "chatty"}


def test_an_error_is_a_document_too(geobench: Program) -> None:
    done = geobench("catalog", "show", "forecast/none@1", "--json")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert set(told) == {"error"}
    assert f"geobench: {told['error']}" in done.stderr
    usage = geobench("run", "--json", "--bogus")
    assert usage.returncode == 2
    assert "No such option '--bogus'" in json.loads(usage.stdout)["error"]


def test_a_plugin_that_ends_the_program_ends_no_run_with_success(
    study: Path, geobench: Program
) -> None:
    study.write_text(STUDY.replace("ENDS", "fit"))
    done = geobench("run", study)
    assert done.returncode == 2
    assert "the model chatty failed with SystemExit" in done.stderr
    assert "climatology" in done.stdout  # the others go on
    study.write_text(STUDY.replace("ENDS", "''").replace("[crps]", "[crps, ending]"))
    done = geobench("run", study)
    assert done.returncode == 2
    assert re.search(r"the scorer ending|line \d+ of .*chatty.py", done.stderr), done.stderr


def test_force_color_colours_and_does_not_animate(study: Path, geobench: Program) -> None:
    done = geobench("run", study, FORCE_COLOR="1", COLUMNS="40")
    assert done.returncode == 0, done.stderr
    assert "\x1b[1m" in done.stdout
    assert "\x1b[2K" not in done.stderr + done.stdout  # a line is cleared to draw it again
    assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Lorenz95, σ = 1 — naïve 日本", "Lorenz95, σ = 1 — naïve 日本"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\x1b]0;title\x07b", "a\ufffd]0;title\ufffdb"),
        ("a\x00b\x9bc\r", "a\ufffdb\ufffdc\ufffd"),
        ("a\u202eb", "a\ufffdb"),
    ],
)
def test_nothing_in_a_text_is_obeyed_by_a_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "' =1"),
        ("-2.5e-3", "-2.5e-3"),
        ("+4", "+4"),
        (-3, -3),
        ("fgn", "fgn"),
        ("a\nb", "a b"),
    ],
)
def test_nothing_in_a_cell_is_a_formula(value: object, written: object) -> None:
    assert csv_cell(value) == written


def test_tables_of_a_strangers_names(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["=cmd()", "a\x1b[2Jb\nc"]]
    tables.show(["name", "title"], rows)
    assert capsys.readouterr().out.splitlines()[1].split() == ["=cmd()", "a\ufffd[2Jb", "c"]
    tables.show(["name", "title"], rows, form="csv")
    assert capsys.readouterr().out == "name,title\n'=cmd(),a\ufffd[2Jb c\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("many") / "catalog", create=True)
    for number in range(300):
        with catalog.draft(
            "dataset", f"a-rather-long-name-{number}", recipe={"n": number}
        ) as draft:
            draft.publish({})
    return catalog


@pytest.mark.parametrize("command", ["catalog list", "catalog list --json", "plugins list"])
def test_a_reader_that_leaves_ends_it_quietly(many: Catalog, command: str) -> None:
    line = f"{sys.executable} -m geobench --catalog {many.url} {command} | head -c 10"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_the_command_alone_shows_its_help(study: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geobench"], capture_output=True, text=True, check=False
    )
    assert "Usage:" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _watched(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO, title: str) -> str:
    """What a step prints that tells twice how far it is."""
    monkeypatch.setattr(sys, "stderr", stderr)
    with settings.Settings().watch(title) as report:
        report(1, 4, "loss 3")
        report(3, 4, "loss [bold]2")
    return stderr.getvalue()


def test_a_terminal_shows_how_far_a_step_is_and_keeps_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    shown = _watched(monkeypatch, _Terminal(), "train [fgn]")
    bar, _, line = shown.rpartition("\x1b[2K")  # a line is cleared when the bar goes
    bar = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", bar)
    assert re.search(r"train \[fgn\] .* 75% .* loss \[bold\]2", bar)
    assert line == "train [fgn]  0 s  loss [bold]2\n"


@pytest.mark.parametrize(
    ("title", "least", "line"),
    [
        ("train fgn", 10.0, "train fgn  0 s  loss [bold]2\n"),
        ("score crps", 10.0, ""),  # these are many and quick
        ("score crps", -1.0, "score crps  0 s  loss [bold]2\n"),
    ],
)
def test_a_file_gets_one_line_of_each_step(
    monkeypatch: pytest.MonkeyPatch, title: str, least: float, line: str
) -> None:
    monkeypatch.setattr(watching, "_WORTH_A_LINE", least)
    assert _watched(monkeypatch, io.StringIO(), title) == line


def test_debug_tells_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise GeobenchError("it is wrong")
    except GeobenchError as error:
        for debug in (True, False):
            settings.Settings(debug=debug).tell(error)
            told = capsys.readouterr().err
            assert told.endswith("geobench: it is wrong\n")
            assert ("in test_debug_tells_where_an_error_came_from" in told) == debug
