"""Compare scored forecasts with the true distribution: from entries of the catalog to a board.

The excess is paired: model and reference are resampled with the same cases, so what both find hard
cancels. Rank ranges and the model confidence set are of the mean excess of the first score, and
hold for all entries at once.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from geobench.board.competitor import Competitor
from geobench.board.model import Board, Row, ScoreColumn
from geobench.board.notes import notes
from geobench.board.placing import Placing, placing
from geobench.board.rows import mark_the_unsound, rows
from geobench.board.sampling import resampled
from geobench.board.score_columns import scored
from geobench.board.setup import Setup
from geobench.contracts.scorer import Scorer
from geobench.statistics.seeds import Summary, summaries
from geobench.twin.cases import check_whole
from geobench_catalog import Entry


def compare(
    name: str,
    title: str,
    dataset: Entry,
    scorers: Sequence[Scorer],
    *,
    reference: Competitor,
    baseline: Competitor,
    competitors: Sequence[Competitor],
    cases: Sequence[int] | None = None,
    forms: Sequence[Scorer | None] = (),
    seeds_of: Mapping[str, Sequence[int]] = MappingProxyType({}),
    deterministic: Collection[str] = (),
) -> Board:
    """Compare `competitors` (the baseline among them) with `reference`; default: on all cases.

    What several seeds joined (`over_seeds`) is the mean of their scores, over cases and seeds.
    `forms`: the law form of each scorer, from which its excess comes where all have such scores.
    `seeds_of`: those that such a mean should hold, by label. `deterministic`: labels of the models
    that say themselves that all their members are equal.
    """
    entries = [reference, *competitors]
    for run in (run for entry in entries for run in entry.runs):
        check_whole(run.forecast)
    forms = forms or [None] * len(scorers)
    resampling = resampled(dataset, scorers[0], entries, cases, forms[0])
    setup = Setup(dataset, scorers, forms, reference, baseline, competitors, cases, resampling)
    columns, placed, suspicious = _columns(setup)
    unordered = rows(setup, placed, suspicious)
    mark_the_unsound(unordered, competitors, seeds_of, deterministic)
    order = _order(unordered, placed)
    for column in columns:
        column.cells = [column.cells[index] for index in order]
    return Board(
        name=name,
        title=title,
        dataset=str(dataset.reference),
        reference=str(reference.forecast.reference),
        baseline=baseline.label,
        ranked_by=_ranked_by(columns, baseline.label),
        cases=resampling.weights.shape[1],
        lead_hours=_lead_hours(setup),
        rows=[unordered[index] for index in order],
        columns=columns,
        notes=notes(setup, unordered, columns),
        resampled=resampling.described(),
        models=_over_seeds(setup, placed),
        draws=len(resampling.weights) - 1,
    )


def _columns(setup: Setup) -> tuple[list[ScoreColumn], Placing, Sequence[bool]]:
    """Columns of all scorers, the placing by the first, and whether each row is suspicious.

    A model may well be better than a law that is not exact, and is not suspicious then.
    """
    first = scored(setup, 0)
    placed = placing(setup, first.excesses)
    columns, suspicious = first.columns, first.suspicious | placed.suspicious
    del first  # its draws are large
    for index in range(1, len(setup.scorers)):
        further = scored(setup, index)
        columns += further.columns
        suspicious |= further.suspicious
    exact = not setup.dataset.record.summary.get("inexact_law")
    return columns, placed, (suspicious & exact).tolist()


def _order(rows: Sequence[Row], placed: Placing) -> list[int]:
    """Indices of the rows by excess; those that failed, or have no excess, come last."""
    import numpy as np

    def key(index: int) -> tuple[bool, float]:
        excess = float(np.nan_to_num(placed.means[index].draws[0], nan=np.inf))
        return rows[index].failed > 0, excess

    return sorted(range(len(rows)), key=key)


def _ranked_by(columns: Sequence[ScoreColumn], baseline: str) -> str:
    """Say what places the rows."""
    names = [column.name for column in columns if column.scorer == columns[0].scorer]
    if len(names) == 1:
        return f"mean excess {names[0]} over the oracle"
    return f"mean excess over the oracle in {', '.join(names)}, each divided by that of {baseline}"


def _lead_hours(setup: Setup) -> list[float]:
    import numpy as np

    lead_time = setup.reference.statistics(len(setup.scorers) - 1)["lead_time"].to_numpy()
    hours: list[float] = (lead_time / np.timedelta64(3600, "s")).tolist()
    return hours


def _over_seeds(setup: Setup, placed: Placing) -> list[Summary]:
    """Summaries of the models of several seeds; a seed with failed members has no excess."""
    import numpy as np

    runs = setup.runs[1:]
    excesses = [
        np.nan * excess if run.forecast.record.summary["failed_members"] else excess
        for excess, run in zip(placed.runs, runs, strict=True)
    ]
    labels, seeds = [run.label for run in runs], [run.seed for run in runs]
    trained = [run.trained for run in runs]
    return summaries(labels, seeds, excesses, setup.degrees, trained)
