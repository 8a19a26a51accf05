"""Brier scores of climatological events, and their sum over categories."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class Brier(Scorer):
    """Fair Brier score of exceeding climatological quantiles, each site against its own.

    (k/M - o)² - k (M - k) / (M² (M - 1)), k of M members above the threshold (Ferro, 2014,
    doi:10.1002/qj.2270). As `xskillscore.brier_score(fair=True)`, which takes a NaN for "no event".
    The probability of a single member is 0 or 1, and nothing is taken off.
    """

    name = "brier"
    family = "extremes"
    headline = True
    version = "3"
    fair = True
    proper = True
    units = "1"
    sitewise = True

    def law_form(self) -> Scorer:
        """Name `law-brier`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_extremes import LawBrier

        return LawBrier(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `brier` score of each case and quantile."""
        return _fair(forecast, truth, context).to_dataset(name="brier")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean score."""
        return means.rename(brier="Brier")


class RPS(Scorer):
    """Fair ranked probability score of the categories between climatological quantiles.

    The sum of the Brier scores of exceeding each (Epstein, 1969; fair: Ferro, 2014). With the
    quantiles of an experiment that names extremes alone, so does it.
    """

    name = "rps"
    family = "extremes"
    version = "2"
    fair = True
    proper = True
    units = "1"
    sitewise = True

    def law_form(self) -> Scorer:
        """Name `law-rps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_extremes import LawRPS

        return LawRPS(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `rps` of each case."""
        brier = _fair(forecast, truth, context)
        return brier.sum("quantile", skipna=False).to_dataset(name="rps")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean score."""
        return means.rename(rps="RPS")


def _fair(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.DataArray":
    import numpy as np
    import xarray as xr

    from geobench_plugins.kernels.ensembles import marginals

    count = forecast.sizes["member"]
    k = np.arange(count + 1)[:, None]
    charged = k * (count - k) / (count**2 * max(1, count - 1))  # 0 for a single member
    score = xr.DataArray((k / count - np.arange(2)) ** 2 - charged, dims=("above", "happened"))
    table = marginals(forecast, truth, context)["table"]
    brier: xr.DataArray = xr.dot(table, score, dim=score.dims)
    return brier
