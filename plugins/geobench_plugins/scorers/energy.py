"""The energy score."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class Energy(Scorer):
    """Fair energy score of whole fields: mean |x - y| - sum_jk |x_j - x_k| / (2 M (M - 1)).

    |·| is the root of the mean square over sea cells and variables, each variable in units of its
    climatological standard deviation (the root of the mean variance over sea cells); with one cell
    it is the CRPS. Proper for the joint law (Gneiting & Raftery, 2007,
    doi:10.1198/016214506000001437), and its expectation does not depend on the number of members.
    A single member's is its distance from the outcome.
    It does see dependence, unlike the CRPS, but little of that shows in its value: on a ring of 40
    sites, correlated over 4, shuffling the members at every site costs 0.8 %. Compare case by case.
    """

    name = "energy"
    family = "fields"
    version = "3"
    fair = True
    proper = True
    units = "1"

    def law_form(self) -> Scorer:
        """Name `law-energy`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law import LawEnergy

        return LawEnergy(within=self.within)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `energy` score of each case."""
        from geobench_plugins.kernels import ensembles

        members, outcome, weights = ensembles.fields(forecast, truth, context)
        score = ensembles.energy_score(members, outcome, weights, context)
        return ensembles.cases(forecast, energy=score)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(energy="energy score")
