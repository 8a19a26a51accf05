"""geobench leaderboard: the comparison, in a terminal, as a page, as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from geobench.cli.settings import Settings, json_option, pass_settings
from geobench.errors import GeobenchError


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write a page to this file.")
@json_option
@pass_settings
def leaderboard(settings: Settings, study: Path, html: Path | None, *, as_json: bool) -> None:
    """Compare the models of STUDY with the truth, from what is in the catalogue."""
    from geobench.study import Runner, read_study

    read = read_study(study)
    outcome = Runner(read, settings.plugins).boards(settings.steps())
    for failure in outcome.failures:
        click.echo(f"geobench: {failure}", err=True)
    if html:
        from geobench.leaderboard import page

        text = page.render(outcome.boards, title=read.title or study.stem, notes=outcome.failures)
        _write(html, text)
        click.echo(html.absolute().as_uri())
    elif as_json:
        boards = [_finite(board.as_dict()) for board in outcome.boards]
        click.echo(json.dumps(boards, indent=1, allow_nan=False))
    else:
        from rich.console import Console

        from geobench.leaderboard import terminal

        for board in outcome.boards:
            Console(width=None if sys.stdout.isatty() else 120).print(terminal.ranking(board))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise GeobenchError(
            f"{path} cannot be written ({error.strerror}). Name another file."
        ) from error


def _finite(value: Any) -> Any:
    """Put null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
