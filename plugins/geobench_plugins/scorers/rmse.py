"""The error of the ensemble mean."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class RMSE(Scorer):
    """Root-mean-square error of the ensemble mean, debiased for the number of members.

    A mean of M members carries their sampling error, variance / M, which is subtracted before the
    root; the root is taken after averaging. The difference is the mean of (x_j - y) (x_k - y) over
    pairs of members, and is computed as such where members are far apart: no digits are lost. The
    variance of a single member is not known: its score is that of a point forecast.
    `xskillscore.rmse` has neither, and takes one root per case.
    """

    name = "rmse"
    family = "sites"
    headline = True
    version = "3"
    fair = True
    proper = True
    sitewise = True

    def law_form(self) -> Scorer:
        """Name `law-rmse`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_rmse import LawRMSE

        return LawRMSE(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `debiased` squared error of the mean of each case."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["debiased"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Take the root; a debiased square that chance took below zero counts as 0."""
        return (means["debiased"].clip(min=0) ** 0.5).to_dataset(name="RMSE")
