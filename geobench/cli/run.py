"""geobench run: a whole study."""

import shlex
from pathlib import Path

import click

from geobench.cli.dry_run import show_plan
from geobench.cli.settings import (
    EXIT_CODES,
    Settings,
    finish,
    nfe_option,
    pass_settings,
    shared_words,
)
from geobench.cli.study_argument import StudyFile, read, vary_option
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option


class _OfStudy(click.Command):
    """A command on a study file: what only the file sets is no option, and the message says so."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from geobench.study.file import Study

            key = error.option_name.lstrip("-").replace("-", "_")
            if key not in Study.model_fields:
                raise
            raise click.UsageError(
                f"'{error.option_name}' is no option: the study file sets it. Write "
                f"'{key}: …' in the file.",
                ctx,
            ) from error


@click.command(
    cls=_OfStudy,
    epilog=EXIT_CODES,
    short_help="Run a study: simulate, train, forecast, score, compare.",
)
@click.argument("study", type=StudyFile())
@click.option("--dry-run", is_flag=True, help="Only show which steps are done and which are to do.")
@nfe_option
@vary_option
@json_option
@pass_settings
def run(
    settings: Settings,
    study: Path,
    *,
    nfe: tuple[int, ...],
    varied: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run STUDY: simulate, train, forecast, score, compare.

    STUDY is a YAML file, or the name of a published study: see 'geobench study list'. Stop it
    whenever you like; run it again and it resumes.

    For example: geobench --catalog demo/catalog run quick
    """
    from geobench.board.ranking import rankings
    from geobench.study import run as running
    from geobench.study.graph import StudyGraph
    from geobench.tables import terminal

    graph = StudyGraph(read(settings, study, nfe, varied), settings.plugins)
    if dry_run:
        show_plan(graph, settings.engine_if_there(), as_json=as_json)
        return
    outcome = running.run(graph, settings.engine(create=True))
    if as_json:
        documents.show([board.as_dict() for board in outcome.boards])
    else:
        for board in outcome.boards:
            click.echo(terminal.text(*rankings(board)))
    for failure in outcome.failures:
        settings.tell(failure)
    if not as_json and not settings.quiet:
        click.echo(_next(study, nfe, varied, failed=bool(outcome.failures)), err=True)
    finish(bool(outcome.failures), outcome.boards)


def _next(study: Path, nfe: tuple[int, ...], varied: tuple[str, ...], *, failed: bool) -> str:
    """Say what can be done now, in commands to copy."""
    from geobench.study.published import published

    command = shared_words("geobench")
    named = study.stem if study in published().values() else str(study)
    name = shlex.quote(named)
    rows = f" --nfe {','.join(map(str, nfe))}" if nfe else ""
    rows += "".join(f" --vary {shlex.quote(text)}" for text in varied)
    if failed:
        return (
            f"Mend what failed and run it again; finished steps are kept:\n"
            f"  {command} run {name}{rows}"
        )
    return (
        f"Next:\n"
        f"  {command} leaderboard {name}{rows}  # the boards again\n"
        f"  {command} leaderboard build {name}{rows} --out site  # pages to look at and send\n"
        f"  {command} catalog list  # all that was made"
    )
