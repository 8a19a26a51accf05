"""Return levels from a long control run, by block maxima and by peaks over a threshold.

Coles (2001), "An introduction to statistical modeling of extreme values". A series is
`(row, time)`, rows being independent trajectories. Times are in output steps. Extremes are maxima:
give the negative of a series to look at minima.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from geobench.statistics.intervals import Array, Interval

SEEN = 50  # exceedances below which a level is an extrapolation
_CLUSTERS = 100
_FEW = 10
_KEY = 20240102


@dataclass(frozen=True)
class Fit:
    """A fitted tail: `rate` per step of what the law `(location, scale, shape)` is the law of.

    `shape` is positive for a heavy tail, negative for one with an end (for block maxima, the
    opposite of scipy's c).
    """

    kind: str
    rate: float
    location: float
    scale: float
    shape: float
    count: int

    def level(self, period: float) -> float:
        """Value that is passed once in `period` steps on average.

        u + scale ((rate period)^shape - 1) / shape, for both kinds: a block's maximum stays below
        it with probability exp(-block / period). NaN below the threshold of peaks.
        """
        expected = self.rate * period
        if not expected > 0 or (self.kind == "gpd" and expected < 1):
            return math.nan
        logs = math.log(expected)
        power = logs if abs(self.shape) < 1e-8 else math.expm1(self.shape * logs) / self.shape
        return self.location + self.scale * power


def block_maxima(series: Array, block: int) -> Array:
    """Maxima `(row, block)` of whole blocks of `block` steps; a rest at the end is left out."""
    blocks = series.shape[1] // block
    maxima: Array = series[:, : blocks * block].reshape(len(series), blocks, block).max(2)
    return maxima


def peaks(series: Array, threshold: float, gap: int) -> list[Array]:
    """Maxima of the clusters above `threshold`, for each row (runs declustering).

    A cluster ends when `gap` steps in a row are not above the threshold. One that the ends of a row
    cut off counts.
    """
    maxima = []
    for row in series:
        above = np.nonzero(row > threshold)[0]
        starts = np.nonzero(np.diff(above, prepend=-gap - 1) > gap)[0]
        values = row[above]
        maxima.append(np.maximum.reduceat(values, starts) if len(above) else values)
    return maxima


def fit_gev(maxima: npt.ArrayLike, block: int, near: Fit | None = None) -> Fit:
    """Maximum likelihood fit of the generalised extreme value law to block maxima.

    The search begins at `near`, the fit of a similar sample. Of fewer than ten maxima, or equal
    ones, nothing is known: NaN.
    """
    from scipy import stats

    sample = np.asarray(maxima, dtype=np.float64).ravel()
    if len(sample) < _FEW or not sample.std():
        return Fit("gev", 1 / block, math.nan, math.nan, math.nan, len(sample))
    spread = sample.std() * math.sqrt(6) / math.pi
    shape, location, scale = 0.05, sample.mean() - 0.5772 * spread, spread
    if near:
        shape, location, scale = near.shape, near.location, near.scale
    optimum = partial(_optimum, sign=-1)
    c, location, scale = stats.genextreme.fit(
        sample, -shape, loc=location, scale=scale, optimizer=optimum
    )
    return Fit("gev", 1 / block, float(location), float(scale), -float(c), len(sample))


def fit_gpd(excesses: npt.ArrayLike, threshold: float, rate: float, near: Fit | None = None) -> Fit:
    """Maximum likelihood fit of the generalised Pareto law to heights above a threshold.

    The search begins at `near`, the fit of a similar sample. Of fewer than ten heights, or equal
    ones, nothing is known: NaN.
    """
    from scipy import stats

    sample = np.asarray(excesses, dtype=np.float64).ravel()
    if len(sample) < _FEW or not sample.std():
        return Fit("gpd", rate, threshold, math.nan, math.nan, len(sample))
    shape, scale = (near.shape, near.scale) if near else (0.01, sample.mean())
    optimum = partial(_optimum, sign=1)
    c, _, scale = stats.genpareto.fit(sample, shape, floc=0, scale=scale, optimizer=optimum)
    return Fit("gpd", rate, threshold, float(scale), float(c), len(sample))


def _optimum(
    cost: Callable[..., float],
    start: npt.ArrayLike,
    args: tuple[Array, ...],
    *,
    sign: int,
    **_: object,  # whether to print
) -> Array:
    """Parameters `(shape, …)` of least cost, for `rv_continuous.fit`.

    `sign` is that of its shape over ours.

    The default there, a simplex, is twice as slow and leaves the last digits open
    (`benchmarks/extremes.py`). Here it serves where the least cost is at the edge of the support.
    """
    from scipy import optimize

    def mean(parameters: Array) -> float:
        if sign * parameters[0] <= -1:
            return math.inf  # the likelihood has no maximum there
        return cost(parameters, *args) / args[0].size

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # outside the support
        solution = optimize.minimize(mean, start, method="BFGS", options={"gtol": 1e-6})
        if not solution.success:
            exact = {"xatol": 1e-5, "fatol": 1e-9}
            solution = optimize.minimize(mean, start, method="Nelder-Mead", options=exact)
    parameters: Array = solution.x
    return parameters


@dataclass(frozen=True)
class Level:
    """A return level: by block maxima, by peaks over a threshold, and how often it was seen."""

    period: float
    gev: Interval
    gpd: Interval
    expected: float
    exceedances: int

    @property
    def seen_enough(self) -> bool:
        """Whether the run holds some 50 return periods, and passed the level 50 times."""
        return min(self.expected, self.exceedances) >= SEEN


@dataclass(frozen=True)
class ReturnLevels:
    """Return levels of one series, and what they rest on. Times are in output steps.

    `stationary` is the p-value of a two-sample Kolmogorov-Smirnov test: block maxima of the first
    half of all trajectories against those of the second half.
    """

    steps: int
    block: int
    quantile: float
    threshold: float
    gap: int
    gev: Fit
    gpd: Fit
    levels: list[Level]
    halves: tuple[float, float]
    stationary: float


def return_levels(
    series: Array,
    *,
    periods: list[float],
    gap: int,
    block: int,
    resamples: int,
) -> ReturnLevels:
    """Fit both laws; intervals by bootstrap over rows (percentiles, 95 %).

    `block` steps should span many decorrelation times, and `gap`, for declustering, one. Peaks are
    over the 99 % quantile, or a lower one where that leaves few clusters.
    """
    from scipy import stats

    quantile, threshold, clusters = _peaks_enough(series, gap)
    maxima = block_maxima(series, block)
    fits = _both(maxima, clusters, threshold, block, series.shape[1])
    generator = np.random.Generator(np.random.Philox(key=_KEY))
    again = []
    for _ in range(resamples):
        drawn = generator.integers(len(series), size=len(series))
        again.append(
            _both(
                maxima[drawn],
                [clusters[row] for row in drawn],
                threshold,
                block,
                series.shape[1],
                fits,
            )
        )
    half = maxima.shape[1] // 2
    early, late = maxima[:, :half].ravel(), maxima[:, half:].ravel()
    return ReturnLevels(
        steps=series.size,
        block=block,
        quantile=quantile,
        threshold=threshold,
        gap=gap,
        gev=fits[0],
        gpd=fits[1],
        levels=[_level(period, fits, again, series.size, clusters) for period in periods],
        halves=(float(early.mean()) if half else math.nan, float(late.mean())),
        stationary=float(stats.ks_2samp(early, late).pvalue) if half else math.nan,
    )


def _peaks_enough(series: Array, gap: int) -> tuple[float, float, list[Array]]:
    """Quantile, threshold and clusters of the highest threshold that leaves 100 clusters."""
    for quantile in (0.99, 0.97, 0.95, 0.9):
        threshold = float(np.quantile(series, quantile))
        clusters = peaks(series, threshold, gap)
        if sum(len(cluster) for cluster in clusters) >= _CLUSTERS:
            break
    return quantile, threshold, clusters


def _both(
    maxima: Array,
    clusters: list[Array],
    threshold: float,
    block: int,
    length: int,
    near: tuple[Fit, Fit] | None = None,
) -> tuple[Fit, Fit]:
    gev, gpd = (fit if fit and math.isfinite(fit.shape) else None for fit in near or (None, None))
    heights = np.concatenate(clusters) - threshold
    rate = len(heights) / (len(clusters) * length)
    return fit_gev(maxima, block, gev), fit_gpd(heights, threshold, rate, gpd)


def _level(
    period: float,
    fits: tuple[Fit, Fit],
    again: list[tuple[Fit, Fit]],
    steps: int,
    clusters: list[Array],
) -> Level:
    gev, gpd = (
        _interval(fit, [resampled[which] for resampled in again], period)
        for which, fit in enumerate(fits)
    )
    best = gev.value if math.isnan(gpd.value) else gpd.value
    exceedances = int(sum((cluster > best).sum() for cluster in clusters))
    return Level(period, gev, gpd, steps / period, exceedances)


def _interval(fit: Fit, again: list[Fit], period: float) -> Interval:
    # A resample with few clusters may have its level below the threshold: at most there.
    levels = np.nan_to_num([resampled.level(period) for resampled in again], nan=fit.location)
    low, high = np.quantile(levels, (0.025, 0.975))
    return Interval(fit.level(period), float(low), float(high))
