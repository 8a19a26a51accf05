"""geobench plan: how many cases and members a difference takes to be noticed."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.completion import offered
from geobench.cli.settings import MEMBERS, Counts, Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.place import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench.diagnostics.planning import Plan
    from geobench.tables.table import Table


class Share(click.ParamType[float]):
    """A number between 0 and 1, or per cent: 0.01, 1%."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a share."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            self.fail(f"'{value}' is no share between 0 and 1; write 1% or 0.01.", param, ctx)
        return share


@click.command()
@reference_argument("forecast", "forecast")
@click.option(
    "--law",
    required=True,
    shell_complete=completes("forecast"),
    help="A forecast of the law, with other noise.",
)
@click.option(
    "--mde",
    type=Share(),
    default="1%",
    show_default=True,
    help="The smallest difference to notice, as a share of the law's score.",
)
@click.option("--power", type=Share(), default="0.8", show_default=True, help="How surely.")
@click.option(
    "--level", type=Share(), default="5%", show_default=True, help="Of false alarms, two-sided."
)
@click.option(
    "--scorer", help="One; default: the score that ranks.", shell_complete=offered("scorer")
)
@click.option(
    "--members",
    type=Counts(),
    default="2,4,8,16,32,64",
    show_default=True,
    metavar="N,N,…",
    help="Of the forecast that is planned.",
)
@click.option("--law-members", type=MEMBERS, help="Of the law; default: as many as those.")
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
    """Tell how many cases and members it takes to notice a difference between FORECAST and the law.

    Read from forecasts that are there, on the same cases: what cases add to the variance of the
    paired difference, and what members add. 4 members or more of each.
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
    from geobench.tables import terminal

    click.echo(terminal.text(_needs(plan)), nl=False)
    click.echo(
        f"At hand: {plan.cases} cases, {plan.members} members, {plan.law_members} of the law. They "
        f"differ by {plan.seen:.2%} and notice {plan.noticed:.2%}."
    )
    worth = f"{plan.dependence:.2g} cases being worth an independent one"
    click.echo(f"From {plan.resampled}, {worth}.")


def _needs(plan: "Plan") -> "Table":
    """Cases that are needed, by members."""
    from geobench.tables.numbers import count_cell
    from geobench.tables.table import Cell, Column, Row, Table

    columns = [
        Column(heading)
        for heading in ("members", "cases", "members x cases", "variance by members")
    ]
    rows = [
        Row(
            [
                count_cell(need.members),
                count_cell(need.cases),
                count_cell(need.members * need.cases),
                Cell(f"{need.member_share:.0%}", need.member_share),
            ]
        )
        for need in plan.needs
    ]
    return Table(columns, rows)
