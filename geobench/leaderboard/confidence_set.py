"""The model confidence set: the entries that may be the best (Hansen, Lunde & Nason, 2011).

While the entries left are not alike, beyond doubt, the worst steps out. The best of all is among
those that stay with 95 %. The statistic is the largest difference of two excesses in standard
errors; its law under equality comes from the resamples that the board's intervals are made of, so
that set and intervals share their weights and the dependence between cases. Resamples of few
blocks have lighter tails than Student's t: a difference counts as what is as improbable for a
normal law.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geobench.leaderboard.estimates import Draws


def p_values(excesses: "Sequence[Draws]", degrees: float = float("inf")) -> list[float]:
    """Of each entry: the level at which it just leaves the set; 1 for the best.

    `excesses` are draws of mean losses, the first of each being the estimate; `degrees` of freedom
    are those of the bootstrap.
    """
    import numpy as np
    from scipy import special

    from geobench.resampling import student

    if not excesses:
        return []
    draws = np.stack(excesses)
    gaps = draws[:, None] - draws[None]  # (worse, better, draw)
    errors, tiny = gaps[..., 1:].std(-1), 1e-12 * abs(draws[:, 0]).max()
    fixed = errors <= tiny  # in every resample alike, or apart by the same
    scale = np.where(fixed, 1, errors)
    sure = np.where(abs(gaps[..., 0]) > tiny, np.copysign(np.inf, gaps[..., 0]), 0)
    apart = np.where(fixed, sure, gaps[..., 0] / scale * student(degrees))
    null = abs(gaps[..., 1:] - gaps[..., :1]) / scale[..., None]
    left, found, reached = list(range(len(draws))), [1.0] * len(draws), 0.0
    while len(left) > 1:
        own = np.ix_(left, left)
        worst, _ = np.unravel_index(np.argmax(apart[own]), apart[own].shape)
        largest = -special.ndtri(special.stdtr(degrees, -apart[own].max()))
        beyond = (null[own].max((0, 1)) >= largest).sum()
        reached = max(reached, float((1 + beyond) / (1 + null.shape[-1])))
        found[left[worst]] = reached
        del left[int(worst)]
    return found
