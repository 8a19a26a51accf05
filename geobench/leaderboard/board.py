"""The board: every score with its interval, its excess over the reference, its share of the gap.

The excess is paired: model and reference are resampled with the same cases, so what both find hard
cancels. The share is 0 for the baseline (climatology) and 1 for the reference (the law).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from geobench.interfaces.scorer import Orientation, Scorer
from geobench_catalog import Entry

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

LEVEL = 0.95
_SUSPICIOUS = 4.0  # standard errors better than the law: by chance once in 30,000 boards


@dataclass(frozen=True)
class Competitor:
    """A scored forecast. `scores` stand in the order of the board's scorers."""

    label: str
    seed: int
    forecaster: Entry
    forecast: Entry
    scores: Sequence[Entry]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval (bootstrap over init times, percentiles)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One score of one model at one lead time. `share` is None where there is no gap to close."""

    score: Estimate
    excess: Estimate
    share: Estimate | None


@dataclass
class Column:
    """One score."""

    name: str
    scorer: str
    version: str
    better: Orientation
    fair: bool
    units: str
    cells: list[list[Cell]] = field(default_factory=list)
    """By row of the board, then by lead time."""


@dataclass
class Row:
    """One model."""

    label: str
    seed: int
    rank: int
    excess: Estimate
    failed: int
    knows_law: bool
    suspicious: bool
    parameters: int
    sample_passes: int
    training_seconds: float
    evaluations: float
    seconds_per_member: float
    members: int
    entries: dict[str, str]


@dataclass
class Board:
    """One experiment: rows in order of rank, columns with the ranking one first."""

    name: str
    title: str
    dataset: str
    reference: str
    baseline: str
    cases: int
    lead_hours: list[float]
    rows: list[Row]
    columns: list[Column]

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return asdict(self)


def compare(
    name: str,
    title: str,
    dataset: Entry,
    scorers: Sequence[Scorer],
    *,
    reference: Competitor,
    baseline: Competitor,
    competitors: Sequence[Competitor],
) -> Board:
    """Compare `competitors` (the baseline among them) with `reference`."""
    import numpy as np

    from geobench import scoring

    inits = dataset.open("inits").load()
    resampling = scoring.Resampling(inits["trajectory"].to_numpy())
    every = [reference, *competitors]
    columns: list[Column] = []
    ranking: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    lead_hours: list[float] = []
    for place, scorer in enumerate(scorers):
        tables = [_draws(scorer, each.scores[place], resampling) for each in every]
        for column, law in tables[0].items():
            lead_hours = (law["lead_time"].to_numpy() / np.timedelta64(3600, "s")).tolist()
            values = [table[column].to_numpy() for table in tables]
            own = Column(
                column, scorer.name, scorer.version, scorer.better, scorer.fair, scorer.units
            )
            base = values[1 + list(competitors).index(baseline)]
            own.cells = [_cells(scorer.better, each, values[0], base) for each in values[1:]]
            columns.append(own)
            if not ranking:
                ranking = [_excess(scorer.better, each, values[0]).mean(1) for each in values[1:]]
    ranks = _ranks(ranking)
    rows = [
        _row(each, rank, excess)
        for each, rank, excess in zip(competitors, ranks, ranking, strict=True)
    ]
    # Failed entries have no excess (NaN) and stand last; ties keep the order of the estimate.
    order = sorted(
        range(len(rows)), key=lambda i: (ranks[i], np.nan_to_num(ranking[i][0], nan=np.inf))
    )
    for own in columns:
        own.cells = [own.cells[i] for i in order]
    return Board(
        name=name,
        title=title,
        dataset=str(dataset.reference),
        reference=str(reference.forecast.reference),
        baseline=baseline.label,
        cases=inits.sizes["init_time"],
        lead_hours=lead_hours,
        rows=[rows[i] for i in order],
        columns=columns,
    )


def _draws(scorer: Scorer, score: Entry, resampling: Any) -> dict[str, "xr.DataArray"]:
    from geobench import scoring

    return dict(scoring.columns(scoring.scores(scorer, score.open().load(), resampling)))


def _excess(better: Orientation, values: Any, law: Any) -> Any:
    """How much worse than the law; for a score that should be one, just the difference."""
    return law - values if better == "higher" else values - law


def _cells(better: Orientation, values: Any, law: Any, base: Any) -> list[Cell]:
    import numpy as np

    excess = _excess(better, values, law)
    gap = _excess(better, base, law)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - excess / gap
    cells = []
    for lead in range(values.shape[1]):
        gap_is_clear = better != "one" and np.quantile(gap[1:, lead], 0.5 - LEVEL / 2) > 0
        cells.append(
            Cell(
                estimate(values[:, lead]),
                estimate(excess[:, lead]),
                estimate(share[:, lead]) if gap_is_clear else None,
            )
        )
    return cells


def estimate(draws: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Estimate:
    """Estimate (the first draw) with the interval that the other draws give."""
    import numpy as np

    low, high = np.quantile(draws[1:], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Estimate(float(draws[0]), float(low), float(high))


def _ranks(excesses: "Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]]") -> list[int]:
    """Rank 1 + the number of entries that are better beyond doubt (paired, 95 %).

    Entries that cannot be told apart share a rank. A failed one (NaN) ranks below all that finish.
    """
    import numpy as np

    ranks = []
    for mine in excesses:
        better = 0
        for other in excesses:
            if np.isnan(mine[0]):
                better += not np.isnan(other[0])
            elif not np.isnan(other[0]):
                better += bool(np.quantile((other - mine)[1:], 0.5 + LEVEL / 2) < 0)
        ranks.append(1 + better)
    return ranks


def _row(each: Competitor, rank: int, excess: Any) -> Row:
    import numpy as np

    fitted, drawn = each.forecaster.record, each.forecast.record
    error = float(np.std(excess[1:]))
    return Row(
        label=each.label,
        seed=each.seed,
        rank=rank,
        excess=estimate(excess),
        failed=int(drawn.summary["failed_members"]),
        knows_law=bool(fitted.summary["knows_law"]),
        suspicious=bool(excess[0] < -_SUSPICIOUS * error),
        parameters=int(fitted.summary["parameters"]),
        sample_passes=int(fitted.summary["sample_passes"]),
        training_seconds=fitted.seconds,
        evaluations=float(drawn.summary["evaluations_per_step"]),
        seconds_per_member=float(drawn.summary["seconds_per_member"]),
        members=int(drawn.recipe["members"]),
        entries={
            "forecaster": str(each.forecaster.reference),
            "forecast": str(each.forecast.reference),
        },
    )
