"""What scorers ask of ensembles, as labelled arrays: the fused pass, once for all scorers."""

from typing import TYPE_CHECKING

from geobench import Context

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

_CASES = ("init_time", "lead_time")


def marginals(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.Dataset":
    """Means over the sea cells of every case and variable: see `kernels.marginals.Marginals`.

    Of tails and of the table also by the context's climatological quantiles `(…, quantile)`, each
    cell against its own; `table` has further dims `above` (members) and `happened`, `ranks` has
    `rank`.
    """
    return context.shared("marginals", forecast, truth, lambda: _of(forecast, truth, context))


def _of(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.Dataset":
    import numpy as np
    import xarray as xr

    from geobench_plugins.kernels import marginals as kernel

    grid = context.sea.dims
    forecast = forecast.transpose("variable", *_CASES, "member", *grid)
    truth = truth.transpose("variable", *_CASES, *grid)
    limits = context.thresholds.transpose("variable", "quantile", *grid)
    sizes = forecast.shape[1:3]
    weights = context.sea.to_numpy().reshape(1, -1).astype(np.float64)
    keys = _keys(forecast)
    parts = []
    for members, outcome, thresholds in zip(
        forecast.to_numpy(), truth.to_numpy(), limits.to_numpy(), strict=True
    ):
        found = kernel.marginals(
            members.reshape(-1, members.shape[2], weights.size),
            outcome.reshape(-1, weights.size),
            weights,
            thresholds.reshape(len(thresholds), -1),
            keys,
        )
        parts.append([each[:, 0].reshape(*sizes, *each.shape[2:]) for each in found])
    further = {
        "tail_error": ("quantile",),
        "tail_spread": ("quantile",),
        "table": ("quantile", "above", "happened"),
        "ranks": ("rank",),
    }
    fields = {
        name: (("variable", *_CASES, *further.get(name, ())), np.stack(each))
        for name, each in zip(kernel.Marginals._fields, zip(*parts, strict=True), strict=True)
    }
    coords = {dim: forecast[dim] for dim in (*_CASES, "variable") if dim in forecast.coords} | {
        "quantile": context.thresholds["quantile"]
    }
    return xr.Dataset(fields, coords).transpose(*_CASES, "variable", ...)


def _keys(forecast: "xr.DataArray") -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """A number for each case, whatever cases stand beside it."""
    import numpy as np

    init, lead = (forecast[dim].to_numpy().astype(np.int64) for dim in _CASES)
    with np.errstate(over="ignore"):
        mixed: np.ndarray[tuple[int], np.dtype[np.int64]] = (
            init[:, None] * np.int64(1_000_003) + lead
        ).ravel()
    return mixed
