"""The CRPS above thresholds."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class TailCRPS(Scorer):
    """Fair threshold-weighted CRPS above climatological quantiles, each site against its own.

    The fair CRPS of max(x, t) and max(y, t): the Brier score integrated over all thresholds from t
    on (Gneiting & Ranjan, 2011, doi:10.1198/jbes.2010.08110). It is proper, and looks at extremes
    without choosing cases by their outcome. What lies below t is the CRPS less this.
    """

    name = "tail-crps"
    family = "extremes"
    version = "2"
    fair = True
    proper = True
    sitewise = True

    def law_form(self) -> Scorer:
        """Name `law-tail-crps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_crps import LawTailCRPS

        return LawTailCRPS(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `tail_crps` of each case and quantile."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["tail_crps"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(tail_crps="twCRPS")
