"""The error of the ensemble mean."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class RMSE(Scorer):
    """Root-mean-square error of the ensemble mean, debiased for the number of members.

    A mean of M members carries their sampling error, variance / M, which is subtracted before the
    root; the root is taken after averaging. `xskillscore.rmse` has neither, and takes one root per
    case.
    """

    name = "rmse"
    version = "2"
    fair = True
    proper = True

    def law_form(self) -> Scorer:
        """Name `law-rmse`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_rmse import LawRMSE

        return LawRMSE(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `squared` error of the mean and the sampling `variance` of the mean."""
        from geobench_plugins.kernels.ensembles import marginals

        found = marginals(forecast, truth, context)[["squared", "variance"]]
        return found.assign(variance=found["variance"] / forecast.sizes["member"])

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Take the root; a debiased square that chance took below zero counts as 0."""
        debiased = (means["squared"] - means["variance"]).clip(min=0)
        return (debiased**0.5).to_dataset(name="RMSE")
