"""geobench study: the published studies, and a first study file of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.settings import Settings, pass_settings
from geobench.cli.study_argument import StudyFile
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option

if TYPE_CHECKING:
    from geobench.study.sizes import Size
    from geobench.tables.table import Table


@click.group(short_help="List published studies, or write one of your own.")
def study() -> None:
    """List the published studies, or write a study file of your own."""


@study.command("list")
@json_option
@pass_settings
def list_studies(settings: Settings, *, as_json: bool) -> None:
    """List the published studies, which come with geobench.

    Their size is the number of networks that they train, and the budget of all trainings together
    in millions of sample-passes. A sample-pass is one forward and backward pass of one field.

    For example: geobench run quick
    """
    from dataclasses import asdict

    from geobench.study.sizes import sizes

    listed = sizes(settings.plugins)
    if as_json:
        documents.show([asdict(size) for size in listed])
        return
    from geobench.tables import terminal

    click.echo(terminal.text(_table(listed)), nl=False)


def _table(listed: "list[Size]") -> "Table":
    from geobench.tables.table import Cell, Column, Row, Table

    columns = [
        Column("study", "left", wrap=False),
        Column("title", "left"),
        Column("experiments", "left"),
        Column("models"),
        Column("trainings"),
        Column("million passes"),
    ]
    rows = [
        Row(
            [
                Cell(size.name),
                Cell(size.title),
                Cell(", ".join(size.experiments)),
                Cell(str(len(size.models)), len(size.models)),
                Cell(str(size.trainings), size.trainings),
                Cell(f"{size.sample_passes / 1e6:.1f}", size.sample_passes),
            ]
        )
        for size in listed
    ]
    return Table(columns, rows)


@study.command("show")
@click.argument("named", metavar="STUDY", type=StudyFile())
@json_option
def show(named: Path, *, as_json: bool) -> None:
    """Print STUDY, a file or a published study.

    For example: geobench study show quick
    """
    from geobench.study.file import Study
    from geobench_catalog.plain_text import plain

    read = Study.read(named)
    if as_json:
        documents.show(read.model_dump(mode="json", exclude_defaults=True))
    else:
        click.echo(plain(named.read_text("utf-8")), nl=False)


@study.command("new")
@click.argument("name")
@click.option(
    "--from",
    "start",
    type=StudyFile(),
    help="Copy this published study, or a file, instead of a small example.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: NAME.yaml in the working folder.",
)
@json_option
def new(name: str, start: Path | None, out: Path | None, *, as_json: bool) -> None:
    """Write a study file with comments, which runs as it is.

    For example: geobench study new mine, and then geobench run mine.yaml
    """
    from geobench.study.new import write_new

    file = write_new(name, out or Path(f"{name}.yaml"), start)
    shown: dict[str, Any] = {"file": str(file), "next": f"geobench run {file}"}
    if as_json:
        documents.show(shown)
        return
    click.echo(file)
    click.echo(f"Run it: {shown['next']}", err=True)
