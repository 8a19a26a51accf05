"""The energy score."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


class Energy(Scorer):
    """Fair energy score of whole fields: mean |x - y| - sum_jk |x_j - x_k| / (2 M (M - 1)).

    |·| is the root of the mean square over sea cells and variables, each variable in units of its
    climatological standard deviation (the root of the mean variance over sea cells); with one cell
    it is the CRPS. Proper for the joint law (Gneiting & Raftery, 2007,
    doi:10.1198/016214506000001437), and its expectation does not depend on the number of members.
    It does see dependence, unlike the CRPS, but little of that shows in its value: on a ring of 40
    sites, correlated over 4, shuffling the members at every site costs 0.8 %. Compare case by case.
    """

    name = "energy"
    fair = True
    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `error`, the mean |x - y|, and `spread`, the fair mean of |x - x'| / 2."""
        import xarray as xr

        fields = ["variable", *context.sea.dims]
        typical = context.average(context.std**2) ** 0.5
        count = context.sea.sum() * context.std.sizes["variable"]
        # Zero on land, whatever stands there.
        weights = (context.sea / (typical * count**0.5)).transpose(*fields)
        error, spread = xr.apply_ufunc(
            distances,
            forecast,
            truth,
            weights,
            input_core_dims=[["member", *fields], fields, fields],
            output_core_dims=[[], []],
            vectorize=True,  # case by case: in double precision and in little memory
        )
        return xr.Dataset({"error": error, "spread": spread})

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the error less the spread."""
        return (means["error"] - means["spread"]).to_dataset(name="energy score")


def distances(members: "Numbers", outcome: "Numbers", weights: "Numbers") -> tuple[float, float]:
    """Mean |x - y|, and half the mean of |x_j - x_k| over pairs j != k, of one case.

    `members` is (member, *field), the others (*field); |·| is Euclidean, of weighted fields. The
    spread of a single member is NaN, and both are where a member is.
    """
    import numpy as np
    from scipy.spatial.distance import pdist

    counts = weights > 0
    fields = (members[:, counts].astype(np.float64) - outcome[counts]) * weights[counts]
    error = np.sqrt((fields**2).sum(1)).mean()
    spread = pdist(fields).mean() / 2 if len(fields) > 1 else np.nan
    return float(error), float(spread)
