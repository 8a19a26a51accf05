"""The climate of a control run: moments, memory, and how large its noise is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.state import by_area
from geobench.statistics.intervals import Array, Interval, bootstrap, jackknife


@dataclass(frozen=True)
class Moments:
    """Moments of one variable over time and cells.

    The last three are of the anomaly from each cell's own mean: a map that stands still is no
    variability. Anomalies of all cells are pooled.
    """

    mean: Interval
    std: Interval
    skewness: Interval
    excess_kurtosis: Interval


def anomalies(states: Tensor) -> Iterator[Tensor]:
    """Departures from each cell's mean over rows and times, row by row, float64."""
    mean = states.mean((0, 1), dtype=torch.float64)
    for row in states:
        yield row.double() - mean


def _mean(values: Tensor, areas: Tensor | None) -> Tensor:
    """Average of `(time, channel, cell)` over times and cells."""
    return by_area(values, areas).mean((0, 2))


def moments(states: Tensor, areas: Tensor | None = None) -> list[Moments]:
    """Moments of each channel of `(row, time, channel, cell)`; rows are independent blocks.

    `areas` `(cell,)`, over their mean, weigh the cells here and below; None: all alike.
    """
    rows = [
        torch.stack([_mean(row.double(), areas), *(_mean(a.pow(p), areas) for p in (2, 3, 4))], -1)
        for row, a in zip(states, anomalies(states), strict=True)
    ]
    return [
        Moments(
            mean=jackknife(powers, lambda m: m[..., 0]),
            std=jackknife(powers, lambda m: np.sqrt(m[..., 1])),
            skewness=jackknife(powers, lambda m: m[..., 2] / m[..., 1] ** 1.5),
            excess_kurtosis=jackknife(powers, lambda m: m[..., 3] / m[..., 1] ** 2 - 3),
        )
        for powers in torch.stack(rows, 1).numpy()
    ]


def scale(states: Tensor, areas: Tensor | None = None) -> Tensor:
    """Standard deviation of the anomaly of each channel `(channel, 1)`, over times and cells."""
    variance = torch.stack([_mean(a.square(), areas) for a in anomalies(states)]).mean(0)
    return variance.sqrt()[:, None]


def density(states: Tensor, edges: Array, areas: Tensor | None = None) -> Array:
    """Density of the anomaly in units of `scale`, `(channel, bin)`; `edges` `(bin + 1,)`."""
    unit, bins = scale(states, areas), torch.from_numpy(edges)
    weight = None if areas is None else areas.double().expand(*states.shape[1:2], -1).flatten()
    counts = sum(
        torch.stack(
            [
                torch.histogram(c.flatten(), bins, weight=weight).hist
                for c in (a / unit).transpose(0, 1)
            ]
        )
        for a in anomalies(states)
    )
    total = states[:, :, 0].numel()
    density: Array = np.asarray(counts) / total / np.diff(edges)
    return density


def autocorrelation(states: Tensor, lags: int, areas: Tensor | None = None) -> Array:
    """Autocorrelation of each channel at lags 0…`lags`, `(channel, lag)`.

    Cells are weighted by their variance, and by their areas. The mean is that of the whole run, not
    of each row, which would bias long lags down.
    """
    steps = states.shape[1]
    covariance = torch.stack(
        [
            torch.stack([_mean(a[: steps - k] * a[k:], areas) for k in range(lags + 1)], -1)
            for a in anomalies(states)
        ]
    ).mean(0)
    curve: Array = (covariance / covariance[:, :1]).numpy()
    return curve


def first_below(curve: Array, level: float) -> float | None:
    """Place, in steps, where a curve that starts at step 0 first falls to `level`; None: nowhere.

    Between two steps it is taken to be straight.
    """
    below = np.nonzero(curve <= level)[0]
    if not len(below):
        return None
    at = int(below[0])
    if at == 0:
        return 0.0
    before, after = curve[at - 1], curve[at]
    return float(at - 1 + (before - level) / (before - after))


def decorrelation(curve: Array) -> float | None:
    """Steps after which an autocorrelation has fallen to 1/e; None: not within the curve."""
    return first_below(curve, float(np.exp(-1)))


def noise_to_increment(spread: Tensor, increment: Tensor) -> list[Interval]:
    """Standard deviation of the one-step law over that of a step's change, for each channel.

    Zero: a deterministic system. Near one: noise alone makes the changes. `spread` holds the
    variances of the law `(init, channel)`, `increment` mean squared changes `(init, channel)` from
    the same inits.
    """
    columns = torch.stack([spread, increment], -1).double().numpy()
    return [
        bootstrap(columns[:, channel], lambda m: np.sqrt(m[..., 0] / m[..., 1]))
        for channel in range(spread.shape[1])
    ]
