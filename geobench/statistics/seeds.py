"""Models that were trained several times: the mean over seeds, and how sure it is.

The excess of seed s on case c at lead time l is taken as μ(l) + a(s, l) + b(c, l) + e(s, c, l).
Seeds and cases are crossed, and both are samples. Two numbers are known at each lead time:

    c²(l)  variance of one seed's mean over cases, from the bootstrap (b and e),
    v(l)   the part of it that differs between seeds (e), from the bootstrap of the deviations.

One variance component serves all lead times: the variance between the means of the seeds is
φ c²(l), with one φ for each model and score (a mixed model whose seed effect is proportional to
c(l); how lead times are correlated is left open). The estimate of φ is the mean over lead times of
s²(l) / c²(l), where s² is the sample variance between seeds: S - 1 degrees of freedom, as if lead
times said the same. Models of a board are similar, so each φ is shrunk towards that of the others
by empirical Bayes (Smyth, 2004, Statistical Applications in Genetics and Molecular Biology 3, 3).
Their degrees of freedom grow by those of the prior, which are few where the models differ.

What seeds add to the variance of a mean of S seeds is then max(0, φ c² - v) / S. A 95 % interval
has the variance of cases and that of seeds, with Satterthwaite's (1946) degrees of freedom.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from geobench.statistics.estimates import Estimate, estimate

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws

_POINTS = 256  # that an unknown variance is integrated over
_TINY = 1e-24  # of a variance, relative to a square: rounding


@dataclass(frozen=True, eq=False)
class Mean:
    """Draws `(draw, …)` of a model's mean over its seeds; the first is the estimate.

    `draws` are over cases and seeds, `over_cases` over cases alone. `between` and `within` `(…)`
    are the variance between means of `seeds` seeds, and the part of it that cases add; the former
    is known with so many `degrees` of freedom.
    """

    draws: "Draws"
    over_cases: "Draws"
    seeds: int = 1
    between: "Draws | float" = 0.0
    within: "Draws | float" = 0.0
    degrees: float = float("inf")

    def by_seeds(self, chance: "Draws") -> "Draws":
        """What seeds may add to the variance of the mean, `(chance, …)`.

        The true variance between seeds has `chance` (0 to 1) of being smaller.
        """
        return added(self.between, self.within, self.degrees, self.seeds, chance)


def added(
    between: "Draws | float",
    within: "Draws | float",
    degrees: float,
    seeds: int,
    chance: "Draws",
) -> "Draws":
    """Quantiles `(chance, …)` of what seeds add to the variance of a mean of so many seeds."""
    import numpy as np
    from scipy import special

    shape = (-1, *[1] * np.ndim(between))
    if seeds == 1:
        return np.zeros((len(chance), *np.shape(between)))
    scale = (degrees / special.chdtri(degrees, chance)).reshape(shape)
    return np.asarray(np.maximum(0, between * scale - within) / seeds)


@dataclass(frozen=True)
class Summary:
    """A model over its seeds, of training and of members' noise alike. Lower is better.

    `excess`: mean over seeds, with an interval over cases and seeds; `over_cases`: with one that
    takes the seeds as given. `seed_sd`: standard deviation between seeds, without what the cases
    add; None where the cases explain all of it. `seed_sd_below`: its upper 95 % limit. All are NaN
    where a seed failed.
    """

    label: str
    seeds: list[int]
    excess: Estimate
    over_cases: Estimate
    seed_sd: float | None
    seed_sd_below: float


def means(excesses: "Sequence[Draws]", degrees: float, alike: Sequence[object] = ()) -> list[Mean]:
    """Mean over seeds of each model, of draws `(seed, draw, …)`, resampled alike.

    `degrees` of freedom: those of the bootstrap. Models with equal marks in `alike` are those whose
    seeds may differ by as much; default: all.
    """
    marks = list(alike) or [None] * len(excesses)
    ratios = [_ratio(excess, degrees) for excess in excesses]
    shrunk = [
        (ratio, float(len(excess) - 1)) for ratio, excess in zip(ratios, excesses, strict=True)
    ]
    for mark in set(marks):
        indices = [
            index
            for index, other in enumerate(marks)
            if other == mark and len(excesses[index]) > 1 and 0 < ratios[index] < float("inf")
        ]
        moderate = moderated([shrunk[index] for index in indices])
        for index, shrunk_ratio in zip(indices, moderate, strict=True):
            shrunk[index] = shrunk_ratio
    return [
        _mean(excess, degrees, *shrunk_ratio, model)
        for model, (excess, shrunk_ratio) in enumerate(zip(excesses, shrunk, strict=True))
    ]


def _scales(excess: "Draws", degrees: float) -> "tuple[Draws, Draws, Draws]":
    """Of draws `(seed, draw, …)`: variance between means of seeds, and v and c² of the module."""
    import numpy as np

    from geobench.statistics.resampling import error

    between = excess[:, 0].var(0, ddof=1)
    deviations = np.moveaxis(excess - excess.mean(0), 1, -1)
    within = (error(deviations, degrees) ** 2).sum(0) / (len(excess) - 1)
    return between, within, (error(np.moveaxis(excess, 1, -1), degrees) ** 2).mean(0)


def _ratio(excess: "Draws", degrees: float) -> float:
    """Estimate of φ by one model alone; 0 where its seeds are equal."""
    import numpy as np

    if len(excess) == 1:
        return 0.0
    between, _, scale = _scales(excess, degrees)
    known = np.isfinite(between) & np.isfinite(scale) & (scale > _TINY * excess[:, 0].mean(0) ** 2)
    return float((between[known] / scale[known]).mean()) if known.any() else 0.0


def moderated(ratios: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Shrink variances with their degrees of freedom towards their own distribution.

    They are taken as draws of a scaled inverse chi-square, whose two numbers are fitted to the
    logarithms (Smyth, 2004). Fewer than three are returned as they are.
    """
    import numpy as np
    from scipy import special

    if len(ratios) < 3:
        return list(ratios)
    variances, freedom = np.array(ratios).T
    logs = np.log(variances) - special.psi(freedom / 2) + np.log(freedom / 2)
    more = float(logs.var(ddof=1) - special.polygamma(1, freedom / 2).mean())
    if more <= 0:  # no more than chance makes them differ
        pooled = float((freedom * variances).sum() / freedom.sum())
        return [(pooled, float(freedom.sum()))] * len(ratios)
    prior = 2 * _inverse_trigamma(more)
    middle = float(np.exp(logs.mean() + special.psi(prior / 2) - np.log(prior / 2)))
    shrunk = (prior * middle + freedom * variances) / (prior + freedom)
    most = freedom.sum()
    return [
        (float(variance), float(min(prior + free, most)))
        for variance, free in zip(shrunk, freedom, strict=True)
    ]


def _inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value, by Newton's method on 1 / trigamma, which is nearly linear."""
    from scipy import special

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x


def _mean(excess: "Draws", degrees: float, ratio: float, freedom: float, model: int) -> Mean:
    """Join the seeds of a model. `ratio` is its φ, with `freedom`; `model` numbers its noise."""
    import numpy as np

    from geobench.statistics.resampling import error, student

    cases: Draws = excess.mean(0)
    count = len(excess)
    if count == 1:
        return Mean(cases, cases)
    raw, within, scale = _scales(excess, degrees)
    fixed = scale <= _TINY * cases[0] ** 2  # alike in every resample: its seeds alone count
    between = np.where(fixed, raw, ratio * scale)
    variance = error(np.moveaxis(cases, 0, -1), degrees) ** 2
    wide = widened(variance, student(degrees), partial(added, between, within, freedom, count))
    noise = np.sqrt(np.maximum(0, wide**2 - student(degrees) ** 2 * variance))
    draws = cases.copy()
    draws[1:] += noise * _normal(len(cases) - 1, model).reshape(-1, *[1] * (cases.ndim - 1))
    return Mean(draws, cases, count, between, within, freedom)


def widened(variance: "Draws", factor: float, extra: "Callable[[Draws], Draws]") -> "Draws":
    """Standard deviation of the normal law whose 95 % interval is that of a mean over seeds.

    Its variance is `variance` over cases, widened by `factor` as few blocks want, and what seeds
    add: `extra`, of which quantiles are given. The interval is that of the mixture, found by
    Newton's method.
    """
    import numpy as np
    from scipy import special

    chance = (np.arange(_POINTS) + 0.5) / _POINTS
    errors = np.sqrt(factor**2 * variance + extra(chance))
    tail, deviation = special.ndtri(0.975), np.sqrt((errors**2).mean(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(60):
            scaled = tail * deviation / errors
            miss = special.ndtr(-scaled).mean(0) - 0.025
            slope = tail * (np.exp(-(scaled**2) / 2) / errors).mean(0) / np.sqrt(2 * np.pi)
            # Steps from above may overshoot, where the tail is flat: never below a third.
            deviation = np.maximum(deviation / 3, deviation + np.where(slope > 0, miss / slope, 0))
            if not (abs(miss) > 1e-9).any():
                break
    return np.where(errors.max(0) > 0, deviation, 0.0)


def _normal(count: int, model: int) -> "Draws":
    """Standard normal numbers, the same in every run, with mean 0 and variance 1."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=[20261126, model]))
    noise: Draws = generator.standard_normal(count)
    scaled: Draws = (noise - noise.mean()) / noise.std()
    return scaled


def joined(excesses: "Draws", degrees: float, model: int) -> "Draws":
    """Draws `(draw, …)` of the mean over seeds of one model alone, over cases and seeds."""
    ratio = _ratio(excesses, degrees)
    return _mean(excesses, degrees, ratio, len(excesses) - 1.0, model).draws


def upper_limit(between: float, within: float, freedom: float) -> float:
    """Upper 95 % limit of the standard deviation between seeds, without what the cases add.

    Where the seeds differ by less than the cases make them, the limit is that of seeds that differ
    by just as much: never zero, unless nothing differs.
    """
    from scipy import special

    low = float(special.chdtri(freedom, 0.95)) / freedom  # 5 % quantile of chi-square over df
    return float(max(0.0, max(between, within) / low - within) ** 0.5)


def summaries(
    labels: Sequence[str],
    seeds: Sequence[int],
    excesses: "Sequence[Draws]",
    degrees: float,
    alike: Sequence[object] = (),
) -> list[Summary]:
    """Summarise every model of several seeds; the rows are entries, best first in the answer."""
    import numpy as np

    marks = list(alike) or [None] * len(labels)
    every = list(dict.fromkeys(labels))
    groups = [[i for i, other in enumerate(labels) if other == label] for label in every]
    groups = [group for group in groups if len(group) > 1]
    stacked = [np.stack([excesses[i] for i in group]) for group in groups]
    joint = means(stacked, degrees, [marks[group[0]] for group in groups])
    models = [
        summary(labels[group[0]], [seeds[i] for i in group], mean)
        for group, mean in zip(groups, joint, strict=True)
    ]
    return sorted(
        models, key=lambda model: (model.excess.value != model.excess.value, model.excess.value)
    )


def summary(label: str, seeds: Sequence[int], mean: Mean) -> Summary:
    """Summarise one model over its seeds."""
    between, within = float(mean.between), float(mean.within)
    sd: float | None
    if between != between or within != within:
        sd, limit = float("nan"), float("nan")
    else:
        limit = upper_limit(between, within, mean.degrees)
        sd = (between - within) ** 0.5 if between > within or limit == 0 else None
    return Summary(label, list(seeds), estimate(mean.draws), estimate(mean.over_cases), sd, limit)
