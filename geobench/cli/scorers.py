"""geobench scorers: what scorers notice."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from geobench.cli.completion import offered
from geobench.cli.settings import MEMBERS, Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option, reference_argument

if TYPE_CHECKING:
    from geobench.contracts.scorer import Scorer
    from geobench.forecasts.forecast import Forecast
    from geobench.registry import Registry


@click.group()
def scorers() -> None:
    """Measure which defects scorers notice."""


@scorers.command()
@reference_argument("law", "forecast")
@click.option(
    "--members", type=MEMBERS, default=16, show_default=True, help="Members of each ensemble."
)
@click.option(
    "--scorer",
    "names",
    multiple=True,
    shell_complete=offered("scorer"),
    help="Scorer to use, can be repeated; default: all that do not need the law.",
)
@json_option
@pass_settings
def power(
    settings: Settings, law: str, members: int, names: tuple[str, ...], *, as_json: bool
) -> None:
    """Tell how often scores notice defects, on the cases of LAW, a forecast of the oracle.

    The draws are divided into ensembles. Each ensemble is given a defect and compared with the
    others by the paired test that compares models on a board. A number is the fraction of pairs in
    which a test at 5 % notices the defect. The column `none` has no defect: it counts false alarms.
    """
    from geobench.diagnostics import against_law

    engine = settings.engine()
    scorers = chosen(engine.registry, names)
    draws = engine.forecast(engine.catalog.get(law, "forecast"))
    powers = against_law.power(engine, draws, scorers, members)
    if as_json:
        documents.show([asdict(power) for power in powers])
        return
    from geobench.diagnostics.as_tables import power_table
    from geobench.tables import terminal

    click.echo(terminal.text(power_table(powers)), nl=False)
    click.echo(
        f"Fraction of {powers[0].pairs} pairs in which a test at 5 % notices the defect; "
        f"none: false alarms."
    )
    caution(draws)


def chosen(registry: "Registry", names: tuple[str, ...]) -> "list[Scorer]":
    """Return the scorers named, each once; none: all."""
    chosen = names or tuple(name for kind, name in registry.offers if kind == "scorer")
    return [registry.scorer(name) for name in dict.fromkeys(chosen)]


def caution(law: "Forecast") -> None:
    """Say so where what stands for the law is not quite it: the test is of that, then."""
    from geobench.entries.summaries import DatasetSummary

    if caution := DatasetSummary.of(law.dataset.entry).inexact_law:
        click.echo(caution)
