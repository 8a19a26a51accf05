"""The CRPS of how far, how long and when extremes happen."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer
from geobench_plugins.kernels.event_numbers import Number

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

    of: Number = Field("extent", description="what")

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
        from geobench_plugins.kernels.event_numbers import numbers, of_numbers

        grid = unlimited(of_numbers(self.of, context))
        drawn = zip(*(numbers(self.of, array, context) for array in (forecast, truth)), strict=True)
        parts = [marginals(members, outcome, grid)[["crps"]] for members, outcome in drawn]
        return xr.concat(parts, context.thresholds["quantile"])

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        of = self.of.replace("-", " ")
        return means.rename(crps=f"CRPS of the {of}")
