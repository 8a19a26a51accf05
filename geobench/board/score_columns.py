"""The columns of a board: each score with its interval, its excess and its skill."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from geobench.board.excess import OUTCOME, Excess, excesses
from geobench.board.model import ScoreCell, ScoreColumn
from geobench.board.sampling import some
from geobench.board.setup import Setup
from geobench.contracts import scorer as scores
from geobench.contracts.scorer import IDEALS, Orientation, Scorer
from geobench.statistics.estimates import LEVEL, estimates

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws

# Standard errors better than the law. By chance: once in 3 million for each lead time of each
# score. Law forms are skewed: see `excess.SKEWED`.
_SUSPICIOUS = 5.0


@dataclass(frozen=True, eq=False)
class Scored:
    """The columns of one scorer."""

    columns: list[ScoreColumn]
    excesses: list[Excess]
    """Of every run, by column."""
    suspicious: Any
    """Whether a competitor is better than the law, beyond chance, at any lead time."""


def scored(setup: Setup, index: int) -> Scored:
    """Make the columns of the scorer at this index."""
    import numpy as np

    from geobench import scoring

    scorer = setup.scorers[index]
    statistics = [
        some(run.statistics(index, like=setup.entries[1]), setup.cases) for run in setup.runs
    ]
    draws = scoring.scores(scorer, statistics, setup.resampling)
    beyond_law = excesses(
        scorer, setup.forms[index], index, setup.entries, draws, setup.resampling, setup.cases
    )
    columns, suspicious = [], np.zeros(len(setup.competitors), bool)
    for (name, values), beyond in zip(draws.items(), beyond_law, strict=True):
        columns.append(_column(setup, scorer, name, values, beyond))
        if scorer.fair and scorer.orientation(name) not in IDEALS:
            suspicious |= _too_good(setup, beyond)
    return Scored(columns, beyond_law, suspicious)


def _column(
    setup: Setup, scorer: Scorer, name: str, values: "Draws", beyond: Excess
) -> ScoreColumn:
    """Make one column, of draws of scores and of excess `(run, draw, lead)`."""
    better = scorer.orientation(name)
    joined = setup.joined(setup.entries, list(values))
    gaps = (
        scores.excess(better, joined, joined[0])
        if beyond.source == OUTCOME
        else setup.joined(setup.entries, list(beyond.runs))
    )
    return ScoreColumn(
        name + _distinction(scorer, setup.scorers),
        scorer.name,
        scorer.version,
        better,
        scorer.fair,
        scorer.units,
        cells(better, joined[1:], gaps[1:], gaps[setup.base], centred=not scorer.fair),
        # A scorer that compares with draws of the true distribution is its own law form.
        scorer.name if scorer.needs_law else beyond.source,
    )


def _distinction(scorer: Scorer, scorers: Sequence[Scorer]) -> str:
    """The fields of a scorer, behind the names of its columns, if another has the same name."""
    if [other.name for other in scorers].count(scorer.name) == 1:
        return ""
    fields = {k: v for k, v in scorer.recipe().items() if k not in ("use", "version")}
    return f" ({', '.join(f'{key}={value}' for key, value in fields.items())})"


def _too_good(setup: Setup, beyond: Excess) -> Any:
    """Whether each competitor is better than the law at any lead time."""
    import numpy as np

    flags = np.zeros(len(setup.competitors), bool)
    for draws, further in beyond.too_good():
        tested = setup.joined(setup.entries, list(draws))
        errors = setup.resampling.errors(_SUSPICIOUS + further)
        flags |= better_than_law(tested[1:], errors).any(-1)
    return flags


def better_than_law(excess: "Draws", errors: float) -> "Draws":
    """Whether an excess `(row, draw, …)` is below zero by more than `errors` standard errors."""
    import numpy as np

    flags: Draws = excess[:, 0] < -errors * np.std(excess[:, 1:], axis=1)
    return flags


def cells(
    better: Orientation, values: Any, excess: Any, gap: Any, *, centred: bool = False
) -> list[list[ScoreCell]]:
    """Cells by row and lead time, of draws of scores and of their excess `(row, draw, lead)`.

    `gap`: the excess of the baseline `(draw, lead)`.
    """
    import numpy as np

    of_scores = partial(estimates, centred=centred)
    # Chance makes a distance from an ideal value larger, as it does squares.
    of_excess = partial(estimates, centred=centred or better in IDEALS)
    clear = np.quantile(gap[1:], 0.5 - LEVEL / 2, axis=0) > 0
    has_skill = clear & (better not in IDEALS)
    rows = []
    for score, beyond in zip(values, excess, strict=True):
        with np.errstate(invalid="ignore", divide="ignore"):
            skill = 1 - beyond / gap
        columns = zip(of_scores(score), of_excess(beyond), of_scores(skill), has_skill, strict=True)
        rows.append([ScoreCell(s, e, closed if known else None) for s, e, closed, known in columns])
    return rows
