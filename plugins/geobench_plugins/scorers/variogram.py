"""The variogram score."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


class Variogram(Scorer):
    """Fair variogram score of each variable: how far apart its points are from one another.

    Mean over pairs of points of (|y_i - y_k|^p - mean_j |x_ji - x_jk|^p)², less the sampling
    variance of that mean, variance_j / M, so that its expectation does not depend on the number of
    members (Scheuerer & Hamill, 2015, doi:10.1175/MWR-D-14-00269.1, whose form is the plain one).
    It sees dependence better than the energy score, and no bias at all that is the same everywhere.
    Values are in units of the variable's climatological standard deviation. Points are sea cells,
    as evenly spread as possible where there are more than `points`; all pairs weigh the same.
    """

    name = "variogram"
    fair = True
    units = "1"

    power: float = Field(0.5, gt=0, le=2, description="p")
    points: int = Field(64, gt=1, description="cells at most; the cost grows with their square")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `variogram` score of each case and variable."""
        import numpy as np
        import xarray as xr

        from geobench_plugins.kernels import ensembles, fields

        chosen = self._chosen(context.sea)
        pairs = np.stack(np.triu_indices(len(chosen), 1), -1)
        weights = np.full(len(pairs), 1 / max(1, len(pairs)))
        typical = context.average(context.std**2) ** 0.5
        parts = []
        for name in forecast["variable"].to_numpy():
            unit = float(typical.sel(variable=name))
            members, outcome, _ = ensembles.fields(
                forecast.sel(variable=[name]), truth.sel(variable=[name]), context
            )
            _, fair = fields.variogram(
                members[..., chosen],
                outcome[..., chosen],
                pairs,
                weights / unit ** (2 * self.power),
                self.power,
            )
            parts.append(ensembles.cases(forecast, variogram=fair))
        finite = ensembles.marginals(forecast, truth, context)["error"].notnull()
        return xr.concat(parts, forecast["variable"]).where(finite)  # also of cells left out

    def _chosen(self, sea: "xr.DataArray") -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Places of the cells: on a lattice as coarse as it takes, or every so many of the sea."""
        import numpy as np

        cells = np.nonzero(sea.to_numpy().ravel())[0]
        fewest = min(len(cells), self.points) // 4  # a lattice may miss a narrow sea
        step = 1
        while True:
            lattice = np.zeros(sea.shape, bool)
            lattice[tuple(slice(step // 2, None, step) for _ in sea.shape)] = True
            chosen: np.ndarray[tuple[int], np.dtype[np.int64]] = np.nonzero(
                (lattice & sea.to_numpy()).ravel()
            )[0]
            if len(chosen) < fewest:
                return cells[:: -(-len(cells) // self.points)]
            if len(chosen) <= self.points:
                return chosen
            step += 1

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean score."""
        return means.rename(variogram="variogram score")
