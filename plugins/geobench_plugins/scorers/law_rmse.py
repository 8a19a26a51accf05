"""The excess of the error of the ensemble mean over the law's."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class LawRMSE(Scorer):
    """Excess of `rmse` over the law: √(v + d) - √v, d the squared difference of the means.

    v is the mean variance of draws of the law, which is the squared error of its mean; d is that of
    `law-mean`, debiased, in the variable's units. Both are averaged over cases before the roots are
    taken. Without the noise of one outcome. d is unbiased, so it may come out a little below 0.
    """

    name = "law-rmse"
    family = "sites"
    fair = True
    proper = True
    needs_law = True
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the debiased `squared` difference and the law's `variance` of each case."""
        from geobench_plugins.kernels.ensembles import law_means

        return law_means(forecast, context)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the difference of the roots; a square that chance took below zero counts as 0."""
        variance = means["variance"]
        error = (variance + means["squared"]).clip(min=0) ** 0.5
        return (error - variance**0.5).to_dataset(name="excess RMSE")
