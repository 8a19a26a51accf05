"""The CRPS of how far, how long and when extremes happen."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class EventCRPS(Scorer):
    """Fair CRPS of the extent, the duration or the first passage of extremes.

    Extremes are exceedances of climatological quantiles, each site against its own. `extent`: the
    share of sea cells in one at this lead time, which needs the right dependence in space;
    `duration`: how many lead times a site has been in one so far; `first-passage`: how many it has
    been waiting for the first one, as far as known by now. Both need the right dependence in time.
    All cases count, whatever happened in them: a proper score of joint exceedances.
    """

    name = "event-crps"
    family = "extremes"
    version = "2"
    fair = True
    proper = True
    units = "1"
    whole_paths = True

    of: Literal["extent", "duration", "first-passage"] = Field("extent", description="what")

    def law_form(self) -> Scorer:
        """Name `law-event-crps`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_crps import LawEventCRPS

        return LawEventCRPS(within=self.within, of=self.of)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `crps` of each quantile."""
        import xarray as xr

        from geobench_plugins.kernels.ensembles import marginals, unlimited

        grid = self.grid(context)
        drawn = zip(*(self.numbers(each, context) for each in (forecast, truth)), strict=True)
        parts = [
            marginals(members, outcome, unlimited(grid))[["crps"]] for members, outcome in drawn
        ]
        return xr.concat(parts, context.thresholds["quantile"])

    def grid(self, context: Context) -> Context:
        """What is known of the cells that `numbers` are of."""
        if self.of != "extent":
            return context
        cell = dict.fromkeys(context.sea.dims, slice(1))  # one number for all of it
        return replace(context, sea=context.sea.isel(cell) | True, areas=None)

    def numbers(self, values: "xr.DataArray", context: Context) -> "Iterator[xr.DataArray]":
        """What is taken of values, members or outcomes, for each quantile in turn."""
        failed = self._failed(values, context)
        for quantile in context.thresholds["quantile"].to_numpy():
            limit = context.thresholds.sel(quantile=quantile, drop=True)
            yield self._number(values > limit, context).where(~failed)

    def _failed(self, values: "xr.DataArray", context: Context) -> "xr.DataArray":
        """Where a path holds what is not a number, from then on, anywhere at sea."""
        bad = context.average(values).isnull()
        return bad if self.of == "extent" else bad.cumsum("lead_time") > 0

    def _number(self, exceeds: "xr.DataArray", context: Context) -> "xr.DataArray":
        if self.of == "extent":
            return context.average(exceeds).expand_dims(dict.fromkeys(context.sea.dims, 1))
        if self.of == "duration":
            return exceeds.cumsum("lead_time").astype(float)
        waiting = (exceeds.cumsum("lead_time") == 0).astype(int)
        return waiting.cumsum("lead_time").astype(float)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        of = self.of.replace("-", " ")
        return means.rename(crps=f"CRPS of the {of}")
