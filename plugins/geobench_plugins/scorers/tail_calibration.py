"""Calibration of tails, without choosing cases by their outcome."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class TailCalibration(Scorer):
    """Largest difference between the PIT of exceedances and what calibrated tails have.

    Above a climatological quantile t, max over u of |E[1(y > t, Z <= u)] / E[1 - F(t)] - u|, Z the
    PIT of the outcome within the law above t: tail calibration of Allen, Koh, Segers & Ziegel
    (2025, arXiv:2407.03167). The PIT of exceedances alone would reward those who cry wolf; set
    against how often members exceed t it is 0 only if the tail is right both in how often and how
    far. Of k members above t and an outcome among them each place is as likely as any other, so it
    is 0 for the law at any number of members, but for sampling: compare with the oracle's. A single
    member says nothing of how far: it has none.
    """

    name = "tail-calibration"
    family = "calibration"
    version = "2"
    units = "1"
    least_members = 2

    bins: int = Field(10, gt=1, description="values of u")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `exceeded` `(…, quantile, bin)`, shares of cells, and `expected` `(…, quantile)`.

        Of cells whose outcome is above t, by the PIT; and the mean share of members above t.
        """
        import numpy as np
        import xarray as xr

        exceeded, expected = [], []
        finite = (
            context.average(forecast).notnull().all("member") & context.average(truth).notnull()
        )
        members = forecast.transpose(..., "member")
        for quantile in context.thresholds["quantile"].to_numpy():
            limit = context.thresholds.sel(quantile=quantile, drop=True)
            above = members > limit
            count = above.sum("member")
            lower = (above & (members < truth)).sum("member")
            happened = (truth > limit) & context.sea
            equal = (above & (members == truth)).sum("member")
            # Each place among k members is an interval of length 1 / (k + 1) of the PIT; among
            # members equal to the outcome it may have any.
            low, high = lower / (count + 1), (lower + equal + 1) / (count + 1)
            edges = xr.DataArray(np.linspace(0, 1, self.bins + 1), dims="bin")
            reached = ((edges - low) / (high - low)).clip(0, 1).diff("bin")
            exceeded.append(context.average(reached.where(happened, 0.0)).where(finite))
            expected.append(context.average(count / members.sizes["member"]).where(finite))
        return xr.Dataset(
            {
                "exceeded": xr.concat(exceeded, context.thresholds["quantile"]),
                "expected": xr.concat(expected, context.thresholds["quantile"]),
            }
        )

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the largest difference; NaN where no member ever exceeds the quantile."""
        import numpy as np
        import xarray as xr

        u = xr.DataArray(np.arange(1, self.bins + 1) / self.bins, dims="bin")
        expected = means["expected"]
        ratio = means["exceeded"].cumsum("bin", skipna=False) / expected.where(expected > 0)
        return abs(ratio - u).max("bin", skipna=False).to_dataset(name="tail miscalibration")
