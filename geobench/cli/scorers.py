"""geobench scorers: what scorers notice. geobench test: whether a forecast is of the law."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from geobench.cli.completion import offered
from geobench.cli.settings import MEMBERS, Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench.contracts.scorer import Scorer
    from geobench.diagnostics.defects import Power
    from geobench.diagnostics.exchange import Verdict
    from geobench.forecasts.forecast import Forecast
    from geobench.registry import Registry
    from geobench.tables.table import Table


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
    scorers = _chosen(engine.registry, names)
    draws = engine.forecast(engine.catalog.get(law, "forecast"))
    powers = against_law.power(engine, draws, scorers, members)
    if as_json:
        documents.show([asdict(power) for power in powers])
        return
    from geobench.tables import terminal

    click.echo(terminal.text(_powers(powers)), nl=False)
    click.echo(
        f"Fraction of {powers[0].pairs} pairs in which a test at 5 % notices the defect; "
        f"none: false alarms."
    )
    _caution(draws)


@click.command()
@reference_argument("forecast", "forecast")
@click.option(
    "--law",
    required=True,
    shell_complete=completes("forecast"),
    help="Draws of the law: a forecast of the oracle with another seed than FORECAST.",
)
@click.option(
    "--scorer",
    "names",
    multiple=True,
    shell_complete=offered("scorer"),
    help="Scorer to use, can be repeated; default: all proper scorers and a classifier.",
)
@click.option(
    "--exchanges",
    type=click.IntRange(19, 2**31 - 1),
    default=199,
    show_default=True,
    help="How often members and draws of the law are exchanged. The smallest possible p is "
    "1 / (exchanges + 1).",
)
@json_option
@pass_settings
def test(
    settings: Settings,
    forecast: str,
    law: str,
    names: tuple[str, ...],
    exchanges: int,
    *,
    as_json: bool,
) -> None:
    """Test whether FORECAST is drawn from the law, as far as each score can see.

    If it is, exchanging its members with draws of the law changes no distribution of a score. The
    test does so at random, so it is exact for any number of members and cases. p is the fraction
    of exchanges with a score as bad. q is the fraction of false alarms to expect among the scores
    with a q as small. It is smaller with fewer scores, so name those that matter. The classifier
    learns to tell members from draws; an area of 0.5 means that it cannot. Its test cases share no
    valid time with those it learned from.
    """
    from geobench.diagnostics import against_law

    engine = settings.engine()
    scorers = _chosen(engine.registry, names)
    if not names:
        scorers = [scorer for scorer in scorers if scorer.proper]
    drawn, draws = (
        engine.forecast(engine.catalog.get(reference, "forecast")) for reference in (forecast, law)
    )
    verdicts = against_law.verdicts(engine, drawn, draws, scorers, exchanges, classify=not names)
    if as_json:
        documents.show([asdict(verdict) for verdict in verdicts])
        return
    from geobench.tables import terminal

    click.echo(terminal.text(_verdicts(verdicts)), nl=False)
    click.echo(f"Means over lead times; {exchanges} exchanges of members with draws of the law.")
    _caution(draws)


def _powers(powers: "Sequence[Power]") -> "Table":
    """The power of each score, a column for each defect."""
    from geobench.diagnostics.defects import DEFECTS
    from geobench.tables.numbers import number_cell
    from geobench.tables.table import Cell, Column, Row, Table

    shares = {(power.score, power.defect): power.power for power in powers}
    rows = [
        Row([Cell(score), *(number_cell(shares[score, defect], 2) for defect in DEFECTS)])
        for score in dict.fromkeys(power.score for power in powers)
    ]
    return Table([Column("score", "left"), *(Column(defect) for defect in DEFECTS)], rows)


def _verdicts(verdicts: "Sequence[Verdict]") -> "Table":
    """The test of each score."""
    from geobench.tables.table import Table

    return Table.of_texts(
        ["", "score", "the law", "p", "q"],
        [[v.score, f"{v.value:.4g}", f"{v.law:.4g}", f"{v.p:.3f}", f"{v.q:.3f}"] for v in verdicts],
    )


def _chosen(registry: "Registry", names: tuple[str, ...]) -> "list[Scorer]":
    """Return the scorers named, each once; none: all."""
    chosen = names or tuple(name for kind, name in registry.offers if kind == "scorer")
    return [registry.scorer(name) for name in dict.fromkeys(chosen)]


def _caution(law: "Forecast") -> None:
    """Say so where what stands for the law is not quite it: the test is of that, then."""
    from geobench.entries.summaries import DatasetSummary

    if caution := DatasetSummary.of(law.dataset.entry).inexact_law:
        click.echo(caution)
