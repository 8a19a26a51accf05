"""The continuous ranked probability score."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class CRPS(Scorer):
    """Fair CRPS of the marginals: mean |x - y| - sum_jk |x_j - x_k| / (2 M (M - 1)).

    Averaged over the grid. Its expectation does not depend on the number of members (Ferro, 2014,
    doi:10.1002/qj.2270). The score of a case is a sum of distances that are not negative, so
    members far away cost no digits. The score of a single member is |x - y|. xskillscore's
    `crps_ensemble` divides the last sum by 2 M²: it charges a perfect ensemble 1/M more than the
    fair one, so it is not used here. It sees every site on its own: shuffling members from site to
    site does not change it.
    """

    name = "crps"
    family = "sites"
    headline = True
    version = "3"
    fair = True
    proper = True
    sitewise = True

    def law_form(self) -> Scorer:
        """Name `law-crps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law import LawCRPS

        return LawCRPS(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `crps` of each case."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["crps"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(crps="CRPS")
