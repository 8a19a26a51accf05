"""geobench run: a whole study."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geobench.cli.settings import EXIT_CODES, Settings, finish, nfe_option, pass_settings
from geobench.cli.study_argument import StudyFile, read, vary_option
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option

if TYPE_CHECKING:
    from geobench.nodes.node import Node
    from geobench_catalog import Entry


@click.command(epilog=EXIT_CODES)
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
        planned = list(running.plan(graph, settings.engine_if_there()))
        if as_json:
            documents.show([_planned(*step) for step in planned])
            return
        for node, entry in planned:
            done, what = ("done ", str(entry.reference)) if entry else ("to do", node.name)
            click.echo(f"{done}  {node.kind:10}  {what}")
        click.echo(_left([(node.kind, entry is not None) for node, entry in planned]))
        return
    outcome = running.run(graph, settings.engine(create=True))
    if as_json:
        documents.show([board.as_dict() for board in outcome.boards])
    else:
        for board in outcome.boards:
            click.echo(terminal.text(*rankings(board)))
    for failure in outcome.failures:
        settings.tell(failure)
    finish(bool(outcome.failures), outcome.boards)


def _left(steps: Sequence[tuple[str, bool]]) -> str:
    """How many steps are done, and what is to do, in one line."""
    left = Counter(kind for kind, done in steps if not done)
    counts = [f"{count:,} {kind}{'s' * (count > 1)}" for kind, count in left.items()]
    done = f"{len(steps) - left.total():,} of {len(steps):,} steps are done"
    return f"{done}; to do: {', '.join(counts)}" if counts else done


def _planned(node: "Node", entry: "Entry | None") -> dict[str, str | None]:
    reference = str(entry.reference) if entry else None
    return {"kind": node.kind, "name": node.name, "reference": reference}
