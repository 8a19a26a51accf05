"""Which of all pairs of entries differ significantly, and the rank ranges that follow.

The difference of two excesses is paired: both are resampled with the same cases. Over its standard
error, with Student's distribution, it becomes a normal score. There are many pairs, and the largest
of many scores is large by chance. So it is compared with the largest of as many normal scores with
the same correlations, which the covariance of the resamples gives (pairs share entries). Pairs that
are clear leave, and the others are compared among themselves: the step-down max-t procedure of
Romano & Wolf (2005, Econometrica 73, 1237). With probability 0.95 no two equal entries of a board
are called different. It finds more than Holm's procedure (1979), which assumes nothing of how pairs
depend on one another: eight equal models have 28 pairs, but only eight means.

From the pairs follow ranges for all ranks at once (Mogstad, Romano, Shaikh & Wilhelm, 2024, Review
of Economic Studies 91, 476): from 1 + the number of entries that are significantly better, to the
number of entries less those that are significantly worse.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from geobench.leaderboard.estimates import LEVEL
from geobench.leaderboard.seeds import Mean, joint_degrees

if TYPE_CHECKING:
    from geobench.leaderboard.estimates import Draws

_DRAWS = 4000  # of the null distribution; a level of 0.05 has a standard error of 0.0034
_KEY = 20261129


class Rank(NamedTuple):
    """Place by excess, from 1, and the range of ranks that the entry may have, at 95 %."""

    number: int
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Differences:
    """All pairs of entries: normal scores, and the null distribution with their correlations.

    `scores[one, other]` is positive where `one` is worse; infinite where two entries differ by the
    same in every resample, NaN where nothing is known. `null` `(draw, entry)` over `errors`
    `(one, other)` gives scores of equal entries.
    """

    scores: "Draws"
    errors: "Draws"
    null: "Draws"

    def of_equals(self, one: int, others: Sequence[int]) -> "Draws":
        """Largest absolute score of one entry against others, were all equal `(draw,)`."""
        import numpy as np

        apart = abs(self.null[:, [one]] - self.null[:, list(others)])
        with np.errstate(invalid="ignore", divide="ignore"):
            found = apart / self.errors[one, list(others)]
        largest: Draws = np.where(np.isfinite(found), found, 0).max(1)
        return largest


def differences(means: Sequence[Mean], degrees: float = float("inf")) -> Differences:
    """Compare all pairs; `degrees` of freedom are those of the bootstrap."""
    import numpy as np
    from scipy import special

    from geobench.resampling import student

    values = np.array([float(each.over_cases[0]) for each in means])
    draws = np.stack([each.over_cases[1:] for each in means]) / student(degrees)
    extra = np.array([float(each.extra) for each in means])
    freedom = np.array([each.degrees for each in means])
    paired = np.stack([(draws - own).var(1) for own in draws])
    seeds = extra[:, None] + extra
    joint = seeds**2 / (extra**2 / freedom + (extra**2 / freedom)[:, None] + (seeds == 0))
    free = joint_degrees(paired, seeds, degrees, np.where(seeds > 0, joint, 1.0))
    errors = np.sqrt(paired + seeds)
    gaps = values[:, None] - values
    # What differs by the same in every resample is sure; rounding is no difference.
    tiny = 1e-12 * abs(values).max(initial=0)
    errors[errors <= tiny] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        tails = special.stdtr(free, -abs(gaps / errors))
        scores = np.copysign(-special.ndtri(tails), gaps)
    sure = np.where(abs(gaps) > tiny, np.copysign(np.inf, gaps), 0)
    scores = np.where(errors == 0, sure, scores)
    return Differences(scores, errors, _normal(np.atleast_2d(np.cov(draws, bias=True)) + np.diag(extra)))


def _normal(covariance: "Draws") -> "Draws":
    """Normal numbers `(draw, entry)` with this covariance, the same in every run."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=_KEY))
    drawn = generator.standard_normal((_DRAWS, len(covariance)))
    if not np.isfinite(covariance).all():
        return np.full_like(drawn, np.nan)
    values, vectors = np.linalg.eigh(covariance)
    found: Draws = drawn @ (vectors * np.sqrt(np.maximum(0, values))).T
    return found


def p_values(found: Differences) -> "Draws":
    """p-values of all pairs `(entry, entry)`, which hold for all at once; NaN is no test."""
    import numpy as np

    count = len(found.scores)
    p = np.full((count, count), np.nan)
    largest, stepped = np.zeros(len(found.null)), []
    for one, other in _from_the_closest(abs(found.scores)):
        largest = np.maximum(largest, found.of_equals(one, [other]))
        beyond = (largest >= abs(found.scores[one, other])).sum()
        stepped.append((one, other, (1 + beyond) / (1 + len(largest))))
    reached = 0.0
    for one, other, level in reversed(stepped):  # no pair before one with a larger score
        reached = max(reached, float(level))
        p[one, other] = p[other, one] = reached
    return p


def _from_the_closest(sizes: "Draws") -> Iterator[tuple[int, int]]:
    """Pairs in order of their scores, the smallest first; those without one are left out."""
    import numpy as np

    one, other = np.tril_indices(len(sizes), -1)
    known = ~np.isnan(sizes[one, other])
    order = np.argsort(sizes[one, other][known], kind="stable")
    for place in order:
        yield int(one[known][place]), int(other[known][place])


def significantly_worse(found: Differences) -> "Draws":
    """Whether the first of a pair `(entry, entry)` is worse than the second, at 95 %."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        worse: Draws = (p_values(found) <= 1 - LEVEL) & (found.scores > 0)
    return worse


def ranks(
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

    values = [float(each.draws[0]) for each in means]
    placed = [place for place in range(len(means)) if not counted or counted[place]]
    finished = [place for place in placed if not failed[place] and np.isfinite(values[place])]
    finished.sort(key=lambda place: values[place])
    found: list[Rank | None] = [None] * len(means)
    if finished:
        worse = significantly_worse(differences([means[place] for place in finished], degrees))
        for number, place in enumerate(finished):
            low, high = 1 + int(worse[number].sum()), len(finished) - int(worse[:, number].sum())
            found[place] = Rank(number + 1, low, high)
    rest = [place for place in placed if place not in finished]
    for number, place in enumerate(rest, len(finished) + 1):
        found[place] = Rank(number, len(finished) + 1, len(placed))
    return found
