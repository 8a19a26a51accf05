"""Ranks that hold for all pairs at once: an entry is behind those that are better beyond doubt.

A pair is told apart by the difference of its excesses over the same resamples (paired), with
Student's p-value, two-sided. There are many pairs, so the p-values are Holm's (1979): with
probability 0.95 no two equal entries of a board are told apart. Benjamini & Yekutieli (2001) bound
the *share* of false claims instead; Holm lets every single claim be quoted by itself. Both assume
nothing of how pairs depend on one another, which they do, for they share entries. It costs little:
pairs that are clearly apart step out of the way of the close ones.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.leaderboard.estimates import LEVEL

if TYPE_CHECKING:
    from geobench.leaderboard.estimates import Draws


def ranks(
    excesses: "Sequence[Draws]", failed: Sequence[int], degrees: float = float("inf")
) -> list[int]:
    """Rank 1 + the number of entries that are better beyond doubt (95 %, over all pairs).

    Entries that cannot be told apart share a rank, but none ranks ahead of one with a smaller
    excess: that little is known of it is no merit. One of which a member failed (or that has no
    excess) ranks below all that finish. `degrees` of freedom: those of the bootstrap.
    """
    import numpy as np

    finished = [
        place
        for place, (own, bad) in enumerate(zip(excesses, failed, strict=True))
        if not bad and np.isfinite(own[0])
    ]
    found = [1 + len(finished)] * len(excesses)
    behind = _behind([excesses[place] for place in finished], degrees)
    least = 1
    for place, better in sorted(
        zip(finished, behind, strict=True), key=lambda at: excesses[at[0]][0]
    ):
        least = found[place] = max(least, 1 + sum(better))
    return found


def _behind(excesses: "Sequence[Draws]", degrees: float) -> list[list[bool]]:
    """Of each entry: which others are better, beyond doubt."""
    count = len(excesses)
    pairs = [(one, other) for one in range(count) for other in range(one)]
    p = holm([different(excesses[one] - excesses[other], degrees) for one, other in pairs])
    behind = [[False] * count for _ in range(count)]
    for (one, other), own in zip(pairs, p, strict=True):
        worse, better = (one, other) if excesses[one][0] > excesses[other][0] else (other, one)
        behind[worse][better] = own <= 1 - LEVEL
    return behind


def different(draws: "Draws", degrees: float) -> float:
    """Student's p-value, two-sided, of an estimate (the first draw) that should be zero."""
    from scipy import special

    from geobench.resampling import error

    value, own = abs(float(draws[0])), float(error(draws, degrees))
    if own <= 1e-12 * value:  # the same difference in every resample
        return float(value == 0)
    return float(2 * special.stdtr(degrees, -value / own))


def holm(p: Sequence[float]) -> list[float]:
    """p-values that hold for all tests at once; NaN says nothing, and is no test (Holm, 1979)."""
    import numpy as np

    told = np.array(p, float)
    order = np.argsort(told, kind="stable")[: np.isfinite(told).sum()]  # NaN stands last
    left = len(order) - np.arange(len(order))
    told[order] = np.minimum(1, np.maximum.accumulate(np.append(told[order] * left, 0))[:-1])
    return [float(each) for each in told]
