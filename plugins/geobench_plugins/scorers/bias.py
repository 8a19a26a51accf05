"""The bias of the ensemble mean."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class Bias(Scorer):
    """Mean of the ensemble mean less the outcome; 0 is best.

    Averaged over the grid and all cases: errors of both signs cancel.
    """

    name = "bias"
    family = "sites"
    version = "2"
    better = "zero"
    fair = True
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `bias` of each case."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["bias"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means
