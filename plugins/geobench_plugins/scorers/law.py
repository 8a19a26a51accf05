"""Distances from the true law, by draws of it: what one outcome for each case cannot tell."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class LawCRPS(Scorer):
    """Excess CRPS over the law: E|x - y| - E|x - x'| / 2 - E|y - y'| / 2, members x, draws y.

    What the fair CRPS of the members exceeds that of the law by, in expectation, without the noise
    of one outcome: half the energy distance of the marginals (Székely & Rizzo, 2013,
    doi:10.1016/j.jspi.2013.03.018). Unbiased, so it may come out a little below 0. Every member and
    every draw is read; a single member is a point mass, and draws are two at the least.
    """

    name = "law-crps"
    family = "sites"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case."""
        from geobench_plugins.kernels import ensembles

        return ensembles.law_marginals(forecast, context)[["excess"]]

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess="excess CRPS")


class LawEnergy(Scorer):
    """Excess energy score over the law: as `law-crps`, with distances of whole fields.

    It is 0 for the law alone, dependence included, and in the units of `energy`.
    """

    name = "law-energy"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case."""
        from geobench_plugins.kernels import ensembles

        law = ensembles.law_of(forecast, context)
        members, _, weights = ensembles.fields(forecast, truth, context)
        draws, _, _ = ensembles.fields(law, truth, context)
        excess = ensembles.excess_energy(members, draws, weights)
        return ensembles.cases(forecast, excess=excess)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess="excess energy score")


class LawMean(Scorer):
    """Squared error of the conditional mean: of the means of members x and draws y of the law.

    Over the variable's climatological variance (its mean over sea cells), and less what the
    sampling of both adds, var(x) / M + var(y) / K: unbiased, so it may come out a little below 0.
    """

    name = "law-mean"
    family = "sites"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the debiased `squared` difference of each case."""
        from geobench_plugins.kernels import ensembles

        squared = ensembles.law_means(forecast, context)["squared"]
        return (squared / ensembles.typical_size(context) ** 2).to_dataset(name="squared")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(squared="squared error of the mean")


class LawSpread(Scorer):
    """Spread of the members less that of the law, each the root of a mean variance; 0 is best.

    A single member has none.
    """

    name = "law-spread"
    family = "sites"
    better = "zero"
    fair = True
    needs_law = True
    least_members = 2
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the variance of the `members` and of the `law` in each case."""
        import xarray as xr

        from geobench_plugins.kernels.ensembles import law_of

        members, of_law = (
            context.average(sample.astype(float).var("member", ddof=1, skipna=False))
            for sample in (forecast, law_of(forecast, context))
        )
        return xr.Dataset({"members": members, "law": of_law.where(members.notnull())})

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the difference of the roots."""
        difference = means["members"] ** 0.5 - means["law"] ** 0.5
        return difference.to_dataset(name="spread over the law's")
