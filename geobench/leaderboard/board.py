"""The board: every score with its interval, its excess over the reference, its share of the gap.

The excess is paired: model and reference are resampled with the same cases, so what both find hard
cancels. The share is 0 for the baseline (climatology) and 1 for the reference (the law).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from geobench.interfaces.scorer import IDEALS, Orientation, Scorer
from geobench_catalog import Entry

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    _Draws = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVEL = 0.95
# Standard errors better than the law. By chance: once in 30,000 rows for the mean that ranks, once
# in 3 million for each lead time of each score.
_SUSPICIOUS_MEAN, _SUSPICIOUS_CELL = 4.0, 5.0
_FEW_BLOCKS = 20


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
    parameters: int | None
    """None: nothing is known of the model, as of `sample_passes`, and its cost is NaN."""
    sample_passes: int | None
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
    ranked_by: str
    cases: int
    lead_hours: list[float]
    rows: list[Row]
    columns: list[Column]
    notes: list[str]

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

    blocks = dataset.load("inits")["trajectory"].to_numpy()
    resampling = scoring.Resampling(blocks)
    every = [reference, *competitors]
    base = 1 + list(competitors).index(baseline)
    columns: list[Column] = []
    ranking: list[_Draws] = []
    flags = np.zeros(len(competitors), bool)
    lead_hours: list[float] = []
    for place, (scorer, called) in enumerate(zip(scorers, _calls(scorers), strict=True)):
        tables = [_draws(scorer, each.scores[place], resampling) for each in every]
        excesses = []
        for column, law in tables[0].items():
            lead_hours = (law["lead_time"].to_numpy() / np.timedelta64(3600, "s")).tolist()
            values = np.stack([table[column].to_numpy() for table in tables])
            own = Column(
                column + called,
                scorer.name,
                scorer.version,
                scorer.better,
                scorer.fair,
                scorer.units,
            )
            own.cells = [_cells(scorer.better, v, values[0], values[base]) for v in values[1:]]
            columns.append(own)
            excesses.append(_excess(scorer.better, values, values[0]))
            if scorer.fair and scorer.better not in IDEALS:
                flags |= _better_than_law(excesses[-1][1:], _SUSPICIOUS_CELL).any(-1)
        if not ranking:
            ranking = _ranking(excesses, base)
    flags |= _better_than_law(np.stack(ranking)[..., None], _SUSPICIOUS_MEAN)[:, 0]
    if dataset.record.summary.get("inexact_law"):
        flags[:] = False  # a model may well be better than what stands for the law
    failed = [int(each.forecast.record.summary["failed_members"]) for each in competitors]
    ranks = _ranks(ranking, failed)
    rows = [
        _row(each, rank, excess, suspicious=bool(flag))
        for each, rank, excess, flag in zip(competitors, ranks, ranking, flags, strict=True)
    ]
    # Ties keep the order of the estimate; failed entries stand last.
    order = sorted(
        range(len(rows)), key=lambda i: (ranks[i], np.nan_to_num(ranking[i][0], nan=np.inf))
    )
    for own in columns:
        own.cells = [own.cells[i] for i in order]
    first = [column.name for column in columns if column.scorer == columns[0].scorer]
    return Board(
        name=name,
        title=title,
        dataset=str(dataset.reference),
        reference=str(reference.forecast.reference),
        baseline=baseline.label,
        ranked_by=(
            f"mean excess {first[0]} over the oracle"
            if len(first) == 1
            else f"mean excess over the oracle in {', '.join(first)}, each as a share of what "
            f"{baseline.label} exceeds it by"
        ),
        cases=len(blocks),
        lead_hours=lead_hours,
        rows=[rows[i] for i in order],
        columns=columns,
        notes=[*_notes(len(np.unique(blocks))), *_pieces(dataset), *_inexact(dataset)],
    )


def _calls(scorers: Sequence[Scorer]) -> list[str]:
    """What tells the columns of each scorer apart: its fields, where a name comes twice."""
    names = [scorer.name for scorer in scorers]
    fields = [scorer.model_dump(mode="json") for scorer in scorers]
    return [
        "" if names.count(name) == 1 else f" ({', '.join(f'{k}={v}' for k, v in own.items())})"
        for name, own in zip(names, fields, strict=True)
    ]


def _ranking(excesses: "Sequence[_Draws]", base: int) -> "list[_Draws]":
    """Excess that ranks: averaged over lead times and over columns.

    Columns (variables, events) have different units, so several are averaged as shares of what the
    baseline exceeds the law by; a single one keeps its units.
    """
    import numpy as np

    means = [excess.mean(-1) for excess in excesses]
    if len(means) > 1:
        means = [mean / mean[base, 0] for mean in means]
    return list(np.mean(means, 0)[1:])


def _better_than_law(excess: "_Draws", errors: float) -> "_Draws":
    """Whether an excess `(row, draw, …)` is below zero by more than `errors` standard errors."""
    import numpy as np

    flags: _Draws = excess[:, 0] < -errors * np.std(excess[:, 1:], axis=1)
    return flags


def _notes(blocks: int) -> list[str]:
    if blocks >= _FEW_BLOCKS:
        return []
    told = (
        f"The intervals come from {blocks} independent test trajectories: below {_FEW_BLOCKS} they "
        f"are too narrow, and ranks too sure. Use more test trajectories."
    )
    return [told]


def _inexact(dataset: Entry) -> list[str]:
    """What stands for the law where it is not exact, and how good its filter is."""
    summary = dataset.record.summary
    told = [summary["inexact_law"]] if summary.get("inexact_law") else []
    skill = summary.get("analysis")
    if skill:
        told.append(
            f"Analyses of the test split are off by {skill['rmse']:.3g} (their spread is "
            f"{skill['spread']:.3g}); the climate's standard deviation is "
            f"{skill['rmse'] / skill['rmse_over_climate']:.3g}."
        )
    return told


def _pieces(dataset: Entry) -> list[str]:
    test = dataset.record.recipe["test"]
    if not test.get("runs") or test["runs"] == test["trajectories"]:
        return []
    told = (
        f"Test trajectories are pieces of {test['runs']} runs, {test['gap']} output steps apart; "
        f"they count as independent."
    )
    return [told]


def _draws(scorer: Scorer, score: Entry, resampling: Any) -> dict[str, "xr.DataArray"]:
    from geobench import scoring

    return dict(scoring.columns(scoring.scores(scorer, score.load(), resampling)))


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
        gap_is_clear = better not in IDEALS and np.quantile(gap[1:, lead], 0.5 - LEVEL / 2) > 0
        cells.append(
            Cell(
                estimate(values[:, lead]),
                estimate(excess[:, lead]),
                estimate(share[:, lead]) if gap_is_clear else None,
            )
        )
    return cells


def estimate(draws: "_Draws") -> Estimate:
    """Estimate (the first draw) with the interval that the other draws give."""
    import numpy as np

    low, high = np.quantile(draws[1:], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Estimate(float(draws[0]), float(low), float(high))


def _ranks(excesses: "Sequence[_Draws]", failed: Sequence[int]) -> list[int]:
    """Rank 1 + the number of entries that are better beyond doubt (paired, 95 %).

    Entries that cannot be told apart share a rank. One of which a member failed (or that has no
    excess) ranks below all that finish.
    """
    import numpy as np

    finished = [
        not bad and bool(np.isfinite(e[0])) for e, bad in zip(excesses, failed, strict=True)
    ]
    ranks = []
    for mine, mine_finished in zip(excesses, finished, strict=True):
        better = 0
        for other, other_finished in zip(excesses, finished, strict=True):
            if mine_finished and other_finished:
                better += bool(np.quantile((other - mine)[1:], 0.5 + LEVEL / 2) < 0)
            else:
                better += other_finished
        ranks.append(1 + better)
    return ranks


def _row(each: Competitor, rank: int, excess: "_Draws", *, suspicious: bool) -> Row:
    fitted, drawn = each.forecaster.record, each.forecast.record
    return Row(
        label=each.label,
        seed=each.seed,
        rank=rank,
        excess=estimate(excess),
        failed=int(drawn.summary["failed_members"]),
        knows_law=bool(fitted.summary["knows_law"]),
        suspicious=suspicious,
        parameters=fitted.summary.get("parameters"),
        sample_passes=fitted.summary.get("sample_passes"),
        training_seconds=fitted.seconds,
        evaluations=float(drawn.summary.get("evaluations_per_step", "nan")),
        seconds_per_member=float(drawn.summary.get("seconds_per_member", "nan")),
        members=int(drawn.recipe["members"]),
        entries={
            "forecaster": str(each.forecaster.reference),
            "forecast": str(each.forecast.reference),
        },
    )
