"""The ratio of spread to skill."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from geobench import Context, Curve, Scorer, Series

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


class SpreadSkill(Scorer):
    """Ratio of ensemble spread to the error of the ensemble mean; 1 is reliable.

    sqrt((M + 1) / M mean(variance) / mean(squared error)), averaged before the ratio is taken: the
    mean of ratios is biased (Fortin et al., 2014, doi:10.1175/JHM-D-14-0008.1). Without the factor
    a perfect ensemble of 5 reads 0.91. xskillscore has no such score. A single member
    has no spread.
    """

    name = "spread-skill"
    family = "calibration"
    headline = True
    version = "3"
    better = "one"
    fair = True
    units = "1"
    least_members = 2
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `spread`, (M + 1) / M times the variance, and the `squared` error of the mean."""
        from geobench_plugins.kernels.ensembles import marginals

        statistics, count = marginals(forecast, truth, context), forecast.sizes["member"]
        spread = statistics["variance"] * ((count + 1) / count)
        return statistics[["squared"]].assign(spread=spread)

    def curves(self) -> "Sequence[Curve]":
        """Spread and error by lead time, and one against the other."""
        return (
            Curve(
                "spread",
                "Spread and error",
                "Spread of the members (with the factor of finite ensembles), and error of their "
                "mean (dotted), by lead time. They are equal where the ensemble is reliable. Units "
                "are those of the variable.",
                "lead time, days",
                "spread, and error",
                _by_lead,
                leads="axis",
            ),
            Curve(
                "spread-of-error",
                "Spread against error",
                "A point for each lead time: spread of the members against the error of their "
                "mean. Above the diagonal the members differ more than they err.",
                "root-mean-square error of the ensemble mean",
                "spread",
                _against_error,
                leads="all",
            ),
        )

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Take the root of the ratio."""
        ratio: xr.DataArray = (means["spread"] / means["squared"]) ** 0.5
        return ratio.to_dataset(name="spread/skill")


def _by_lead(means: "xr.Dataset") -> Iterator[Series]:
    spread, error = _roots(means)
    yield Series((), spread)
    yield Series((), error, "error")


def _against_error(means: "xr.Dataset") -> Iterator[Series]:
    spread, error = _roots(means)
    yield Series(error, spread)


def _roots(means: "xr.Dataset") -> "list[np.ndarray[tuple[int], np.dtype[np.float64]]]":
    return [means[name].to_numpy() ** 0.5 for name in ("spread", "squared")]
