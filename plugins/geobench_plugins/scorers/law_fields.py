"""The excess over the law of the variogram score and of the kernel score, and its discrepancy."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class LawVariogram(Scorer):
    """Excess of `variogram` over the law: squared difference of mean variograms, debiased.

    Mean over pairs of points of (mean_j |x_ji - x_jk|^p - mean_l |y_li - y_lk|^p)², members x and
    draws y of the law, less what the sampling of both adds, variance_j / M and variance_l / K.
    Units and points are those of `variogram`. Without the noise of one outcome, and unbiased, so it
    may come out a little below 0.
    """

    name = "law-variogram"
    family = "fields"
    fair = True
    proper = True
    needs_law = True
    cells_by_area = False
    units = "1"

    power: float = Field(0.5, gt=0, le=2, description="p, as of variogram")
    points: int = Field(64, gt=1, description="cells at most; the cost grows with their square")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case and variable."""
        import numpy as np
        import xarray as xr

        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.law_variogram import law_variogram

        law = ensembles.law_of(forecast, context)
        chosen = ensembles.lattice(context.sea, self.points)
        pairs = np.stack(np.triu_indices(len(chosen), 1), -1)
        weights = ensembles.pair_weights(context, chosen[pairs])
        typical = context.average(context.std.astype(float) ** 2) ** 0.5
        parts = []
        for name in forecast["variable"].to_numpy():
            unit = float(typical.sel(variable=name))
            outcome = truth.sel(variable=[name])
            members, draws = (
                ensembles.fields(sample.sel(variable=[name]), outcome, context)[0][..., chosen]
                for sample in (forecast, law)
            )
            scaled_weights = weights / unit ** (2 * self.power)
            excess = law_variogram(members, draws, pairs, scaled_weights, self.power)
            parts.append(ensembles.cases(forecast, excess=excess))
        finite = context.average(forecast).notnull().all("member")
        return xr.concat(parts, forecast["variable"]).where(finite)  # also of cells left out

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess="excess variogram score")


class LawMMD(Scorer):
    """Squared maximum mean discrepancy: E k(x, x') + E k(y, y') - 2 E k(x, y), draws y of the law.

    Twice the excess of `kernel-score` over the law, without the noise of one outcome: 0 for the law
    alone (Gretton et al., 2012). By all pairs, so unbiased: it may come out a little below 0.
    """

    name = "law-mmd"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"

    widths: tuple[float, ...] = Field(
        (0.1, 0.3, 1.0), min_length=1, description="w, as of kernel-score"
    )

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `discrepancy` of each case."""
        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.gaussian_kernel import discrepancy

        law = ensembles.law_of(forecast, context)
        x, y = (ensembles.scaled(sample, truth, context) for sample in (forecast, law))
        return ensembles.cases(forecast, discrepancy=discrepancy(self.widths, x, y))

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(discrepancy="squared MMD")


class LawKernelScore(Scorer):
    """Excess of `kernel-score` over the law: half the squared discrepancy of `law-mmd`.

    In the units of the kernel score, without the noise of one outcome, and unbiased, so it may come
    out a little below 0.
    """

    name = "law-kernel-score"
    family = "fields"
    fair = True
    proper = True
    needs_law = True
    units = "1"

    widths: tuple[float, ...] = Field(
        (0.1, 0.3, 1.0), min_length=1, description="w, as of kernel-score"
    )

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case."""
        discrepancy = LawMMD(widths=self.widths).statistics(forecast, truth, context)
        return (discrepancy / 2).rename(discrepancy="excess")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess="excess kernel score")
