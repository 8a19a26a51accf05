"""geobench leaderboard: the comparison, in a terminal, as a page, as JSON."""

from pathlib import Path

import click

from geobench.cli.settings import Settings, nfe_option, pass_settings
from geobench.errors import GeobenchError
from geobench_catalog.commands import documents
from geobench_catalog.commands.place import json_option


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write a page to this file.")
@click.option(
    "--bin",
    "binned",
    metavar="NAME",
    help="A board for each third of the cases by 'predictability', or by the true probability of "
    "an event of the experiment, e.g. ring-maximum.",
)
@json_option
@nfe_option
@pass_settings
def leaderboard(
    settings: Settings,
    study: Path,
    html: Path | None,
    binned: str | None,
    *,
    nfe: tuple[int, ...],
    as_json: bool,
) -> None:
    """Compare the models of STUDY with the truth, from what is in the catalogue.

    For example: geobench leaderboard studies/quick.yaml --html board.html
    """
    from geobench.study import Runner, read_study

    read = read_study(study, nfe)
    outcome = Runner(read, settings.plugins).boards(settings.steps(), binned)
    for failure in outcome.failures:
        settings.tell(failure)
    if html:
        from geobench.leaderboard import page

        notes = [str(failure) for failure in outcome.failures]
        text = page.render(outcome.boards, title=read.title or study.stem, notes=notes)
        _write(html, text)
        click.echo(html.absolute().as_uri(), err=as_json)
    if as_json:
        documents.show([board.as_dict() for board in outcome.boards])
    elif not html:
        from geobench.leaderboard import terminal

        for board in outcome.boards:
            click.echo(terminal.ranking(board))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise GeobenchError(
            f"{path} cannot be written ({error.strerror}). Name another file."
        ) from error
