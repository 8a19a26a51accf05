"""Whether events are told from non-events: area under the ROC curve, SEDI, economic value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from geobench import Context, Curve, Scorer

if TYPE_CHECKING:
    import xarray as xr

Share = Annotated[float, Field(gt=0, lt=1)]


class OfTable(Scorer):
    """A function of how often k members exceeded a threshold, with and without the event.

    Events are the exceedances of climatological quantiles, each site against its own, as of
    `brier`. Forecast probabilities are whole numbers of members, so that no threshold is lost to
    rounding.
    """

    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `table` `(…, quantile, above, happened)` of each case: shares of the cells."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["table"]]

    def curves(self) -> "Sequence[Curve]":
        """Reliability diagram, value of the forecasts to users, and ROC curve."""
        from geobench_plugins.scorers.curves_of_events import CURVES

        return CURVES


class ROC(OfTable):
    """Area under the curve of hit rate over false-alarm rate, one point for each k of M members.

    The chance that a case with the event had more members above the threshold than a case without,
    ties counting half. 0.5 knows nothing. It cannot see miscalibration.
    """

    name = "roc"
    family = "extremes"
    better = "higher"

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the area."""
        with_event, without = (_rates(means["table"]).isel(happened=o) for o in (1, 0))
        below = without.cumsum("above") - without / 2
        return (with_event * below).sum("above", skipna=False).to_dataset(name="ROC area")


class SEDI(OfTable):
    """Symmetric extremal dependence index of the warning that a share of the members makes.

    (ln F - ln H - ln(1 - F) + ln(1 - H)) / (ln F + ln H + ln(1 - F) + ln(1 - H)), H the hit rate, F
    the false-alarm rate (Ferro & Stephenson, 2011, doi:10.1175/WAF-D-10-05030.1). It does not go to
    0 or 1 as events become rare. NaN where a rate is 0 or 1.
    """

    name = "sedi"
    family = "extremes"
    better = "higher"

    share: Share = Field(0.5, description="of the members above the threshold, at least: a warning")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the index."""
        import numpy as np
        import xarray as xr

        table = means["table"]
        needed = self.share * (table.sizes["above"] - 1)
        warned = np.arange(table.sizes["above"]) >= needed - 1e-9
        rates = _rates(table)
        # Both shares are sums, so that none is exactly 0 but for rounding.
        yes, no = (rates.isel(above=of).sum("above", skipna=False) for of in (warned, ~warned))
        with np.errstate(divide="ignore", invalid="ignore"):
            odds, both = (xr.apply_ufunc(np.log, ratio) for ratio in (yes / no, yes * no))
            total = both.sum("happened", skipna=False)
            index = means.assign(SEDI=(odds.isel(happened=0) - odds.isel(happened=1)) / total)
        return index[["SEDI"]].where(abs(index["SEDI"]) < np.inf)


class EconomicValue(OfTable):
    """Potential economic value for users of several cost-loss ratios (Richardson, 2000).

    doi:10.1002/qj.49712656313. A user who pays C to prevent a loss L acts if at least k members
    are above the threshold, with the k that serves best: (E_climate - E) / (E_climate - E_perfect),
    expenses E per L. 1: as with perfect forecasts; 0: as with the climate alone, which one can
    always fall back on. The best k is chosen in hindsight: potential value.
    """

    name = "economic-value"
    family = "extremes"
    better = "higher"

    cost_loss: tuple[Share, ...] = Field((0.05, 0.2), description="ratios C/L", min_length=1)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the value for each ratio."""
        import numpy as np
        import xarray as xr

        table = means["table"].isel(above=slice(None, None, -1))
        alarms, events = (table.isel(happened=happened) for happened in (0, 1))
        rate = events.sum("above", skipna=False)
        values = []
        for ratio in self.cost_loss:
            # Who never acts loses all events. To warn from k on costs C for each alarm with k or
            # more members, and saves L - C where the event happens.
            warned = (ratio * alarms - (1 - ratio) * events).cumsum("above", skipna=False)
            expense = rate + warned.min("above", skipna=False)
            climate = rate.clip(max=ratio)  # always acting, or never
            values.append((climate - np.minimum(expense, climate)) / (climate - rate * ratio))
        labels = xr.DataArray(list(self.cost_loss), dims="cost_loss", name="cost_loss")
        return xr.concat(values, labels).to_dataset(name="economic value")


def _rates(table: "xr.DataArray") -> "xr.DataArray":
    """Shares of k given the event, and given that it did not happen; NaN if it never did."""
    total = table.sum("above", skipna=False)
    rates: xr.DataArray = table / total.where(total > 0)
    return rates
