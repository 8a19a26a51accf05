"""The excess that places the rows: its mean, the rank ranges, and the models that may be best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.board.excess import Excess
from geobench.board.model import Row
from geobench.board.score_columns import better_than_law
from geobench.board.setup import Setup
from geobench.statistics import confidence_set, pairs
from geobench.statistics.estimates import LEVEL
from geobench.statistics.seeds import Mean

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws

_SUSPICIOUS = 4.0  # standard errors better than the law; by chance: once in 30,000 rows


@dataclass(frozen=True, eq=False)
class Placing:
    """The excess by which rows are placed, averaged over lead times and columns."""

    runs: "list[Draws]"
    """Of every run of every competitor."""
    means: list[Mean]
    """Of the competitors, over their seeds."""
    suspicious: Any
    """Whether a competitor is better than the law, beyond chance."""


def placing(setup: Setup, excesses: Sequence[Excess]) -> Placing:
    """Average the excess of the columns of the scorer that ranks."""
    import numpy as np

    base = sum(len(entry.runs) for entry in setup.entries[: setup.base])
    columns = [excess.runs for excess in excesses]
    runs = averaged(columns, base)
    suspicious = np.zeros(len(setup.competitors), bool)
    for tests in zip(*(excess.too_good() for excess in excesses), strict=True):
        overall = averaged([draws for draws, _ in tests], base, columns)
        tested = setup.joined(setup.competitors, overall)[..., None]
        errors = setup.resampling.errors(_SUSPICIOUS + tests[0][1])
        suspicious |= better_than_law(tested, errors)[:, 0]
    return Placing(runs, setup.means(setup.competitors, runs), suspicious)


def averaged(
    columns: "Sequence[Draws]", base: int, excess: "Sequence[Draws] | None" = None
) -> "list[Draws]":
    """Average over lead times and over columns; the first run, the reference's, is left out.

    Columns (variables, events) have different units, so several are averaged as shares of what the
    baseline, the run at `base`, exceeds the law by; a single one keeps its units. `excess`: that of
    the columns, if they are something else in its units.
    """
    import numpy as np

    means = [column.mean(-1) for column in columns]
    if len(means) > 1:
        gaps = [column.mean(-1)[base, 0] for column in excess or columns]
        means = [mean / gap for mean, gap in zip(means, gaps, strict=True)]
    return list(np.mean(means, 0)[1:])


def mark_the_set(rows: Sequence[Row], means: Sequence[Mean], degrees: float) -> None:
    """Say which rows are in the model confidence set of those that are models, and finished."""
    import numpy as np

    candidates = [
        index
        for index, row in enumerate(rows)
        if not (row.knows_law or row.failed) and np.isfinite(means[index].draws).all()
    ]
    if not candidates:
        return
    differences = pairs.differences([means[index] for index in candidates], degrees)
    for index, p in zip(candidates, confidence_set.p_values(differences), strict=True):
        rows[index].set_p, rows[index].in_set = p, p > 1 - LEVEL
