"""Every entry beside every other one, lead time by lead time: which is better beyond doubt.

A difference is paired, case by case, in per cent of the other's score, with Student's p-value over
the same blocks of cases as the board's intervals. 95 % of single cells, not of all at once: a card
shows patterns, and of many cells some differ significantly by chance. Of several seeds it is the
mean of these seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.board import excess
from geobench.board.comparison import Comparison
from geobench.board.model import Board
from geobench.board.sampling import resampled
from geobench.contracts.scorer import IDEALS
from geobench.statistics.estimates import LEVEL
from geobench_catalog.json_values import json_values

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws
    from geobench.statistics.resampling import Resampling


@dataclass(frozen=True)
class Scorecard:
    """One scorer: its columns (variables, events), and differences of each pair of rows.

    `means[column][row][lead]`; None where there is no score. `sign`: 1 if a higher one is better,
    else -1. `clear[column][reference][row][lead]`: whether the difference is beyond doubt.
    """

    scorer: str
    columns: Sequence[str]
    sign: int
    means: list[list[list[float | None]]]
    clear: list[list[list[list[bool]]]]

    def change(self, column: int, reference: int, row: int) -> list[float | None]:
        """Per cent by lead time, positive where the row is better than the reference."""
        means, other = self.means[column][row], self.means[column][reference]
        return [
            self.sign * 100 * (a - b) / abs(b) if a is not None and b else None
            for a, b in zip(means, other, strict=True)
        ]


def scorecards(comparison: Comparison) -> list[Scorecard]:
    """Return the cards of the scorers whose score is a quantity of its own, not a distance."""
    wanted = [
        index
        for index, scorer in enumerate(comparison.scorers)
        if scorer.better not in IDEALS and not scorer.needs_law and scorer.proper
    ]
    resampling = resampled(
        comparison.dataset,
        comparison.scorers[0],
        [comparison.reference, *comparison.competitors],
        form=comparison.forms[0] if comparison.forms else None,
    )
    return [_card(comparison, index, resampling) for index in wanted]


def reference_row(board: Board) -> int:
    """Row to compare with at first: the best that is a model, else the first of all."""
    candidates = [
        index for index, row in enumerate(board.rows) if not (row.knows_law or row.failed)
    ]
    return candidates[0] if candidates else 0


def _card(comparison: Comparison, index: int, resampling: "Resampling") -> Scorecard:
    import numpy as np

    scorer = comparison.scorers[index]
    scored = scores_of_cases(comparison, index)
    counts = [len(competitor.runs) for competitor in comparison.competitors]
    ends = np.cumsum(counts)[:-1]
    means, clear = [], []
    for values in scored.values():
        cases = np.stack([part.mean(0) for part in np.split(values, ends)])  # (row, case, lead)
        means.append([json_values(list(row), 7) for row in cases.mean(1)])
        clear.append(_clear(cases, resampling).tolist())
    sign = 1 if scorer.better == "higher" else -1
    return Scorecard(scorer.name, list(scored), sign, means, clear)


def scores_of_cases(comparison: Comparison, index: int) -> "dict[str, Draws]":
    """Scores of every run and case, by column: `(run, case, lead)`.

    Where all have scores by the law form, they are the law's mean score against the outcome, plus
    the excess of each case over the law.
    """
    from geobench import scoring

    scorer = comparison.scorers[index]
    form = comparison.forms[index] if comparison.forms else None
    if form is None or not excess.complete(index, comparison.competitors):
        by_run = [
            run.statistics(index)
            for competitor in comparison.competitors
            for run in competitor.runs
        ]
        return scoring.contributions(scorer, by_run)
    law = scoring.contributions(scorer, [comparison.reference.statistics(index)])
    beyond = scoring.contributions(form, excess.statistics(index, comparison.competitors))
    sign = -1 if scorer.better == "higher" else 1
    return {
        name: values.mean(1, keepdims=True) + sign * more
        for (name, values), more in zip(law.items(), beyond.values(), strict=True)
    }


def _clear(cases: Any, resampling: "Resampling") -> Any:
    """Whether two rows differ, `(reference, row, lead)`, of values of cases `(row, case, lead)`."""
    import numpy as np
    from scipy import special

    needed = float(special.stdtrit(resampling.degrees, 0.5 + LEVEL / 2))
    sure = np.zeros((len(cases), *cases.shape[::2]), bool)
    for one in range(len(cases)):
        apart = np.moveaxis(cases[one] - cases[:one], 1, 0)
        errors = resampling.variance(apart) ** 0.5
        sure[one, :one] = abs(apart.mean(0)) > needed * errors
    return sure | sure.swapaxes(0, 1)
