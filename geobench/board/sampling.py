"""How the cases of a board are resampled, alike for all entries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geobench.board import excess
from geobench.board.competitor import Competitor
from geobench.contracts import scorer as scores
from geobench.contracts.scorer import Scorer
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.statistics.resampling import Resampling


def some(statistics: "xr.Dataset", cases: Sequence[int] | None) -> "xr.Dataset":
    """Some cases; None: all."""
    return statistics if cases is None else statistics.isel(init_time=list(cases))


def resampled(
    dataset: Entry,
    scorer: Scorer,
    entries: Sequence[Competitor],
    cases: Sequence[int] | None = None,
    form: Scorer | None = None,
) -> "Resampling":
    """Resample whole trajectories, or blocks of inits, as suits the scorer that ranks.

    `entries` begins with the reference. `form`: the law form of the scorer. Blocks suit what
    depends for longest: the excess by the law form, or by the outcome.
    """
    from geobench.statistics import resampling

    inits, leads = some(dataset.load("inits"), cases), int(dataset.record.recipe["leads"])
    trajectory, position = (inits[key].to_numpy() for key in ("trajectory", "position"))
    return resampling.fitting(
        trajectory, position, leads, lambda: _excess_of_cases(scorer, entries, cases, form)
    )


def _excess_of_cases(
    scorer: Scorer,
    entries: Sequence[Competitor],
    cases: Sequence[int] | None,
    form: Scorer | None,
) -> Any:
    """Excess of each case, for each entry and column of the scorer `(row, case)`."""
    import numpy as np

    from geobench import scoring

    runs = [run for entry in entries for run in entry.runs]
    statistics = [some(run.statistics(0, like=entries[1]), cases) for run in runs]
    columns = scoring.contributions(scorer, statistics).values()
    series = [scores.excess(scorer.better, column[1:], column[0]) for column in columns]
    if form and excess.complete(0, entries[1:]):
        by_law = excess.statistics(0, entries[1:], cases)
        series += scoring.contributions(form, by_law).values()
    return np.concatenate([column.mean(-1) for column in series])
