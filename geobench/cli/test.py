"""geobench test: whether a forecast is drawn from the law."""

from dataclasses import asdict

import click

from geobench.cli.completion import offered
from geobench.cli.scorers import caution, chosen
from geobench.cli.settings import Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import completes, json_option, reference_argument


@click.command(short_help="Test whether a forecast is drawn from the law.")
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
    scorers = chosen(engine.registry, names)
    if not names:
        scorers = [scorer for scorer in scorers if scorer.proper]
    drawn, draws = (
        engine.forecast(engine.catalog.get(reference, "forecast")) for reference in (forecast, law)
    )
    verdicts = against_law.verdicts(engine, drawn, draws, scorers, exchanges, classify=not names)
    if as_json:
        documents.show([asdict(verdict) for verdict in verdicts])
        return
    from geobench.diagnostics.as_tables import verdict_table
    from geobench.tables import terminal

    click.echo(terminal.text(verdict_table(verdicts)), nl=False)
    click.echo(f"Means over lead times; {exchanges} exchanges of members with draws of the law.")
    caution(draws)
