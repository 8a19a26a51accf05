"""Forecasts of a notebook beside the true distribution: exact tests, plans, the power of scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.diagnostics import against_law, as_tables
from geobench.lab.views import View

if TYPE_CHECKING:
    from geobench.contracts.scorer import Scorer
    from geobench.lab.forecast import Forecast

_MEMBERS = (2, 4, 8, 16, 32, 64)


def tested(
    forecast: "Forecast",
    names: "Sequence[str | Scorer]",
    law: "Forecast | None",
    exchanges: int,
) -> View:
    """Return the exact test of each score; default: of all proper ones, and of a classifier."""
    lab = forecast.lab
    scorers = lab.scorers_of(names)
    if not names:
        scorers = [scorer for scorer in scorers if scorer.proper]
    draws = (law or forecast.true_distribution()).drawn
    verdicts = against_law.verdicts(
        lab.engine, forecast.drawn, draws, scorers, exchanges, classify=not names
    )
    return View([as_tables.verdict_table(verdicts)])


def planned(
    forecast: "Forecast",
    scorer: "str | Scorer | None",
    *,
    law: "Forecast | None" = None,
    members: Sequence[int] = _MEMBERS,
    law_members: int | None = None,
    mde: float = 0.01,
    power: float = 0.8,
    level: float = 0.05,
) -> View:
    """Return the cases and members that are needed, a table for each score of the scorer."""
    from geobench.diagnostics.planning import Aim

    lab = forecast.lab
    chosen = lab.scorers_of([scorer])[0] if scorer else lab.registry.headline_scorers()[0]
    plans = against_law.plan(
        lab.engine,
        forecast.drawn,
        (law or forecast.true_distribution()).drawn,
        chosen,
        Aim(mde, power, level),
        members,
        law_members=law_members,
    )
    return View([as_tables.needs_table(plan) for plan in plans])


def powers(forecast: "Forecast", names: "Sequence[str | Scorer]", members: int) -> View:
    """Return the share of pairs in which each score notices each defect."""
    lab = forecast.lab
    found = against_law.power(lab.engine, forecast.drawn, lab.scorers_of(names), members)
    return View([as_tables.power_table(found)])
