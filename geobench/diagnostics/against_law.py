"""A forecast against the true distribution: exact tests, sample sizes, and the power of scorers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.contracts.scorer import Scorer
from geobench.errors import blaming
from geobench.forecasts.forecast import Forecast
from geobench.twin.cases import check_equal_members

if TYPE_CHECKING:
    from geobench.diagnostics.defects import Power
    from geobench.diagnostics.exchange import Verdict
    from geobench.diagnostics.planning import Aim, Plan
    from geobench.nodes.engine import Engine


def verdicts(
    engine: "Engine",
    forecast: Forecast,
    law: Forecast,
    scorers: Sequence[Scorer],
    exchanges: int,
    *,
    classify: bool = True,
) -> "list[Verdict]":
    """Test whether a forecast is of the true distribution, as far as scores can see.

    `law` is a forecast of the true distribution with other noise. `classify`: a classifier is
    asked, too.
    """
    from geobench.diagnostics import exchange

    check_equal_members(forecast.entry, "geobench test")
    forecast.check_against(law)
    with engine.watch(f"test {forecast.entry.record.name}") as progress:
        return exchange.verdicts(
            scorers,
            forecast.source(engine.memory, law),
            engine.context(forecast.dataset, scorers),
            exchanges=exchanges,
            inits=forecast.inits() if classify else None,
            blaming=blaming,
            progress=progress,
        )


def power(
    engine: "Engine", law: Forecast, scorers: Sequence[Scorer], members: int
) -> "list[Power]":
    """Measure what scorers notice, at the cases of a law's forecast and so many members."""
    from geobench.diagnostics import defects

    law.check_is_of_law()
    with engine.watch(f"power {law.entry.record.name}") as progress:
        return defects.measure(
            scorers,
            law.source(engine.memory),
            members,
            engine.context(law.dataset, scorers),
            law.inits()["trajectory"].to_numpy(),
            blaming,
            progress,
        )


def plan(
    engine: "Engine",
    forecast: Forecast,
    law: Forecast,
    scorer: Scorer,
    aim: "Aim",
    members: Sequence[int],
    *,
    law_members: int | None = None,
) -> "list[Plan]":
    """Tell how many cases and members it takes to notice a difference from the true distribution.

    `law` is a forecast of the true distribution with other noise.
    """
    from geobench.diagnostics import planning

    check_equal_members(forecast.entry, "geobench plan")
    forecast.check_against(law)
    with engine.watch(f"plan {forecast.entry.record.name}") as progress:
        return planning.plan(
            scorer,
            forecast.source(engine.memory),
            law.source(engine.memory),
            engine.context(forecast.dataset, [scorer]),
            forecast.inits(),
            aim=aim,
            members=members,
            law_members=law_members,
            blaming=blaming,
            progress=progress,
        )
