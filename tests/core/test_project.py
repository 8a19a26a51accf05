"""geobench.toml: settings of a folder, found from below it; options and the environment win."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geobench import GeobenchError
from geobench.cli import main
from geobench.registry import project
from geobench.registry.project import NAME, Project, find_project, read_project

WHOLE = """
catalog = "results"
device = "cuda:1"
plugins = ["mine.py", "sub/other.py"]
scheduler = "tcp://10.0.0.1:8786"
memory = "2GiB"
processes = 3
"""
GREET = """
import click
from geobench import hookimpl

@click.command()
def greet():
    '''Greet.'''
    click.echo("hello")

@hookimpl
def geobench_commands():
    return [greet]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose folder `sub` is the working folder."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "mine.py").write_text(GREET)
    (tmp_path / "sub/other.py").write_text("")
    (tmp_path / NAME).write_text(WHOLE)
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.delenv("GEOBENCH_CATALOG", raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def _back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # undone before a fixture looks at the working folder


def _geobench(*words: str, **how: Any) -> Result:
    return CliRunner().invoke(main, words, **how)


def _settings(*words: str, **how: Any) -> dict[str, str]:
    """What doctor says of each setting."""
    result = _geobench("doctor", "--json", *words, **how)
    told = [check["found"] for check in json.loads(result.stdout) if check["check"] == "setting"]
    return dict(line.split(": ", 1) for line in told)


def test_the_nearest_file_upwards_counts_and_paths_are_beside_it(folder: Path) -> None:
    assert read_project() == Project(
        folder / NAME,
        str(folder / "results"),
        "cuda:1",
        (folder / "mine.py", folder / "sub/other.py"),
        "tcp://10.0.0.1:8786",
        2 * 2**30,
        3,
    )
    (folder / "sub" / NAME).write_text('catalog = "s3://bucket/a"')
    assert read_project().settings() == {"catalog": "s3://bucket/a"}
    assert find_project(folder) == folder / NAME
    (folder / "sub" / NAME).write_text("")  # an empty one ends the search
    assert read_project() == Project(folder / "sub" / NAME)


def test_a_folder_without_a_file_has_no_settings(tmp_path: Path) -> None:
    assert read_project(tmp_path).settings() == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('catlog = "a"', "there is no key 'catlog'. Did you mean 'catalog'?"),
        ("zzz = 1", "there is no key 'zzz'. Keys: catalog, device, plugins, scheduler, memory"),
        ("catalog = 3", "catalog = 3: write text in quotation marks"),
        ('device = ""', "device = '': write text"),
        ('plugins = "mine.py"', 'write a list of files, such as ["a.py"]'),
        ('plugins = ["mime.py"]', "mine.py?"),
        ('plugins = ["sub"]', "there is no file"),
        ('memory = "lots"', "memory: 'lots' is no size; write 512MB or 2GiB"),
        ("memory = 5", "memory = 5: write text"),
        ("processes = 0", "processes = 0: write a whole number from 1"),
        ("processes = true", "processes = True: write a whole number"),
        ("catalog = x", "is not TOML: Invalid value (at line 1, column 11)"),
        ("a = '\xff'", "is not TOML"),
    ],
)
def test_mistakes_name_the_file_and_stop_every_command(folder: Path, text: str, told: str) -> None:
    (folder / NAME).write_text(text, "latin-1")
    result = _geobench("catalog", "list")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"geobench: {folder / NAME}")
    assert told in line


def test_options_and_the_environment_win_and_doctor_says_who_did(folder: Path) -> None:
    found = _settings("--device", "cpu", env={"GEOBENCH_CATALOG": "elsewhere"})
    assert found == {
        "plugins": f"{folder / 'mine.py'}, {folder / 'sub/other.py'} (geobench.toml)",
        "catalog": "elsewhere (environment variable GEOBENCH_CATALOG)",
        "device": "cpu (--device)",
        "memory": "2 GiB (geobench.toml)",
        "scheduler": "tcp://10.0.0.1:8786 (geobench.toml)",
        "processes": "3 (geobench.toml)",
    }
    (folder / NAME).unlink()
    found = _settings("--plugin", "other.py")
    assert found["plugins"] == "other.py (--plugin)"
    assert found["catalog"] == "geobench-catalog (default)"


def test_plugins_of_the_project_and_of_the_command_line_are_both_there(folder: Path) -> None:
    assert _geobench("greet").stdout == "hello\n"
    (folder / "sub/third.py").write_text(GREET.replace("greet", "wave"))
    words = ("--plugin", "third.py", "--plugin", "../mine.py")  # which the project names as well
    assert "(geobench.toml and --plugin)" in _settings(*words)["plugins"]
    shown = _geobench(*words, "--help").stdout
    assert ("  greet" in shown, "  wave" in shown, "set aside" in shown) == (True, True, False)


def _strange_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(project.os, "fstat", lambda _: os.stat_result((0, 0, 0, 0, 777, *[0] * 5)))


def _strange_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that somebody made to a file of the user."""
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(Path, "lstat", lambda _: os.stat_result((0, 0, 0, 0, 777, *[0] * 5)))
    monkeypatch.setattr(
        project.os, "fstat", lambda _: os.stat_result((0, 0, 0, 0, 12345, *[0] * 5))
    )


@pytest.mark.parametrize("strange", [_strange_owner, _strange_link])
@pytest.mark.parametrize("text", ['plugins = ["mine.py"]', 'scheduler = "tcp://a:1"'])
def test_the_file_of_another_user_runs_no_code(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    strange: Callable[[pytest.MonkeyPatch], None],
    text: str,
) -> None:
    (folder / "mine.py").write_text("raise SystemExit('it ran')")
    (folder / NAME).write_text(text)
    with monkeypatch.context() as patch:
        strange(patch)
        with pytest.raises(GeobenchError, match="belongs to another user") as refusal:
            read_project()
        (folder / NAME).write_text('device = "cpu"')  # which is no code
        assert read_project().device == "cpu"
    assert "copy it into your own working folder" in str(refusal.value)


def test_the_file_of_root_is_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345)
        patch.setattr(Path, "lstat", lambda _: os.stat_result((0, 0, 0, 0, 0, *[0] * 5)))
        patch.setattr(project.os, "fstat", lambda _: os.stat_result((0, 0, 0, 0, 0, *[0] * 5)))
        assert read_project().plugins
