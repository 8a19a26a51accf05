"""Extremes against the true law: their probabilities, what they are worth, how far they go."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from geobench_plugins.kernels.ensembles import Unlabelled

Share = Annotated[float, Field(gt=0, lt=1)]


class LawBrier(Scorer):
    """Squared error of event probabilities: (k/M - p*)², p* the true one, by draws of the law.

    Of exceeding climatological quantiles, each site against its own. Less what the sampling of
    members and draws adds, p (1 - p) / (n - 1) of each: unbiased, so it may come out a little below
    0. It is the excess of the Brier score over the law's, without the noise of one outcome. The
    probability of a single member is 0 or 1, and nothing is taken off for it.
    """

    name = "law-brier"
    family = "extremes"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the debiased `squared` error of each case and quantile."""
        from geobench_plugins.kernels.ensembles import law_probabilities

        return law_probabilities(forecast, context).to_dataset(name="squared")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(squared="squared error of p")


class LawRPS(Scorer):
    """Excess of `rps` over the law: the sum of `law-brier` over climatological quantiles.

    Without the noise of one outcome, and unbiased, so it may come out a little below 0.
    """

    name = "law-rps"
    family = "extremes"
    fair = True
    proper = True
    needs_law = True
    units = "1"
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case."""
        squared = LawBrier().statistics(forecast, truth, context)["squared"]
        return squared.sum("quantile", skipna=False).to_dataset(name="excess")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess="excess RPS")


class LawReliability(Scorer):
    """Reliability of event probabilities against the true ones: mean of (k/M - p*_k)².

    p*_k is the mean true probability where k of M members exceed a climatological quantile, each
    site against its own: `reliability` with the true probability in place of the outcome, so that
    rare events have as little noise as others. Less that of as many draws of the law: few members
    are never quite reliable, since what is above k/M by chance is so as well.

    Of K draws M are in place of the members, and the others tell p*. With fewer than 2 M draws it
    is that of the fewest equal groups of members that the draws suffice for, each with other draws:
    16 members and 16 draws are two groups of 8. Every member and every draw is read, and their
    order does not matter.
    """

    name = "law-reliability"
    family = "extremes"
    version = "2"
    needs_law = True
    units = "1"
    cells_by_area = False  # of more cells the groups are others

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `share` of the cells with k above, and sum of p* there, `(…, of, above)`."""
        import xarray as xr

        from geobench_plugins.kernels.splits import over_splits

        label = xr.DataArray(["members", "law"], dims="of", name="of")

        def of(group: "xr.DataArray", drawn: "list[xr.DataArray]") -> "xr.Dataset":
            draws, true = drawn
            parts = {}
            for name, weigh in (("share", None), ("sum", true.variable)):
                averages = [
                    _by_quantile(sample, partial(_by_number, true=weigh), context)
                    for sample in (group, draws)
                ]
                finite = averages[0].notnull().all("above")
                parts[name] = xr.concat([average.where(finite) for average in averages], label)
            return xr.Dataset(parts)

        return over_splits(self.name, forecast, context, 1, of)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the term of the members less that of the draws."""
        import numpy as np
        import xarray as xr

        share, count = means["share"], means.sizes["above"] - 1
        probability = xr.DataArray(np.arange(count + 1) / count, dims="above")
        true = means["sum"] / share.where(share > 0, 1.0)
        term = (share * (probability - true) ** 2).sum("above", skipna=False)
        of = [term.sel(of=name, drop=True) for name in ("members", "law")]
        return (of[0] - of[1]).to_dataset(name="reliability against p")


class LawExceedance(Scorer):
    """How often members exceed climatological quantiles, over how often the law does, less 1.

    Below 0 extremes are forecast too rarely. It needs no outcome, so that of rare events, too,
    there are as many as the draws hold.
    """

    name = "law-exceedance"
    family = "extremes"
    better = "zero"
    fair = True
    needs_law = True
    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the shares of `members` and of the `law` above each quantile."""
        import xarray as xr

        from geobench_plugins.kernels.ensembles import law_of

        law = law_of(forecast, context)
        members, of_law = (_by_quantile(sample, _above, context) for sample in (forecast, law))
        return xr.Dataset({"members": members, "law": of_law.where(members.notnull())})

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio less 1; NaN where the law never exceeds the quantile."""
        from geobench_plugins.kernels.ensembles import ratio

        excess = ratio(means["members"] - means["law"], means["law"])
        return excess.to_dataset(name="exceedance over the law's")


class LawValue(Scorer):
    """Economic value that is lost by taking the members' probabilities for the true ones.

    A user who pays C to prevent a loss L acts where k/M reaches C/L. What that costs on average, by
    the true probabilities, over what it costs a user with as many draws of the law, as a share of
    what perfect forecasts would save over the climate's rate (as of `economic-value`): 0 serves as
    well as the law. Unlike there nothing is chosen in hindsight, so bad calibration costs, and
    where little is known a user of few draws, of the law's too, may fare worse than with the
    climate. Of K draws M decide, and the others tell the true costs. With fewer than 2 M draws it
    is the mean over the fewest equal groups of members that the draws suffice for, each with other
    draws, and users have as few members: 16 members and 16 draws are two groups of 8. Every member
    and every draw is read, and their order does not matter.
    """

    name = "law-value"
    family = "extremes"
    version = "2"
    fair = False
    needs_law = True
    units = "1"
    cells_by_area = False  # of more cells the groups are others

    cost_loss: tuple[Share, ...] = Field((0.05, 0.2), description="ratios C/L", min_length=1)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return expenses per L `(…, quantile, cost_loss)` of both users, and the `rate`."""
        from geobench_plugins.kernels.splits import over_splits

        def of(group: "xr.DataArray", drawn: "list[xr.DataArray]") -> "xr.Dataset":
            draws, true = drawn
            return self._expenses(group, draws, true, context)

        expenses = over_splits(self.name, forecast, context, 1, of)
        return expenses.assign_coords(cost_loss=list(self.cost_loss))

    def _expenses(
        self, group: "xr.DataArray", draws: "xr.DataArray", true: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        import xarray as xr

        ratios: Unlabelled = xr.Variable("cost_loss", list(self.cost_loss))

        def of(users: "Unlabelled", limit: "Unlabelled") -> "Unlabelled":
            p = _above(users, limit)
            cost = ratios.where(p >= ratios - 1e-9, _above(true.variable, limit))
            return cost.where(p.notnull())

        rate = _by_quantile(true, _above, context)
        members, law = (_by_quantile(sample, of, context) for sample in (group, draws))
        finite = members.notnull()
        return xr.Dataset(
            {
                "members": members,
                "law": law.where(finite),
                "rate": rate.where(finite.all("cost_loss")),
            }
        )

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the share."""
        from geobench_plugins.kernels.ensembles import ratio

        rate, share = means["rate"], means["cost_loss"]
        saved = rate.clip(max=share) - rate * share  # over always acting, or never
        lost = ratio(means["members"] - means["law"], saved)
        return lost.to_dataset(name="value lost")


class LawReturnLevel(Scorer):
    """Return level and tail index of what the members do, less those of the law.

    Over all cases and cells: of what exceeds the climatological quantile nearest to `above`, each
    cell's own and by how much of the climate's standard deviation, a generalised Pareto law is
    fitted by moments (Hosking & Wallis, 1987, doi:10.2307/1269343): tail index
    ξ = (1 - m²/s²) / 2, m and s² the mean and variance of the excess, and from it the level that is
    exceeded with `probability`, in the same units. Meant for tails that are not heavy (ξ < 1/4).
    """

    name = "law-return-level"
    family = "extremes"
    better = "zero"
    fair = True
    needs_law = True
    units = "1"

    above: Share = Field(0.99, description="quantile above which the tail is fitted")
    probability: Share = Field(1e-4, description="of exceeding the level, per case and cell")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `share` above, mean excess and its square `(…, of)`, of members and law."""
        import xarray as xr

        from geobench_plugins.kernels.ensembles import law_of

        limit = context.thresholds.sel(quantile=self.above, method="nearest", drop=True)
        std = context.std.where(context.std > 0, 1.0)  # cells that never change (walls)
        by_sample = []
        for sample in (forecast, law_of(forecast, context)):
            drawn = sample.astype(float)
            excess = ((drawn - limit) / std).clip(0)
            parts = {
                "share": (drawn > limit).where(drawn.notnull()),
                "excess": excess,
                "square": excess**2,
            }
            by_sample.append(
                xr.Dataset(
                    {k: context.average(v).mean("member", skipna=False) for k, v in parts.items()}
                )
            )
        by_sample[1] = by_sample[1].where(by_sample[0]["share"].notnull())
        return xr.concat(by_sample, xr.DataArray(["members", "law"], dims="of", name="of"))

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return both differences; NaN where the level is not in the tail that is fitted."""
        import numpy as np
        import xarray as xr

        share = means["share"].where(means["share"] > 0)
        mean = means["excess"] / share
        variance = means["square"] / share - mean**2
        index = (1 - mean**2 / variance) / 2
        scale = mean * (1 - index)
        beyond = share / self.probability
        flat = abs(index) < 1e-9  # the exponential law
        growth = ((beyond**index - 1) / index.where(~flat, 1.0)).where(~flat, np.log(beyond))
        level = (scale * growth).where(beyond >= 1)
        named = {"return level": level, "tail index": index}
        never = (means["share"] == 0).all("of") & (means["square"] == 0).all("of")
        return xr.Dataset(
            {
                f"{name} over the law's": (
                    values.sel(of="members", drop=True) - values.sel(of="law", drop=True)
                ).where(~never, 0.0)
                for name, values in named.items()
            }
        )


def _by_number(
    members: "Unlabelled", limit: "Unlabelled", true: "Unlabelled | None"
) -> "Unlabelled":
    """Where k members are above, 1 or the share of the `true` draws that is: `(…, above)`."""
    import numpy as np
    import xarray as xr

    count = members.sizes["member"]
    number = (members > limit).sum("member").where(members.notnull().all("member"))
    chosen = (number == xr.Variable("above", np.arange(count + 1))).astype(float)
    weighed = chosen if true is None else chosen * _above(true, limit)
    return weighed.where(number.notnull())


def _above(drawn: "Unlabelled", limit: "Unlabelled") -> "Unlabelled":
    """Share of the members above; NaN where one is."""
    return (drawn > limit).mean("member").where(drawn.notnull().all("member"))


def _by_quantile(
    drawn: "xr.DataArray",
    of: "Callable[[Unlabelled, Unlabelled], Unlabelled]",
    context: Context,
) -> "xr.DataArray":
    """Average over the grid of what `of` tells of members and each threshold `(quantile, …)`.

    Without labels on the way, which need not be compared again and again.
    """
    import xarray as xr

    from geobench_plugins.kernels.ensembles import stacked

    limits = context.thresholds.sel(variable=drawn["variable"]).variable
    averages = [
        context.average(xr.DataArray(of(drawn.variable, limits.isel(quantile=index)))).variable
        for index in range(limits.sizes["quantile"])
    ]
    gone = {"member", *context.sea.dims}
    coords = {
        name: coordinate
        for name, coordinate in drawn.coords.items()
        if gone.isdisjoint(coordinate.dims)
    }
    quantiles = {"quantile": context.thresholds["quantile"]}
    return xr.DataArray(stacked(averages, "quantile"), coords | quantiles)
