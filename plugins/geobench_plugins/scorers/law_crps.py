"""The excess CRPS over the law of what is made of fields: tails, windows, paths and events."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import Context, Scorer
from geobench_plugins.kernels.event_numbers import Number

if TYPE_CHECKING:
    import xarray as xr


class LawTailCRPS(Scorer):
    """Excess of `tail-crps` over the law: `law-crps` of max(x, t) and max(y, t), draws y.

    t is a climatological quantile, each site against its own. Without the noise of one outcome,
    and unbiased, so it may come out a little below 0.
    """

    name = "law-tail-crps"
    family = "extremes"
    fair = True
    proper = True
    needs_law = True
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case and quantile."""
        from geobench_plugins.kernels.ensembles import law_marginals

        excess = law_marginals(forecast, context)["tail_excess"]
        return excess.to_dataset(name="excess")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess="excess twCRPS")


class LawPooledCRPS(Scorer):
    """Excess of `pooled-crps` over the law: `law-crps` of means or maxima over windows.

    Members and draws of the law are pooled alike, so it is 0 for the law, dependence within a
    window included. Without the noise of one outcome, and unbiased: it may come out a little below
    0.
    """

    name = "law-pooled-crps"
    family = "fields"
    fair = True
    proper = True
    needs_law = True
    cells_by_area = False

    window: int = Field(4, gt=1, description="cells along each grid dim, as of pooled-crps")
    pool: Literal["mean", "max"] = Field("mean", description="what is taken of a window")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case."""
        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.windows import coarse, pooled

        members, law = (
            pooled(sample, context, self.window, self.pool)
            for sample in (forecast, ensembles.law_of(forecast, context))
        )
        windows = coarse(context, self.window)
        # A failed value counts wherever it is: also in the rest, and where it is no maximum.
        finite = context.average(forecast).notnull().all("member")
        excess = ensembles.excess_crps(members, law, windows).where(finite)
        return excess.to_dataset(name="excess")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess=f"excess CRPS of {self.pool} over {self.window}")


class LawPathCRPS(Scorer):
    """Excess of `path-crps` over the law: `law-crps` of a change, or a mean or maximum so far.

    The number is taken of each member's path and of each draw's. Without the noise of one outcome,
    and unbiased, so it may come out a little below 0.
    """

    name = "law-path-crps"
    family = "time"
    fair = True
    proper = True
    needs_law = True
    whole_paths = True

    of: Literal["change", "mean", "maximum"] = Field(
        "change", description="what is taken, as of path-crps"
    )

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case."""
        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.paths import taken

        law = ensembles.law_of(forecast, context)
        members, draws = (taken(sample, self.of) for sample in (forecast, law))
        return ensembles.excess_crps(members, draws, context).to_dataset(name="excess")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess=f"excess CRPS of the {self.of} in time")


class LawEventCRPS(Scorer):
    """Excess of `event-crps` over the law: of the extent, duration or first passage of extremes.

    The number is taken of each member and of each draw. Without the noise of one outcome, and
    unbiased, so it may come out a little below 0.
    """

    name = "law-event-crps"
    family = "extremes"
    fair = True
    proper = True
    needs_law = True
    units = "1"
    whole_paths = True

    of: Number = Field("extent", description="what, as of event-crps")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `excess` of each case and quantile."""
        import xarray as xr

        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.event_numbers import numbers, of_numbers

        law, grid = ensembles.law_of(forecast, context), of_numbers(self.of, context)
        drawn = zip(*(numbers(self.of, sample, context) for sample in (forecast, law)), strict=True)
        parts = [ensembles.excess_crps(members, draws, grid) for members, draws in drawn]
        return xr.concat(parts, context.thresholds["quantile"]).to_dataset(name="excess")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(excess=f"excess CRPS of the {self.of.replace('-', ' ')}")
