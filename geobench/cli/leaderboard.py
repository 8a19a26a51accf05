"""geobench leaderboard: the comparison, in a terminal, as a page, as a site, as text for papers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.settings import EXIT_CODES, Settings, finish, nfe_option, pass_settings
from geobench.cli.study_argument import StudyFile, read, vary_option
from geobench.errors import GeobenchError
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option
from geobench_catalog.commands.shared_options import DefaultGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geobench.board.model import Board

FORMATS = ("table", "markdown", "latex", "csv", "json")


class _Default(DefaultGroup):
    """A group whose first word may be a study: then it is shown."""

    default = "show"


@click.group(
    cls=_Default, name="leaderboard", short_help="Show the boards of a study, or build its site."
)
def leaderboard() -> None:
    """Compare the models of a study with the truth: in the terminal, as a page, or as a site.

    'geobench leaderboard STUDY' prints the ranking; 'geobench leaderboard show --help' lists other
    formats. 'geobench leaderboard build STUDY... --out DIR' builds a site to send to colleagues.
    """


guests_option = click.option(
    "--with",
    "guests",
    multiple=True,
    metavar="REFERENCE",
    help="Also show this forecast, which is not in the study. Its scores are computed if needed.",
)
by_model_option = click.option(
    "--by-model",
    is_flag=True,
    help="Show a row for each model: the mean over its seeds, with intervals over cases and seeds.",
)


@leaderboard.command(epilog=EXIT_CODES)
@click.argument("study", type=StudyFile())
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    help="Write the pages of the study into this one file. It needs nothing beside it.",
)
@click.option(
    "--bin",
    "binned",
    metavar="NAME",
    help="Show a board for each third of the cases, sorted by 'predictability' or by the true "
    "probability of an event of the experiment, e.g. ring-maximum.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Format of the output; default: table. csv holds every number, with its interval and "
    "units; latex needs the package booktabs.",
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path),
    help="Write figures for papers into this folder, as SVG and PDF.",
)
@by_model_option
@guests_option
@json_option
@nfe_option
@vary_option
@pass_settings
def show(
    settings: Settings,
    study: Path,
    html: Path | None,
    binned: str | None,
    form: str | None,
    *,
    figures: Path | None,
    by_model: bool,
    guests: tuple[str, ...],
    nfe: tuple[int, ...],
    varied: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare the models of STUDY with the truth, from what is in the catalog.

    For example: geobench leaderboard quick --html board.html
    """
    from geobench.study import compare, pages
    from geobench.study.graph import StudyGraph

    if figures and binned:
        raise GeobenchError("--figures are of all cases. Leave --bin out.")
    if as_json and form not in (None, "json"):
        raise GeobenchError(f"give --json or --format {form}, not both.")
    form = "json" if as_json else form or "table"
    compared = read(settings, study, nfe, varied)
    graph, engine = StudyGraph(compared, settings.plugins), settings.engine()
    graph.invite(engine, guests)
    outcome = compare.boards(graph, engine, binned, by_model=by_model)
    for failure in outcome.failures:
        settings.tell(failure)
    if html:
        _write(html, pages.in_one_file(outcome, study.stem, compared.title or study.stem))
        click.echo(html.absolute().as_uri(), err=form != "table")
    if figures:
        count = len(pages.paper_figures(outcome, figures))
        click.echo(f"{count} figures in {figures.absolute().as_uri()}", err=True)
    if form != "table" or not html:
        _print(outcome.boards, form)
    finish(bool(outcome.failures), outcome.boards)


def _print(boards: "list[Board]", form: str) -> None:
    """Print boards in one of the formats."""
    from geobench.board.every_number import every_number
    from geobench.board.ranking import for_papers, rankings
    from geobench.tables import csv, latex, markdown, terminal

    if form == "json":
        documents.show([board.as_dict() for board in boards])
    elif form == "csv":
        documents.write(csv.text(every_number(boards)))
    elif form == "table":
        for board in boards:
            click.echo(terminal.text(*rankings(board), others="--format csv"))
    else:
        write = {"markdown": markdown.text, "latex": latex.text}[form]
        for board in boards:
            click.echo(write(for_papers(board)))


@leaderboard.command(epilog=EXIT_CODES)
@click.argument("studies", nargs=-1, required=True, type=StudyFile())
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the site into."
)
@click.option("--title", help="Heading of the site.  [default: that of the study]")
@click.option(
    "--test",
    "exchanges",
    type=click.IntRange(19, 2**31 - 1),
    metavar="N",
    help="Add exact p-values of calibration and joint law, from N exchanges. This is slow; start "
    "with 99.",
)
@click.option(
    "--imported/--no-imported",
    default=True,
    show_default=True,
    help="Also show forecasts that were imported for the same datasets.",
)
@by_model_option
@guests_option
@json_option
@nfe_option
@vary_option
@pass_settings
def build(
    settings: Settings,
    studies: tuple[Path, ...],
    out: Path,
    title: str | None,
    exchanges: int | None,
    *,
    imported: bool,
    by_model: bool,
    guests: tuple[str, ...],
    nfe: tuple[int, ...],
    varied: tuple[str, ...],
    as_json: bool,
) -> None:
    """Build a site of the boards of STUDIES, from what is in the catalog, in a folder.

    The site opens from the folder, without a server or a network. A further build into the same
    folder lists what changed. Scores of imported forecasts are computed if needed.

    For example: geobench leaderboard build quick --out site
    """
    from geobench.study import pages

    engine = settings.engine(processes=settings.every_process)
    named = [(study.stem, read(settings, study, nfe, varied)) for study in studies]
    rows = pages.Rows(guests, exchanges, by_model=by_model)
    node = pages.site_node(engine, named, rows, imported=imported, title=title)
    site = engine.build(node, out)
    for failure in site.failures:
        settings.tell(failure)
    page = (out / "index.html").absolute().as_uri()
    if as_json:
        notes = [str(failure) for failure in site.failures]
        documents.show({"page": page, "changes": site.document["changes"], "notes": notes})
    else:
        click.echo(page)
        click.echo(_since(site.document), nl=False)
    finish(bool(site.failures), sound=site.sound)


def _since(document: "Mapping[str, Any]") -> str:
    """What is to be said of the last build into the folder, if there was one: a line."""
    if document["replaced"]:
        return (
            f"the last build was made by an older geobench (schema {document['replaced']}): it was "
            f"replaced, and is not compared with this one\n"
        )
    if document["first"]:
        return ""
    count = len(document["changes"])
    return f"{count or 'no'} change{'' if count == 1 else 's'} since the last build\n"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise GeobenchError(
            f"{path} cannot be written ({error.strerror}). Name another file."
        ) from error
