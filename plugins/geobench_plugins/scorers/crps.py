"""The continuous ranked probability score."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


class CRPS(Scorer):
    """Fair CRPS of the marginals: mean |x - y| - sum_jk |x_j - x_k| / (2 M (M - 1)).

    Averaged over the grid. Its expectation does not depend on the number of members (Ferro, 2014,
    doi:10.1002/qj.2270). xskillscore's `crps_ensemble` divides the last sum by 2 M²: it charges a
    perfect ensemble 1/M more than the fair one, so it is not used here. It sees every site on its
    own: shuffling members from site to site does not change it.
    """

    name = "crps"
    fair = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `error`, the mean |x - y|, and `spread`, the fair mean of |x - x'| / 2."""
        import xarray as xr

        error = abs(forecast - truth).mean("member", skipna=False)
        spread = xr.apply_ufunc(half_mean_difference, forecast, input_core_dims=[["member"]])
        return xr.Dataset({"error": context.average(error), "spread": context.average(spread)})

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the error less the spread."""
        return (means["error"] - means["spread"]).to_dataset(name="CRPS")


def half_mean_difference(
    members: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Half the mean of |x_j - x_k| over pairs j != k, members along the last axis.

    From sorted members: sum over i of (2 i - M + 1) x_(i) / (M (M - 1)), i from 0. NaN for a single
    member, and where a member is NaN.
    """
    import numpy as np

    count = members.shape[-1]
    if count < 2:
        return np.full(members.shape[:-1], np.nan)
    # Centred first: sorted weights cancel badly when the mean is far from zero.
    middle = members[..., :1]
    ordered = np.sort((members - middle).astype(np.float64), -1)
    weights = (2 * np.arange(count) - count + 1) / (count * (count - 1))
    result: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = ordered @ weights
    return result
