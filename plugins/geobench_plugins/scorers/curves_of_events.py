"""Curves of how often k members exceeded a threshold, with and without the event."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from geobench import Curve, Series

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_OVER = ("variable", "quantile")
_RATIOS = 33  # cost-loss ratios of a curve of value
_FEWEST = 1e-5  # share of the cells


def _table(means: "xr.Dataset") -> "Array":
    """Shares of the cells `(above, happened)`."""
    table: Array = means["table"].transpose("above", "happened").to_numpy()
    return table


def _warned(table: "Array") -> "Array":
    """Shares of the cells in which at least k members warn, from none of the cells on."""
    import numpy as np

    return np.concatenate([[[0.0, 0.0]], table[::-1].cumsum(0)])


def _reliability(means: "xr.Dataset") -> Iterator[Series]:
    import numpy as np

    table = _table(means)
    cases = table.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.where(cases > _FEWEST, table[:, 1] / cases, np.nan)
    yield Series(np.linspace(0, 1, len(cases)), seen)


def _value(means: "xr.Dataset") -> Iterator[Series]:
    import numpy as np

    ratios = np.geomspace(0.002, 0.8, _RATIOS)
    yield Series(ratios, value_of(_table(means), ratios))


def value_of(table: "Array", ratios: "Array") -> "Array":
    """Potential economic value at cost-loss ratios, of a table `(above, happened)` of shares.

    (E_climate - E) / (E_climate - E_perfect), expenses per loss (Richardson, 2000,
    doi:10.1002/qj.49712656313); acting from k members on, with the k that serves best, or never.
    """
    import numpy as np

    rate = table[:, 1].sum()
    warned = _warned(table)
    expense = (ratios[:, None] * warned.sum(1) + rate - warned[:, 1]).min(1)
    climate = np.minimum(ratios, rate)
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Array = (climate - np.minimum(expense, climate)) / (climate - rate * ratios)
    return value


def _roc(means: "xr.Dataset") -> Iterator[Series]:
    import numpy as np

    warned = _warned(_table(means))
    with np.errstate(invalid="ignore", divide="ignore"):
        false, hit = (warned / warned[-1]).T
    yield Series(np.nan_to_num(false), hit)


CURVES = (
    Curve(
        "reliability",
        "Reliability diagram",
        "How often an event happened where so many members forecast it; on the dashed line "
        "probabilities mean what they say. With few members even draws of the truth lie a little "
        "flatter: compare with the oracle. Points with fewer than 1 in 100,000 cells are left out.",
        "forecast probability (share of members)",
        "observed frequency",
        _reliability,
        over=_OVER,
        diagonal=True,
        family="extremes",
    ),
    Curve(
        "value",
        "Relative economic value",
        "What forecasts save a user who can pay C to prevent a loss L, as a share of what perfect "
        "forecasts would save; 0 is as good as the climate's rate alone. The number of members at "
        "which to act is the best in hindsight: potential value.",
        "cost-loss ratio C/L",
        "economic value",
        _value,
        over=_OVER,
        x_log=True,
        ideal=0.0,
        family="extremes",
    ),
    Curve(
        "roc",
        "ROC curve",
        "Hit rate against false-alarm rate, a point for each number of members from which on one "
        "warns: upper left is better. On the dashed line forecasts know nothing.",
        "false-alarm rate",
        "hit rate",
        _roc,
        over=_OVER,
        diagonal=True,
        family="extremes",
    ),
)
