"""The CRPS along lead times: of changes, running means and running maxima."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class PathCRPS(Scorer):
    """Fair CRPS of what a member does in time: its last change, or its mean or maximum so far.

    Of each path a number is taken, for members and outcome alike, so it is proper. Members that are
    right at every lead time by itself, but jump from one path to another, are found out. At the
    first lead time it is the CRPS. A path that failed has failed from then on (a change: also in
    the next step).
    """

    name = "path-crps"
    family = "time"
    version = "2"
    fair = True
    proper = True
    whole_paths = True

    of: Literal["change", "mean", "maximum"] = Field("change", description="what is taken")

    def law_form(self) -> Scorer:
        """Name `law-path-crps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_crps import LawPathCRPS

        return LawPathCRPS(within=self.within, of=self.of)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `crps` of the numbers taken."""
        from geobench_plugins.kernels.ensembles import marginals, unlimited
        from geobench_plugins.kernels.paths import taken

        members, outcome = (taken(array, self.of) for array in (forecast, truth))
        return marginals(members, outcome, unlimited(context))[["crps"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(crps=f"CRPS of the {self.of} in time")
