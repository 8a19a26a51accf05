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
_NEWTON_STEPS = 30
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
    found = []
    for row in series:
        above = np.nonzero(row > threshold)[0]
        starts = np.nonzero(np.diff(above, prepend=-gap - 1) > gap)[0]
        values = row[above]
        found.append(np.maximum.reduceat(values, starts) if len(above) else values)
    return found


def fit_gev(maxima: npt.ArrayLike, block: int, near: Fit | None = None) -> Fit:
    """Maximum likelihood fit of the generalised extreme value law to block maxima.

    It is looked for from `near`, the fit of a similar sample, first. Of fewer than ten, or equal
    ones, nothing is known: NaN.
    """
    sample = np.asarray(maxima, dtype=np.float64).ravel()
    if len(sample) < _FEW or not sample.std():
        return Fit("gev", 1 / block, math.nan, math.nan, math.nan, len(sample))
    spread = sample.std() * math.sqrt(6) / math.pi
    start = (sample.mean() - 0.5772 * spread, math.log(spread), 0.05)
    first = (near.location, math.log(near.scale), near.shape) if near else start
    found = _minimum(partial(_gev_cost, sample), first, start, (spread, 1, 1))
    location, log_scale, shape = found
    return Fit("gev", 1 / block, location, math.exp(log_scale), shape, len(sample))


def _gev_cost(sample: Array, places: Array) -> Array:
    """Minus the log-likelihood at each `(location, log scale, shape)`; infinite where it is 0."""
    location, log_scale, shape = places.T[:, :, None]
    z = (sample - location) / np.exp(log_scale)
    flat = abs(shape) < 1e-6
    bent = np.where(flat, 1.0, shape)
    inner = 1 + bent * z
    logs = np.log(inner)
    power = np.where(flat, z, logs / bent)
    cost: Array = (log_scale + (1 + np.where(flat, 0, shape)) * power + np.exp(-power)).sum(1)
    # Beyond -1 the likelihood has no maximum.
    outside = ~flat[:, 0] & ((inner.min(1) <= 0) | (shape[:, 0] <= -1))
    return np.where(outside, math.inf, cost)


def fit_gpd(excesses: npt.ArrayLike, threshold: float, rate: float, near: Fit | None = None) -> Fit:
    """Maximum likelihood fit of the generalised Pareto law to heights above a threshold.

    It is looked for from `near`, the fit of a similar sample, first. Of fewer than ten, or equal
    ones, nothing is known: NaN.
    """
    sample = np.asarray(excesses, dtype=np.float64).ravel()
    if len(sample) < _FEW or not sample.std():
        return Fit("gpd", rate, threshold, math.nan, math.nan, len(sample))
    start = (math.log(sample.mean()), 0.01)
    first = (math.log(near.scale), near.shape) if near else start
    log_scale, shape = _minimum(partial(_gpd_cost, sample), first, start, (1, 1))
    return Fit("gpd", rate, threshold, math.exp(log_scale), shape, len(sample))


def _gpd_cost(sample: Array, places: Array) -> Array:
    """Minus the log-likelihood at each `(log scale, shape)`; infinite where it is 0."""
    log_scale, shape = places.T[:, :, None]
    z = sample / np.exp(log_scale)
    flat = abs(shape) < 1e-6
    bent = np.where(flat, 1.0, shape)
    inner = 1 + bent * z
    power = np.where(flat, z, np.log(inner) / bent)
    cost: Array = (log_scale + (1 + np.where(flat, 0, shape)) * power).sum(1)
    # Beyond -1 the likelihood has no maximum.
    outside = ~flat[:, 0] & ((inner.min(1) <= 0) | (shape[:, 0] <= -1))
    return np.where(outside, math.inf, cost)


def _minimum(
    cost: Callable[[Array], Array],
    first: tuple[float, ...],
    start: tuple[float, ...],
    units: tuple[float, ...],
) -> list[float]:
    """Where a cost of `(place, number)` is least, within 1e-5 `units` of each number."""
    from scipy import optimize

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # outside the support
        found = _by_newton(cost, np.array(first), np.array(units))
        if found is None:  # the least may be at the edge of the support
            found = optimize.minimize(
                lambda place: cost(place[None])[0],
                start,
                method="Nelder-Mead",
                options={"xatol": 1e-5, "fatol": 1e-5},
            ).x
    best: list[float] = found.tolist()
    return best


def _by_newton(cost: Callable[[Array], Array], place: Array, units: Array) -> Array | None:
    """The minimum by Newton's method on differences of costs; None: it does not get there."""
    size = len(place)
    one = 1e-4 * np.eye(size)
    pairs = np.triu_indices(size, 1)
    two = one[pairs[0]] + one[pairs[1]]
    around = np.concatenate([np.zeros((1, size)), one, -one, two, -two])
    shorter = 0.5 ** np.arange(6)
    for _ in range(_NEWTON_STEPS):
        costs = cost(place + units * around)
        if not np.isfinite(costs).all():
            break
        here, up, down = costs[0], costs[1 : 1 + size], costs[1 + size : 1 + 2 * size]
        both = costs[1 + 2 * size :].reshape(2, -1).sum(0)
        single = up + down - 2 * here
        curvature = np.diag(single)
        curvature[pairs] = (both - 2 * here - single[pairs[0]] - single[pairs[1]]) / 2
        curvature = (curvature + np.triu(curvature, 1).T) / 1e-8
        values, vectors = np.linalg.eigh(curvature)
        bent = np.maximum(abs(values), 1e-6 * abs(values).max())  # downhill also from a saddle
        step = -vectors @ ((up - down) / 2e-4 @ vectors / bent)
        if values[0] > 0 and abs(step).max() < 1e-6:
            found: Array = place + units * step
            return found
        tried = np.nan_to_num(cost(place + units * shorter[:, None] * step), nan=math.inf)
        best = int(tried.argmin())
        if not tried[best] < here:
            break
        place = place + units * shorter[best] * step
    return None


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
    resamples: int = 100,
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
        if sum(len(each) for each in clusters) >= _CLUSTERS:
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
    gev, gpd = (
        each if each and math.isfinite(each.shape) else None for each in near or (None, None)
    )
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
        _interval(fit, [each[which] for each in again], period) for which, fit in enumerate(fits)
    )
    best = gev.value if math.isnan(gpd.value) else gpd.value
    exceedances = int(sum((each > best).sum() for each in clusters))
    return Level(period, gev, gpd, steps / period, exceedances)


def _interval(fit: Fit, again: list[Fit], period: float) -> Interval:
    # A resample with few clusters may have its level below the threshold: at most there.
    levels = np.nan_to_num([each.level(period) for each in again], nan=fit.location)
    low, high = np.quantile(levels, (0.025, 0.975))
    return Interval(fit.level(period), float(low), float(high))
