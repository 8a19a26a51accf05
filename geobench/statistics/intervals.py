"""How sure a number is: intervals of means, of ratios, and of counted shares."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_DRAWS = 1000
_KEY = 20240101  # a report can be repeated, bit by bit


class Interval(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """Change the units; `factor` is positive."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def bootstrap(
    statistics: Array, metric: Callable[[Array], Array] = lambda means: means[..., 0]
) -> Interval:
    """`metric` of the means of independent cases, with its percentile bootstrap interval.

    `statistics` is `(case, column)`; `metric` turns means `(…, column)` into numbers `(…)`. The
    percentiles are those that give a mean of few normal cases Student's interval ("expanded",
    Hesterberg, 2015); statistics with a long tail still need many cases.
    """
    from scipy import stats

    count = len(statistics)
    value = float(metric(statistics.mean(0)))
    if count < 2:
        return Interval(value, float("nan"), float("nan"))
    generator = np.random.Generator(np.random.Philox(key=_KEY))
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=_DRAWS) / count
    tail = float(stats.norm.sf(stats.t.ppf(0.975, count - 1) * (count / (count - 1)) ** 0.5))
    low, high = np.quantile(metric(drawn @ statistics), (tail, 1 - tail), method="nearest")
    return Interval(value, float(low), float(high))


def ratio(means: Array) -> Array:
    """Turn means `(…, 2)` into their ratio: the first over the second; NaN over zero."""
    over = np.where(means[..., 1] == 0, np.nan, means[..., 1])
    quotient: Array = means[..., 0] / over
    return quotient


def jackknife(statistics: Array, metric: Callable[[Array], Array]) -> Interval:
    """`metric` of the means of independent blocks, two jackknife standard errors each way.

    For functions that are smooth in the means, and for few blocks (Efron, 1982). `statistics` is
    `(block, column)`; `metric` turns means `(…, column)` into numbers `(…)`.
    """
    count = len(statistics)
    whole = statistics.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):  # a variable that never changes: NaN
        value = float(metric(whole))
        if count < 2:
            return Interval(value, float("nan"), float("nan"))
        without = metric((whole * count - statistics) / (count - 1))
    error = 2 * float(np.sqrt((count - 1) * without.var()))
    return Interval(value, value - error, value + error)


def wilson(hits: npt.ArrayLike, trials: int) -> tuple[Array, Array]:
    """Ends of the 95 % interval of a probability, `hits` of `trials` being seen (Wilson, 1927).

    Also sensible for no hit at all, where it ends at 3.8 / trials.
    """
    from statsmodels.stats.proportion import proportion_confint

    count = np.asarray(hits, dtype=np.float64)
    low, high = proportion_confint(count, trials, method="wilson")
    # At 0 and at all hits an end is 0 or 1, which rounding must not spoil.
    return np.where(count == 0, 0.0, low), np.where(count == trials, 1.0, high)
