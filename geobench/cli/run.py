"""geobench run: a whole study."""

import sys
from pathlib import Path

import click

from geobench.cli.settings import Settings, nfe_option, pass_settings


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what is done and what is to do; do nothing.")
@nfe_option
@pass_settings
def run(settings: Settings, study: Path, *, nfe: tuple[int, ...], dry_run: bool) -> None:
    """Run STUDY, a YAML file: simulate, train, forecast, score, compare.

    What is in the catalogue is not done again, so a run that was stopped goes on.
    """
    from geobench.leaderboard import terminal
    from geobench.study import Runner, read_study

    runner = Runner(read_study(study, nfe), settings.plugins)
    if dry_run:
        steps = settings.steps_if_there()
        for kind, name, entry in runner.plan(steps):
            done, what = ("done ", str(entry.reference)) if entry else ("to do", name)
            click.echo(f"{done}  {kind:10}  {what}")
        return
    steps = settings.steps(create=True)
    outcome = runner.run(steps)
    for board in outcome.boards:
        click.echo(terminal.ranking(board))
    for failure in outcome.failures:
        settings.tell(failure)
    if outcome.failures:
        sys.exit(2)
