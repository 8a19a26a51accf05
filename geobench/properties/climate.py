"""The climate of a control run: moments, memory, and how large its noise is."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geobench.intervals import Array, Interval, bootstrap, jackknife


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


def anomalies(states: Tensor) -> Tensor:
    """Departures from each cell's mean over rows and times."""
    return states - states.mean((0, 1))


def moments(states: Tensor) -> list[Moments]:
    """Moments of each channel of `(row, time, channel, cell)`; rows are independent blocks."""
    anomaly = anomalies(states)
    powers = torch.stack([states, anomaly**2, anomaly**3, anomaly**4], -1).mean((1, 3))
    found = []
    for channel in range(states.shape[2]):
        rows = powers[:, channel].numpy()
        found.append(
            Moments(
                mean=jackknife(rows, lambda m: m[..., 0]),
                std=jackknife(rows, lambda m: np.sqrt(m[..., 1])),
                skewness=jackknife(rows, lambda m: m[..., 2] / m[..., 1] ** 1.5),
                excess_kurtosis=jackknife(rows, lambda m: m[..., 3] / m[..., 1] ** 2 - 3),
            )
        )
    return found


def scale(states: Tensor) -> Tensor:
    """Standard deviation of the anomaly of each channel `(channel, 1)`, over times and cells."""
    std: Tensor = anomalies(states).square().mean((0, 1, 3)).sqrt()[:, None]
    return std


def autocorrelation(states: Tensor, lags: int) -> Array:
    """Autocorrelation at lags 0…`lags` of each channel `(channel, lag)`, cells weighted by variance.

    The mean is that of the whole run, not of each row, which would bias long lags down.
    """
    anomaly = anomalies(states)
    steps = states.shape[1]
    covariance = [
        (anomaly[:, : steps - lag] * anomaly[:, lag:]).mean((0, 1, 3)) for lag in range(lags + 1)
    ]
    curve: Array = (torch.stack(covariance, -1) / covariance[0][:, None]).numpy()
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
