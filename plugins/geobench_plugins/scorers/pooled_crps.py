"""The CRPS of means or maxima over windows: dependence, by scale."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class PooledCRPS(Scorer):
    """Fair CRPS of the mean, or the largest value, over windows of so many cells along each dim.

    Pooled members are an ensemble of pooled outcomes, so it is proper, and they are right only with
    the right dependence within a window: the most powerful cheap score of the joint law (used for
    GenCast: Price et al., 2025). Windows stand side by side; a rest at the end of a dim is left
    out, and so is a window with more land than sea (NaN where none is left). Land does not enter. A
    dim of fewer cells is one window. Windows, too, count by the areas of their sea cells; they are
    made of so many cells, however large these are.
    """

    name = "pooled-crps"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    cells_by_area = False

    window: int = Field(4, gt=1, description="cells along each grid dim")
    pool: Literal["mean", "max"] = Field("mean", description="what is taken of a window")

    def law_form(self) -> Scorer:
        """Name `law-pooled-crps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_crps import LawPooledCRPS

        return LawPooledCRPS(within=self.within, window=self.window, pool=self.pool)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `crps` of the pooled values."""
        from geobench_plugins.kernels.ensembles import marginals, unlimited
        from geobench_plugins.kernels.windows import coarse, pooled

        members, outcome = (
            pooled(array, context, self.window, self.pool) for array in (forecast, truth)
        )
        windows = coarse(unlimited(context), self.window)
        scores = marginals(members, outcome, windows)
        # A failed value counts wherever it stands: also in the rest, and where it is no maximum.
        finite = marginals(forecast, truth, context)["crps"].notnull()
        return scores[["crps"]].where(finite)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(crps=f"CRPS of {self.pool} over {self.window}")
