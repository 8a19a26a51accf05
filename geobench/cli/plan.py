"""geobench plan: how many cases and members a difference takes to be noticed."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.completion import offered
from geobench.cli.settings import MEMBERS, Counts, Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench.diagnostics.planning import Plan


class Fraction(click.ParamType[float]):
    """A number between 0 and 1, or per cent: 0.01, 1%."""

    name = "fraction"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a fraction."""
        text = str(value).strip()
        try:
            fraction = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            fraction = 0.0
        if not 0 < fraction < 1:
            self.fail(f"'{value}' is no fraction between 0 and 1; write 1% or 0.01.", param, ctx)
        return fraction


@click.command(short_help="Tell how many cases and members notice a difference.")
@reference_argument("forecast", "forecast")
@click.option(
    "--law",
    required=True,
    shell_complete=completes("forecast"),
    help="Draws of the law: a forecast of the oracle with another seed than FORECAST.",
)
@click.option(
    "--mde",
    type=Fraction(),
    default="1%",
    show_default=True,
    help="Smallest difference to notice, as a fraction of the law's score.",
)
@click.option(
    "--power",
    type=Fraction(),
    default="0.8",
    show_default=True,
    help="Probability that the test notices a difference of this size.",
)
@click.option(
    "--level",
    type=Fraction(),
    default="5%",
    show_default=True,
    help="Probability of a false alarm in the two-sided test.",
)
@click.option(
    "--scorer",
    help="Scorer to plan for; default: the one that ranks models.",
    shell_complete=offered("scorer"),
)
@click.option(
    "--members",
    type=Counts(),
    default="2,4,8,16,32,64",
    show_default=True,
    metavar="N,N,…",
    help="Numbers of members of FORECAST to plan for.",
)
@click.option(
    "--law-members",
    type=MEMBERS,
    help="Number of draws of the law; default: the number of members.",
)
@json_option
@pass_settings
def plan(
    settings: Settings,
    forecast: str,
    law: str,
    mde: float,
    power: float,
    level: float,
    scorer: str | None,
    members: tuple[int, ...],
    law_members: int | None,
    *,
    as_json: bool,
) -> None:
    """Tell how many cases and members are needed to notice that FORECAST differs from the law.

    The answer is estimated from FORECAST and draws of the law on the same cases, at least 4 of each
    for a case. It comes from the variance of the paired difference: one part falls with the number
    of cases alone, the other with the number of members, too.
    """
    from geobench.diagnostics import against_law
    from geobench.diagnostics.planning import Aim

    engine = settings.engine()
    drawn, draws = (
        engine.forecast(engine.catalog.get(reference, "forecast")) for reference in (forecast, law)
    )
    aim = Aim(mde, power, level)
    registry = engine.registry
    chosen_scorer = registry.scorer(scorer) if scorer else registry.headline_scorers()[0]
    plans = against_law.plan(
        engine, drawn, draws, chosen_scorer, aim, members, law_members=law_members
    )
    if as_json:
        documents.show([{**asdict(planned), "aim": asdict(aim)} for planned in plans])
        return
    for planned in plans:
        click.echo(f"{planned.score}, a difference of {mde:.3g} of the law's {planned.law:.4g}:")
        _tell(planned)
    sure = f"these numbers are known to ± {plans[0].precision:.0%} at best."
    click.echo(f"With power {power:g}, by a two-sided test at {level:g}; {sure}")


def _tell(plan: "Plan") -> None:
    from geobench.diagnostics.as_tables import needs_table
    from geobench.tables import terminal

    click.echo(terminal.text(needs_table(plan)), nl=False)
    click.echo(
        f"At hand: {plan.cases} cases, {plan.members} members, {plan.law_members} of the law. They "
        f"differ by {plan.seen:.2%} and notice {plan.noticed:.2%}."
    )
    worth = f"{plan.dependence:.2g} cases being worth an independent one"
    click.echo(f"From {plan.resampled}, {worth}.")
