"""Every entry beside every other one, lead time by lead time: which is better beyond doubt.

A difference is paired, case by case, in per cent of the other's score, with Student's p-value over
the same blocks of cases as the board's intervals. 95 % of single cells, not of all at once: a card
shows patterns, and of many cells some are told apart by chance. Of several seeds it is the mean of
these seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.interfaces.scorer import IDEALS
from geobench.leaderboard.board import Board, resampled
from geobench.leaderboard.estimates import LEVEL
from geobench.leaderboard.exhibit import Exhibit

if TYPE_CHECKING:
    from geobench.resampling import Resampling


@dataclass(frozen=True)
class Scorecard:
    """One scorer: its columns (variables, events), and differences of each pair of rows.

    `change[column][reference][row][lead]`: per cent, positive where the row is better than the
    reference; None where there is no score. `clear`: the same, whether it is beyond doubt.
    """

    scorer: str
    columns: Sequence[str]
    change: list[list[list[list[float | None]]]]
    clear: list[list[list[list[bool]]]]


def scorecards(exhibit: Exhibit) -> list[Scorecard]:
    """Return the cards of the scorers whose score is a quantity of its own, not a distance."""
    wanted = [
        place
        for place, scorer in enumerate(exhibit.scorers)
        if scorer.better not in IDEALS and not scorer.needs_law and scorer.proper
    ]
    resampling = resampled(
        exhibit.dataset, exhibit.scorers[0], [exhibit.reference, *exhibit.competitors]
    )
    return [_card(exhibit, place, resampling) for place in wanted]


def reference_row(board: Board) -> int:
    """Row to compare with at first: the best that is a model, else the first of all."""
    own = [place for place, row in enumerate(board.rows) if not (row.knows_law or row.failed)]
    return own[0] if own else 0


def _card(exhibit: Exhibit, place: int, resampling: "Resampling") -> Scorecard:
    import numpy as np

    from geobench import scoring

    scorer = exhibit.scorers[place]
    found = [
        [scoring.contributions(scorer, run.statistics(place)) for run in own.runs]
        for own in exhibit.competitors
    ]
    change, clear = [], []
    for column in found[0][0]:
        cases = np.stack([  # (row, case, lead)
            np.mean([each[column].to_numpy() for each in runs], 0) for runs in found
        ])  # fmt: skip
        sign = 1 if scorer.better == "higher" else -1
        per_cent, sure = _compared(cases, sign, resampling)
        change.append([[_told(row) for row in each] for each in per_cent])
        clear.append(sure.tolist())
    return Scorecard(scorer.name, list(found[0][0]), change, clear)


def _compared(cases: Any, sign: int, resampling: "Resampling") -> Any:
    """Change in per cent and whether it is clear, `(reference, row, lead)`."""
    import numpy as np
    from scipy import special

    means = cases.mean(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_cent = sign * 100 * (means[None] - means[:, None]) / abs(means[:, None])
    sure = np.zeros(per_cent.shape, bool)
    needed = float(special.stdtrit(resampling.degrees, 0.5 + LEVEL / 2))
    for one in range(len(cases)):
        for other in range(one):
            for lead in range(cases.shape[2]):
                apart = cases[one, :, lead] - cases[other, :, lead]
                error = resampling.variance(apart) ** 0.5
                sure[one, other, lead] = sure[other, one, lead] = abs(apart.mean()) > needed * error
    return per_cent, sure


def _told(values: Any) -> list[float | None]:
    import numpy as np

    return [round(float(each), 2) if np.isfinite(each) else None for each in values]
