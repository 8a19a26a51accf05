"""geobench simulator: what a simulator is like, measured."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from geobench.cli.completion import offered
from geobench.cli.settings import (
    COUNT,
    SEED,
    Settings,
    assignments,
    check_folder,
    pass_settings,
    set_option,
)
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option

if TYPE_CHECKING:
    from geobench.describe.effort import Level

_WRITTEN = click.Path(dir_okay=False, path_type=Path)


@click.group()
def simulator() -> None:
    """Measure simulators."""


@simulator.command("describe")
@click.argument("name", shell_complete=offered("simulator", "experiment", files=True))
@set_option
@click.option(
    "--effort",
    type=click.Choice(["quick", "normal", "long"]),
    default="normal",
    show_default=True,
    help="How long to measure; for Lorenz95 about 10 s, 30 s or 2 minutes.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of all noise.")
@click.option(
    "--exponents",
    type=COUNT,
    help="Number of Lyapunov exponents; default: all of a small state, 6 of a large one.",
)
@click.option(
    "--unit-days",
    type=click.FloatRange(min=0, min_open=True),
    help="Also give rates per unit of this many days, e.g. 5 for Lorenz95.",
)
@click.option(
    "--bare",
    is_flag=True,
    help="Read NAME as a simulator, even if an experiment has the same name.",
)
@click.option(
    "--spin-up",
    type=click.IntRange(0, 2**31 - 1),
    default=200,
    show_default=True,
    help="Output steps that a bare simulator discards first. An experiment sets its own number.",
)
@json_option
@click.option("--plot", type=_WRITTEN, help="Draw the measurements (.png, .svg or .pdf).")
@click.option("--markdown", type=_WRITTEN, help="Write a page; with --plot, it shows the picture.")
@click.option("--html", type=_WRITTEN, help="Write a page with the picture in it.")
@pass_settings
def describe_simulator(
    settings: Settings,
    name: str,
    changes: tuple[str, ...],
    effort: "Level",
    seed: int,
    exponents: int | None,
    unit_days: float | None,
    spin_up: int,
    plot: Path | None,
    markdown: Path | None,
    html: Path | None,
    *,
    bare: bool,
    as_json: bool,
) -> None:
    """Measure NAME: an experiment, a simulator, or the YAML file of an experiment.

    The description covers the climate, predictability, Lyapunov exponents, extreme events and
    return levels. It tells how far the law is from a Gaussian one, and how much two deliberately
    flawed forecasters lose.

    For example: geobench simulator describe lorenz95 --effort quick
    """
    from geobench.describe import experiments, figures, pages, report, terminal
    from geobench.describe.effort import Effort
    from geobench.describe.measuring import describe
    from geobench.errors import blaming
    from geobench.twin.realising import check

    for path in (plot, markdown, html):
        check_folder(path)
    if plot:
        figures.check(plot)
    experiment_name, experiment = (
        experiments.alone(settings.plugins, name, assignments(changes), spin_up)
        if bare or not _is_experiment(settings, name)
        else settings.experiment(name, changes)
    )
    built = settings.plugins.simulator(experiment.simulator)
    check(experiment, built)
    known = settings.known(experiment)
    if experiment.inexact_law and known is None:
        click.echo(
            f"geobench: what is known at init time stands in the dataset of {experiment_name}, and "
            f"that is not in the catalog: draws start from the exact state. Simulate it first.",
            err=True,
        )
    with blaming(f"the simulator {built.name}"):
        description = describe(
            experiment_name,
            experiment,
            built,
            Effort.of(effort, built.spec, experiment.leads, exponents),
            watch=settings.watch,
            seed=seed,
            known=known,
        )
    sections, command = report.sections(description, unit_days), _command(settings)
    if plot:
        figures.picture(description, plot)
    if markdown:
        text = pages.markdown(description.title, sections, command, _beside(plot, markdown))
        markdown.write_text(text, "utf-8")
    if html:
        drawn = figures.png(description)
        html.write_text(pages.html(description.title, sections, command, drawn), "utf-8")
    for path in filter(None, (plot, markdown, html)):
        click.echo(path.absolute().as_uri(), err=True)
    if as_json:
        documents.show(report.as_json(description))
    else:
        click.echo(terminal.report(description.title, sections), nl=False)


def _is_experiment(settings: Settings, name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or ("experiment", name) in settings.plugins.offers


def _command(settings: Settings) -> str:
    """Return the command that is running, without what was left at its default."""
    context = click.get_current_context()
    files = (f"--plugin {shlex.quote(str(file))}" for file in settings.plugin_files)
    words = ["geobench", *files, "simulator describe"]
    for parameter in context.command.params:
        key = parameter.name
        if key and context.get_parameter_source(key) is ParameterSource.COMMANDLINE:
            value = context.params[key]
            name = parameter.opts[0] if isinstance(parameter, click.Option) else ""
            values = () if value is True else value if isinstance(value, tuple) else (value,)
            texts = [f"{v:g}" if isinstance(v, float) else shlex.quote(str(v)) for v in values]
            words += [f"{name} {text}".strip() for text in texts] or [name]
    return " ".join(words)


def _beside(plot: Path | None, page: Path) -> str:
    """Link from a page to a picture."""
    return "" if plot is None else Path(os.path.relpath(plot, page.parent)).as_posix()
