"""The model confidence set: the entries that may be the best (Hansen, Lunde & Nason, 2011).

While the entries left differ significantly, the worst leaves. The best of all is among those that
stay with 95 %. The statistic is the largest score of two entries; its distribution under equality
is that of `pairs`, so that the set and the rank ranges share it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geobench.statistics.pairs import Differences


def p_values(pairs: "Differences") -> list[float]:
    """Of each entry: the level at which it just leaves the set; 1 for the best."""
    import numpy as np

    left, leaving, largest = list(range(len(pairs.scores))), [], []
    while len(left) > 1:
        scores = np.nan_to_num(pairs.scores[np.ix_(left, left)], nan=0.0, posinf=np.inf)
        worst = left[int(np.unravel_index(np.argmax(scores), scores.shape)[0])]
        leaving.append(worst)
        largest.append(scores.max())
        left.remove(worst)
    # From the last two upwards, entries come back, and with each the pairs that it is in.
    null, levels = np.zeros(len(pairs.null)), []
    for worst, score in zip(reversed(leaving), reversed(largest), strict=True):
        null = np.maximum(null, pairs.of_equals(worst, left))
        levels.append((1 + int((null >= score).sum())) / (1 + len(null)))
        left.append(worst)
    p, reached = [1.0] * len(pairs.scores), 0.0
    for worst, level in zip(leaving, reversed(levels), strict=True):
        reached = max(reached, level)
        p[worst] = reached
    return p
