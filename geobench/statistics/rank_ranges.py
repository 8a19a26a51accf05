"""Ranges of ranks that hold for all entries at once.

From the pairs that differ significantly follow ranges for all ranks (Mogstad, Romano, Shaikh &
Wilhelm, 2024, Review of Economic Studies 91, 476): from 1 + the number of entries that are
significantly better, to the number of entries less those that are significantly worse.
"""

from collections.abc import Sequence
from typing import NamedTuple

from geobench.statistics.pairs import differences, significantly_worse
from geobench.statistics.seeds import Mean


class Rank(NamedTuple):
    """Place by excess, from 1, and the range of ranks that the entry may have, at 95 %."""

    number: int
    low: int
    high: int


def rank_ranges(
    means: Sequence[Mean],
    failed: Sequence[bool],
    degrees: float = float("inf"),
    *,
    counted: Sequence[bool] = (),
) -> list[Rank | None]:
    """Number entries by their excess, with the range of ranks that each may have.

    Those not `counted` (they know the true distribution) have none. An entry of which a member
    `failed`, or that has no excess, ranks below all that finish.
    """
    import numpy as np

    values = [float(mean.draws[0]) for mean in means]
    placed = [entry for entry in range(len(means)) if not counted or counted[entry]]
    finished = [entry for entry in placed if not failed[entry] and np.isfinite(values[entry])]
    finished.sort(key=lambda entry: values[entry])
    ranks: list[Rank | None] = [None] * len(means)
    if finished:
        worse = significantly_worse(differences([means[entry] for entry in finished], degrees))
        for number, entry in enumerate(finished):
            low, high = 1 + int(worse[number].sum()), len(finished) - int(worse[:, number].sum())
            ranks[entry] = Rank(number + 1, low, high)
    rest = [entry for entry in placed if entry not in finished]
    for number, entry in enumerate(rest, len(finished) + 1):
        ranks[entry] = Rank(number, len(finished) + 1, len(placed))
    return ranks
