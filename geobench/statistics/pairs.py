"""Which of all pairs of entries differ significantly.

The difference of two excesses is paired: both are resampled with the same cases. Over its standard
error, with Student's distribution, it becomes a normal score. There are many pairs, and the largest
of many scores is large by chance. So it is compared with the largest of as many normal scores with
the same correlations, which the covariance of the resamples gives (pairs share entries). Pairs that
are clear leave, and the others are compared among themselves: the step-down max-t procedure of
Romano & Wolf (2005, Econometrica 73, 1237). With probability 0.95 no two equal entries of a board
are called different. It finds more than Holm's procedure (1979), which assumes nothing of how pairs
depend on one another: eight equal models have 28 pairs, but only eight means.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geobench.statistics.estimates import LEVEL
from geobench.statistics.seeds import Mean

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws

_DRAWS = 4096  # of the null distribution; a level of 0.05 has a standard error of 0.0034
_POINTS = 128  # that an unknown variance between seeds is integrated over
_KEY = 20261129


@dataclass(frozen=True, eq=False)
class Differences:
    """All pairs of entries: normal scores, and what they would be if all were equal.

    `scores[one, other]` is positive where `one` is worse; infinite where two entries differ by the
    same in every resample, NaN where nothing is known. `null` are draws `(draw, entry)` of equal
    entries; `variances` `(entry, entry)` those of differences over cases, `extra` `(point, entry)`
    what seeds may add to the variance of each entry, all points being as likely.
    """

    scores: "Draws"
    null: "Draws"
    variances: "Draws"
    extra: "Draws"

    def of_equals(self, one: int, others: Sequence[int]) -> "Draws":
        """Largest absolute score of one entry against others, were all equal `(draw,)`."""
        import numpy as np

        largest = np.zeros(len(self.null))
        for other in others:
            sizes = abs(self.null[:, one] - self.null[:, other])
            spread = self.variances[one, other] + self.extra[:, one] + self.extra[:, other]
            if not np.isfinite(spread).all() or not spread.any():
                continue
            largest = np.maximum(largest, normal_scores(sizes, spread))
        return largest


def normal_scores(sizes: "Draws", variances: "Draws") -> "Draws":
    """Normal scores of absolute differences, whose variance is any of `variances`, as likely each.

    The tail is that of a mixture of normal laws. It is computed at a few sizes, and interpolated.
    """
    import numpy as np
    from scipy import special

    errors = np.sqrt(variances)
    if np.ptp(errors) <= 1e-9 * errors[0]:
        return np.asarray(sizes / errors[0])
    if np.ndim(sizes) == 0:
        return np.asarray(-special.ndtri(special.ndtr(-sizes / errors).mean()))
    grid = np.append(0, np.geomspace(0.01 * errors.min(), max(sizes.max(), errors.min()), 24))
    tails = special.ndtr(-grid[:, None] / errors).mean(1)
    scores: Draws = np.interp(sizes, grid, -special.ndtri(tails))
    return scores


def differences(means: Sequence[Mean], degrees: float = float("inf")) -> Differences:
    """Compare all pairs; `degrees` of freedom are those of the bootstrap."""
    import numpy as np
    from scipy import special

    from geobench.statistics.resampling import student

    values = np.array([float(mean.over_cases[0]) for mean in means])
    draws = np.stack([mean.over_cases[1:] for mean in means]) / student(degrees)
    variances = np.stack([(draws - entry).var(1) for entry in draws])
    tiny = 1e-12 * abs(values).max(initial=0)
    variances[variances <= tiny**2] = 0  # the same difference in every resample, but for rounding
    uniform = _uniform(_POINTS, 1 + len(means))
    extra = np.stack([mean.by_seeds(uniform[:, i]) for i, mean in enumerate(means)], 1)
    # Few blocks leave open how large a variance over cases is, as Student's distribution has it.
    unsure = degrees / special.chdtri(degrees, uniform[:, -1]) if degrees < 1e6 else 1.0
    gaps = values[:, None] - values
    scores = np.zeros_like(variances)
    for one, other in zip(*np.tril_indices(len(means), -1), strict=True):
        gap, seeds = gaps[one, other], extra[:, one] + extra[:, other]
        if not np.isfinite(variances[one, other]) or np.isnan(seeds).any():
            score = np.nan
        elif variances[one, other] == 0 and not seeds.any():
            score = np.copysign(np.inf, gap) if abs(gap) > tiny else 0.0
        elif not seeds.any():
            tail = special.stdtr(min(degrees, 1e9), -abs(gap) / variances[one, other] ** 0.5)
            score = np.copysign(-special.ndtri(tail), gap)
        else:
            spread = np.broadcast_to(variances[one, other] * unsure + seeds, _POINTS)
            score = np.copysign(normal_scores(abs(gap), spread), gap)
        scores[one, other], scores[other, one] = score, -score
    return Differences(scores, _equals(draws, extra), variances, extra)


def _equals(draws: "Draws", extra: "Draws") -> "Draws":
    """Means of equal entries `(draw, entry)`, over cases and seeds; the same in every run."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=_KEY))
    shape = (_DRAWS, len(draws))
    over_cases, over_seeds = generator.standard_normal((2, *shape))
    covariance = np.atleast_2d(np.cov(draws, bias=True))
    if not np.isfinite(covariance).all():
        return np.full(shape, np.nan)
    values, vectors = np.linalg.eigh(covariance)
    null: Draws = over_cases @ (vectors * np.sqrt(np.maximum(0, values))).T
    if extra.any():
        point = generator.permuted(np.tile(np.arange(_DRAWS) % _POINTS, (len(draws), 1)), axis=1)
        null += np.sqrt(np.take_along_axis(extra, point.T, 0)) * over_seeds
    return null


def _uniform(count: int, columns: int) -> "Draws":
    """Evenly spaced numbers between 0 and 1 in each column, in a random order; always the same."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=[_KEY, count]))
    even = np.tile((np.arange(count) + 0.5) / count, (columns, 1))
    return np.asarray(generator.permuted(even, axis=1).T)


def p_values(pairs: Differences) -> "Draws":
    """p-values of all pairs `(entry, entry)`, which hold for all at once; NaN is no test."""
    import numpy as np

    count = len(pairs.scores)
    p = np.full((count, count), np.nan)
    largest, stepped = np.zeros(len(pairs.null)), []
    for one, other in _from_the_closest(abs(pairs.scores)):
        largest = np.maximum(largest, pairs.of_equals(one, [other]))
        beyond = (largest >= abs(pairs.scores[one, other])).sum()
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
    for index in order:
        yield int(one[known][index]), int(other[known][index])


def significantly_worse(pairs: Differences) -> "Draws":
    """Whether the first of a pair `(entry, entry)` is worse than the second, at 95 %."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        worse = (p_values(pairs) <= 1 - LEVEL) & (pairs.scores > 0)
    return np.asarray(worse)
