"""geobench scorers: what scorers notice. geobench test: whether a forecast is of the law."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from geobench.cli.completion import offered
from geobench.cli.settings import MEMBERS, Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.place import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench.contracts.scorer import Scorer
    from geobench.diagnostics.defects import Power
    from geobench.diagnostics.exchange import Verdict
    from geobench.forecasts.forecast import Forecast
    from geobench.registry import Registry
    from geobench.tables.table import Table


@click.group()
def scorers() -> None:
    """Tell what scorers notice, and what they are blind to."""


@scorers.command()
@reference_argument("law", "forecast")
@click.option("--members", type=MEMBERS, default=16, show_default=True, help="Of an ensemble.")
@click.option(
    "--scorer",
    "names",
    multiple=True,
    shell_complete=offered("scorer"),
    help="Default: all that need no law.",
)
@json_option
@pass_settings
def power(
    settings: Settings, law: str, members: int, names: tuple[str, ...], *, as_json: bool
) -> None:
    """Tell how surely scores notice defects, at the cases of LAW, a forecast of the law.

    Its draws are cut into ensembles. Each is given a defect and compared with the others as they
    are, the way models on a board are. A number is the share of the pairs in which a test at 5 %
    notices the defect; the column `none` has none: what is noticed there is a false alarm.
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
    click.echo(f"Share of {powers[0].pairs} pairs noticed at 5 %; none: false alarms.")
    _caution(draws)


@click.command()
@reference_argument("forecast", "forecast")
@click.option(
    "--law",
    required=True,
    shell_complete=completes("forecast"),
    help="A forecast of the law, with other noise.",
)
@click.option(
    "--scorer",
    "names",
    multiple=True,
    shell_complete=offered("scorer"),
    help="Default: those that nothing scores better at than the law, and a classifier.",
)
@click.option(
    "--exchanges",
    type=click.IntRange(19, 2**31 - 1),
    default=199,
    show_default=True,
    help="Of members with draws of the law; no p can be below 1 over one more.",
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

    If it is, its members and draws of the law may be exchanged, init by init: the test is exact at
    any number of members and cases. p: the share of exchanges that score as badly. q: the share of
    false alarms to expect among the scores with a q as small; it is smaller with fewer scores, so
    name those that matter. The classifier is asked to tell members from draws, of cases that share
    no valid time with those it was trained on: an area of 0.5 is blind.
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
