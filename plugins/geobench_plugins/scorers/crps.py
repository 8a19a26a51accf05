"""The continuous ranked probability score."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class CRPS(Scorer):
    """Fair CRPS of the marginals: mean |x - y| - sum_jk |x_j - x_k| / (2 M (M - 1)).

    Averaged over the grid. Its expectation does not depend on the number of members (Ferro, 2014,
    doi:10.1002/qj.2270). xskillscore's `crps_ensemble` divides the last sum by 2 M²: it charges a
    perfect ensemble 1/M more than the fair one, so it is not used here. It sees every site on its
    own: shuffling members from site to site does not change it.
    """

    name = "crps"
    version = "2"
    fair = True
    proper = True

    def law_form(self) -> Scorer:
        """Name `law-crps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law import LawCRPS

        return LawCRPS(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `error`, the mean |x - y|, and `spread`, the fair mean of |x - x'| / 2."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["error", "spread"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the error less the spread."""
        return (means["error"] - means["spread"]).to_dataset(name="CRPS")
