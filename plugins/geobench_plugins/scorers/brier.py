"""The Brier score of climatological events."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class Brier(Scorer):
    """Fair Brier score of exceeding climatological quantiles, each site against its own.

    (k/M - o)² - k (M - k) / (M² (M - 1)), k of M members above the threshold (Ferro, 2014,
    doi:10.1002/qj.2270): `xskillscore.brier_score(fair=True)`, which is right but takes a NaN for
    "no event", so NaNs are put back here.
    """

    name = "brier"
    fair = True
    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the fair `brier` score of each case and quantile."""
        import numpy as np
        import xarray as xr
        import xskillscore

        valid = xr.apply_ufunc(np.isfinite, forecast).all("member")
        valid = valid & xr.apply_ufunc(np.isfinite, truth)
        parts = []
        for quantile in context.thresholds["quantile"]:
            threshold = context.thresholds.sel(quantile=quantile)
            score = xskillscore.brier_score(
                truth > threshold, forecast > threshold, member_dim="member", fair=True, dim=[]
            )
            parts.append(context.average(score.where(valid)))
        return xr.concat(parts, "quantile").to_dataset(name="brier")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean score."""
        return means.rename(brier="Brier")
