"""The variogram score."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class Variogram(Scorer):
    """Fair variogram score of each variable: how far apart its points are from one another.

    Mean over pairs of points of (|y_i - y_k|^p - mean_j |x_ji - x_jk|^p)², less the sampling
    variance of that mean, variance_j / M, so that its expectation does not depend on the number of
    members (Scheuerer & Hamill, 2015, doi:10.1175/MWR-D-14-00269.1, whose form is the plain one).
    It sees dependence better than the energy score, and no bias at all that is the same everywhere.
    Values are in units of the variable's climatological standard deviation. Points are sea cells,
    as evenly spread as possible where there are more than `points`. A pair of points weighs as the
    product of their areas: all pairs the same where cells are equally large. A point makes no pair
    with itself, so a cell in two halves is not quite the same as the cell.
    """

    name = "variogram"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    units = "1"
    cells_by_area = False

    power: float = Field(0.5, gt=0, le=2, description="p")
    points: int = Field(64, gt=1, description="cells at most; the cost grows with their square")

    def law_form(self) -> Scorer:
        """Name `law-variogram`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_fields import LawVariogram

        return LawVariogram(within=self.within, power=self.power, points=self.points)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `variogram` score of each case and variable."""
        import numpy as np
        import xarray as xr

        from geobench_plugins.kernels import ensembles

        chosen = ensembles.lattice(context.sea, self.points)
        pairs = np.stack(np.triu_indices(len(chosen), 1), -1)
        weights = ensembles.pair_weights(context, chosen[pairs])
        typical = ensembles.typical_size(context)
        parts = []
        for name in forecast["variable"].to_numpy():
            unit = float(typical.sel(variable=name))
            members, outcome, _ = ensembles.fields(
                forecast.sel(variable=[name]), truth.sel(variable=[name]), context
            )
            _, fair = ensembles.variogram(
                members[..., chosen],
                outcome[..., chosen],
                pairs,
                weights / unit ** (2 * self.power),
                self.power,
                context,
            )
            parts.append(ensembles.cases(forecast, variogram=fair))
        finite = ensembles.marginals(forecast, truth, context)["crps"].notnull()
        return xr.concat(parts, forecast["variable"]).where(finite)  # also of cells left out

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean score."""
        return means.rename(variogram="variogram score")
