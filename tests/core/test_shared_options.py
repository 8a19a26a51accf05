"""Options of the program work wherever they stand; a command's own option of the name wins."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench_catalog.__main__ import main as alone
from geobench_catalog.commands import one_line, shared_options
from geobench_catalog.commands.shared_options import in_front

PLUGIN = """
import click
from geobench import hookimpl

@click.command()
@click.option("--device", default="none")
@click.option("-c", "--count", type=int)
@click.argument("words", nargs=-1)
@click.pass_context
def greet(ctx, device, count, words):
    '''Greet.'''
    root = ctx.find_root().params
    click.echo([device, count, list(words), root["device"], root["quiet"], root["catalog_url"]])

@hookimpl
def geobench_commands():
    return [greet]
"""


def _ordered(words: str) -> str:
    return " ".join(in_front(click.Context(main, info_name="geobench"), words.split()))


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ("run a.yaml --catalog x -q", "--catalog x -q run a.yaml"),
        ("run --catalog=x --nfe 1 a.yaml --debug", "--catalog=x --debug run --nfe 1 a.yaml"),
        ("--device cpu catalog list --catalog x", "--device cpu --catalog x catalog list"),
        ("catalog --catalog x show a@1 --json", "--catalog x catalog show a@1 --json"),
        ("train fgn -s --quiet", "train fgn -s --quiet"),  # a value of --set
        ("train fgn --set a=1 --quiet", "--quiet train fgn --set a=1"),
        ("leaderboard a.yaml --format csv -q", "-q leaderboard a.yaml --format csv"),
        ("leaderboard --format csv a.yaml -q", "-q leaderboard --format csv a.yaml"),
        ("leaderboard --with -q a.yaml", "leaderboard --with -q a.yaml"),  # a value of --with
        ("catalog query -- --quiet", "catalog query -- --quiet"),
        ("catalog rm a@1 -y -q", "-q catalog rm a@1 -y"),
        ("nothing --quiet", "--quiet nothing"),
        ("run --help", "run --help"),
        ("run a.yaml --version", "run a.yaml --version"),
        ("", ""),
    ],
)
def test_options_of_the_program_are_put_first(words: str, ordered: str) -> None:
    assert _ordered(words) == ordered


def _geobench(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


@pytest.mark.parametrize(
    "order",
    [
        ["--catalog", "CATALOG", "catalog", "list", "--json"],
        ["catalog", "--catalog", "CATALOG", "list", "--json"],
        ["catalog", "list", "--json", "--catalog=CATALOG"],
    ],
)
def test_every_order_reads_the_same_catalog(tmp_path: Path, order: Sequence[str]) -> None:
    from geobench_catalog import Catalog

    Catalog(tmp_path / "here", create=True)
    words = [word.replace("CATALOG", str(tmp_path / "here")) for word in order]
    assert json.loads(_geobench(*words).stdout) == []
    if words[0] != "catalog":
        words.remove("catalog")
        assert json.loads(CliRunner().invoke(alone, words).stdout) == []


def test_an_option_of_the_command_itself_wins(tmp_path: Path) -> None:
    plugin = tmp_path / "greeting.py"
    plugin.write_text(PLUGIN)
    words = ("greet", "--device", "x", "-c", "3", "a", "--quiet", "--plugin", plugin, "b")
    result = _geobench(*words, "--catalog", "y")
    assert result.stdout == "['x', 3, ['a', 'b'], 'cpu', True, 'y']\n", result.output
    shown = _geobench("greet", "--help", "--plugin", plugin).stdout
    (line,) = [" ".join(part.split()) for part in shown.split("\n\n") if "Options of every" in part]
    assert "--catalog" in line
    assert "--device" not in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "a.yaml", "--catalog"], "Option '--catalog' requires an argument."),
        (["run", "a.yaml", "--catalog", "x", "--catalog=y"], "--catalog is given twice."),
        (["--device", "cpu", "run", "a.yaml", "--device", "cpu"], "--device is given twice."),
        (["run", "a.yaml", "--memory", "lots"], "Invalid value for '--memory'"),
    ],
)
def test_mistakes_are_told_wherever_the_option_stands(words: list[str], told: str) -> None:
    result = _geobench(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_help_of_every_command_names_them_once() -> None:
    def commands(group: click.Group, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        parts = [(name, group.commands[name]) for name in group.commands]
        inner = [
            words
            for name, part in parts
            if isinstance(part, click.Group)
            for words in commands(part, (*path, name))
        ]
        return [*((*path, name) for name, _ in parts), *inner]

    every = commands(main, ())
    assert len(every) > 40
    for words in every:
        shown = " ".join(_geobench(*words, "--help").stdout.split())
        assert shown.count("Options of every command, before or after it: --catalog,") == 1, words
        assert shown.count("'main --help' describes them.") == 1


def test_a_program_without_options_has_nothing_to_put_first() -> None:
    @click.group(cls=one_line.OneLine)
    def bare() -> None:
        """Do nothing."""

    @bare.command()
    def act() -> None:
        """Act."""

    assert in_front(click.Context(bare), ["act", "--quiet"]) == ["act", "--quiet"]
    assert shared_options.shared(click.Context(bare)) == {}
    assert "Options of every" not in CliRunner().invoke(bare, ["act", "--help"]).stdout


def test_commands_stand_in_groups_and_those_of_plugins_in_their_own(tmp_path: Path) -> None:
    plugin = tmp_path / "greeting.py"
    plugin.write_text(PLUGIN)
    shown = _geobench("--help", "--plugin", plugin).stdout
    blocks = [block.splitlines() for block in shown.split("\n\n")]
    groups = {
        block[0]: [line.split()[0] for line in block[1:]]
        for block in blocks
        if block[0].endswith(":") and block[0] != "Options:"
    }
    assert list(groups) == [
        "Make:", "Compare:", "Catalog:", "Plugins:", "Help:", "Commands of plugins:",
    ]  # fmt: skip
    assert groups["Commands of plugins:"] == ["greet"]
    assert [name for names in groups.values() for name in names] == [*main.commands, "greet"]
    assert "..." not in shown.replace("ARGS]...", "")  # every line is whole
    assert "Commands of plugins" not in _geobench("--help").stdout
