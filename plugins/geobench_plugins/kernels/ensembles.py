"""What scorers ask of ensembles: labelled arrays in, kernels, labelled arrays out."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geobench import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    _Numbers = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

_CASES = ("init_time", "lead_time")


def marginals(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.Dataset":
    """Means over the sea cells of every case and variable: see `kernels.marginals.Marginals`.

    Of tails and of the table also by the context's climatological quantiles `(…, quantile)`, each
    cell against its own; `table` has further dims `above` (members) and `happened`, `ranks` has
    `rank`.
    """
    return context.shared("marginals", forecast, truth, lambda: _of(forecast, truth, context))


def spread(members: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Half the mean |x - x'| over pairs of members, averaged over the sea cells of every case."""
    any_outcome = members.isel(member=0, drop=True)
    none = context.thresholds.isel(quantile=slice(0))
    return _of(members, any_outcome, replace(context, thresholds=none))["spread"]


def excess(spreads: "Sequence[xr.DataArray]", counts: tuple[int, int]) -> "xr.DataArray":
    """E|x - y| - E|x - x'| / 2 - E|y - y'| / 2, by half the mean distances of pairs of x, y, all.

    Half the energy distance of two samples (Székely & Rizzo, 2013), unbiased: pairs of x and y are
    those of all, less those within each.
    """
    (one, other, both), (m, k) = spreads, counts
    total = both * (m + k) * (m + k - 1) - one * m * (m - 1) - other * k * (k - 1)
    return total / (m * k) - one - other


def law_of(forecast: "xr.DataArray", context: Context) -> "tuple[xr.DataArray, xr.DataArray]":
    """Draws of the law, and these with the members of the forecast: dims as the forecast."""
    import xarray as xr

    assert context.law is not None  # noqa: S101 # the framework sees to it
    law = context.law.transpose(*forecast.dims)
    parts = [each.drop_vars("member", errors="ignore") for each in (forecast, law)]
    return law, xr.concat(parts, "member", join="exact", coords="minimal", compat="override")


def fields(
    forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
) -> "tuple[_Numbers, _Numbers, _Array]":
    """Whole fields: members `(case, member, point)`, outcomes `(case, point)`, weights `(point,)`.

    A point is a cell of a variable. Weighted by its weight, each variable is in units of its
    climatological standard deviation (the root of the mean variance over sea cells), and the sum of
    squares is a mean; land has no weight.
    """
    grid = context.sea.dims
    names = ("variable", *grid)
    typical = context.average(context.std.sel(variable=forecast["variable"]) ** 2) ** 0.5
    count = context.sea.sum() * forecast.sizes["variable"]
    weights = (context.sea / (typical * count**0.5)).transpose(*names).to_numpy().ravel()
    members = forecast.transpose(*_CASES, "member", *names).to_numpy()
    outcome = truth.transpose(*_CASES, *names).to_numpy()
    return (
        members.reshape(-1, members.shape[2], weights.size),
        outcome.reshape(-1, weights.size),
        weights,
    )


def cases(forecast: "xr.DataArray", **found: "_Array") -> "xr.Dataset":
    """Label numbers of every case, `(case,)` each, as `(init_time, lead_time)`."""
    import xarray as xr

    sizes = [forecast.sizes[dim] for dim in _CASES]
    coords = {dim: forecast[dim] for dim in _CASES if dim in forecast.coords}
    fields: dict[str, Any] = {
        name: (_CASES, values.reshape(sizes)) for name, values in found.items()
    }
    return xr.Dataset(fields, coords)


def _of(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.Dataset":
    import numpy as np
    import xarray as xr

    from geobench_plugins.kernels import marginals as kernel

    grid = context.sea.dims
    forecast = forecast.transpose("variable", *_CASES, "member", *grid)
    truth = truth.transpose("variable", *_CASES, *grid)
    limits = context.thresholds.sel(variable=forecast["variable"])
    limits = limits.transpose("variable", "quantile", *grid)
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
            thresholds.reshape(-1, weights.size),
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
    coords = {dim: forecast[dim] for dim in (*_CASES, "variable") if dim in forecast.coords}
    coords["quantile"] = context.thresholds["quantile"]
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
