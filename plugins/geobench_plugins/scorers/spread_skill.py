"""The ratio of spread to skill."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class SpreadSkill(Scorer):
    """Ratio of ensemble spread to the error of the ensemble mean; 1 is reliable.

    sqrt((M + 1) / M mean(variance) / mean(squared error)), averaged before the ratio is taken: the
    mean of ratios is biased (Fortin et al., 2014, doi:10.1175/JHM-D-14-0008.1). Without the factor
    a perfect ensemble of 5 reads 0.91. xskillscore has no such score. A single member
    has no spread.
    """

    name = "spread-skill"
    version = "3"
    better = "one"
    fair = True
    units = "1"
    least_members = 2

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `spread`, (M + 1) / M times the variance, and the `squared` error of the mean."""
        from geobench_plugins.kernels.ensembles import marginals

        found, count = marginals(forecast, truth, context), forecast.sizes["member"]
        spread = found["variance"] * ((count + 1) / count)
        return found[["squared"]].assign(spread=spread)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Take the root of the ratio."""
        ratio: xr.DataArray = (means["spread"] / means["squared"]) ** 0.5
        return ratio.to_dataset(name="spread/skill")
