"""What scorers ask of ensembles: labelled arrays in, kernels, labelled arrays out."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geobench import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    _Numbers = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

_CASES = ("init_time", "lead_time")
Unlabelled = Any
"""An `xr.Variable`, much of which has no types: dims and values, without labels to compare."""


def marginals(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.Dataset":
    """Means over the sea cells of every case and variable: see `kernels.marginals.Marginals`.

    Cells count by their areas, also in the shares of `table` and `ranks`.

    Of tails and of the table also by the context's climatological quantiles `(…, quantile)`, each
    cell against its own; `table` has further dims `above` (members) and `happened`, `ranks` has
    `rank`.
    """
    return context.shared("marginals", forecast, truth, lambda: _of(forecast, truth, context))


def unlimited(context: Context) -> Context:
    """Return the context without thresholds, and with nothing shared: for changed arrays."""
    return replace(context, thresholds=context.thresholds.isel(quantile=slice(0)))


def spread(members: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Half the mean |x - x'| over pairs of members, averaged over the sea cells of every case."""
    from geobench_plugins.kernels import law_marginals as kernel

    def of(values: "_Numbers", weights: "_Array") -> "_Array":
        return kernel.spread(values, weights)

    return _by_variable(of, (members,), context)


def law_marginals(forecast: "xr.DataArray", context: Context) -> "xr.Dataset":
    """Excess of the members' CRPS over the law's, by draws of it, of every case and variable.

    `excess`, and `tail_excess` `(…, quantile)` above the context's climatological quantiles, each
    cell against its own: see `kernels.law_marginals`.
    """
    assert context.law is not None  # noqa: S101 # the framework sees to it
    law = context.law
    return context.shared("law marginals", forecast, law, lambda: _of_law(forecast, law, context))


def excess_crps(members: "xr.DataArray", law: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Excess CRPS of `members` over the law, of which `law` are draws, by case and variable."""
    return _of_law(members, law, unlimited(context))["excess"]


def _of_law(members: "xr.DataArray", law: "xr.DataArray", context: Context) -> "xr.Dataset":
    import numpy as np
    import xarray as xr

    from geobench_plugins.kernels import law_marginals as kernel

    limits = _limits(members, context)
    rows = iter(limits.to_numpy().reshape(*limits.shape[:2], context.sea.size))

    def of(x: "_Numbers", y: "_Numbers", weights: "_Array") -> "_Array":
        excess, tail = kernel.excess(x, y, weights, next(rows))
        return np.concatenate([excess[..., None], tail], -1)

    excesses = _by_variable(of, (members, law), context, ("quantile",))
    tail = excesses.isel(quantile=slice(1, None)).assign_coords(quantile=limits["quantile"])
    return xr.Dataset({"excess": excesses.isel(quantile=0, drop=True), "tail_excess": tail})


def _by_variable(
    of: "Callable[..., _Array]",
    drawn: "tuple[xr.DataArray, ...]",
    context: Context,
    further: tuple[str, ...] = (),
) -> "xr.DataArray":
    """Apply a function of members `(case, member, point)` and weights to each variable."""
    import numpy as np
    import xarray as xr

    grid = context.sea.dims
    weights = context.weights.transpose(*grid).to_numpy().reshape(1, -1)
    ordered = [sample.transpose("variable", *_CASES, "member", *grid) for sample in drawn]
    sizes = ordered[0].shape[1:3]
    parts = [
        of(*(x.reshape(-1, x.shape[2], weights.size) for x in arrays), weights)[:, 0]
        for arrays in zip(*(sample.to_numpy() for sample in ordered), strict=True)
    ]
    values = np.stack([part.reshape(*sizes, *part.shape[1:]) for part in parts])
    coords = {dim: drawn[0][dim] for dim in (*_CASES, "variable") if dim in drawn[0].coords}
    named = xr.DataArray(values, coords, ("variable", *_CASES, *further))
    return named.transpose(*_CASES, "variable", ...)


def ratio(one: "xr.DataArray", other: "xr.DataArray") -> "xr.DataArray":
    """One over the other; 0 where both are 0, as what lies between the law and itself."""
    quotient: xr.DataArray = one / other.where(other != 0, 1.0)
    return quotient.where((other != 0) | (one == 0))


def across(spreads: "Sequence[Unlabelled]", counts: tuple[int, int]) -> Unlabelled:
    """Mean |x - y|, by half the mean distances of pairs of x, of y and of all."""
    (one, other, both), (m, k) = spreads, counts
    total = both * (m + k) * (m + k - 1) - one * m * (m - 1) - other * k * (k - 1)
    return total / (m * k)


def law_of(forecast: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Draws of the law, with dims as the forecast."""
    assert context.law is not None  # noqa: S101 # the framework sees to it
    return context.law.transpose(*forecast.dims)


def joined(one: "xr.DataArray", other: "xr.DataArray") -> "xr.DataArray":
    """Members of both."""
    import xarray as xr

    parts = [sample.drop_vars("member", errors="ignore") for sample in (one, other)]
    return xr.concat(parts, "member", join="exact", coords="minimal", compat="override")


def stacked(parts: "Sequence[Unlabelled]", dim: str) -> Unlabelled:
    """Put parts one after the other along a new dim, the first one."""
    import xarray as xr

    return xr.Variable.concat(parts, dim)


def reordered(
    values: "_Array", order: "_Array", keys: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> "_Array":
    """Put values `(case, member, …)` in the order that those of `order` have at each point.

    Of equal ones any order is as good as another: at random, by the keys of the cases.
    """
    import numpy as np

    ties = at_random(keys, values.shape[1:])
    ranks = np.lexsort((ties, np.broadcast_to(order, values.shape)), axis=1).argsort(1)
    permuted: _Array = np.take_along_axis(np.sort(values, 1), ranks, 1)
    return permuted


def at_random(
    keys: "np.ndarray[tuple[int], np.dtype[np.int64]]", shape: tuple[int, ...], stream: int = 2
) -> "_Array":
    """Numbers from 0 to 1 of each case, `(case, *shape)`, whatever cases stand beside it."""
    import numpy as np

    drawn = (np.random.Philox(key=[int(key) % 2**64, stream]) for key in keys)
    return np.stack([np.random.Generator(generator).random(shape) for generator in drawn])


def typical_size(context: Context) -> "xr.DataArray":
    """Climatological standard deviation of each variable: root of the mean variance at sea.

    Squared in double precision: single has no room for squares above 3e38.
    """
    size: xr.DataArray = context.average(context.std.astype(float) ** 2) ** 0.5
    return size


def fields(
    forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
) -> "tuple[_Numbers, _Numbers, _Array]":
    """Whole fields: members `(case, member, point)`, outcomes `(case, point)`, weights `(point,)`.

    A point is a cell of a variable. Weighted by its weight, each variable is in units of its
    climatological standard deviation (the root of the mean variance over sea cells), and the sum of
    squares is a mean, in which cells count by their areas; land has no weight.
    """
    grid = context.sea.dims
    names = ("variable", *grid)
    typical = typical_size(context).sel(variable=forecast["variable"])
    count = context.weights.sum() * forecast.sizes["variable"]
    roots = context.weights**0.5
    weights = (roots / (typical * count**0.5)).transpose(*names).to_numpy().ravel()
    members = forecast.transpose(*_CASES, "member", *names).to_numpy()
    outcome = truth.transpose(*_CASES, *names).to_numpy()
    return (
        members.reshape(-1, members.shape[2], weights.size),
        outcome.reshape(-1, weights.size),
        weights,
    )


def scaled(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "_Array":
    """Members `(case, member, point)` of `fields`, less the outcome, times their weights.

    Of sea cells alone, in double precision: an offset costs no digits.
    """
    import numpy as np

    members, outcome, weights = fields(forecast, truth, context)
    used = np.nonzero(weights)[0]
    seen = outcome[:, None, used].astype(float)
    away: _Array = (members[..., used].astype(float) - seen) * weights[used]
    return away


def energy_score(
    members: "_Numbers", outcome: "_Numbers", weights: "_Array", context: Context
) -> "_Array":
    """Fair energy score of fields: see `kernels.fields.energy_score`."""
    if _accelerated(context):
        from geobench_plugins.kernels import fields_torch

        return fields_torch.energy_score(members, outcome, weights, context.device)
    from geobench_plugins.kernels import fields

    return fields.energy_score(members, outcome, weights)


def excess_energy(members: "_Numbers", draws: "_Numbers", weights: "_Array") -> "_Array":
    """Excess energy score over the law: see `kernels.law_fields.excess_energy`."""
    from geobench_plugins.kernels import law_fields

    return law_fields.excess_energy(members, draws, weights)


def law_means(forecast: "xr.DataArray", context: Context) -> "xr.Dataset":
    """Squared difference of the means of members and draws, of every case and variable.

    `squared`, in units of the variable squared, less what the sampling of both adds, and the
    `variance` of the draws: see `kernels.law_means.means`.
    """
    import numpy as np

    from geobench_plugins.kernels import law_means as kernel

    def of(x: "_Numbers", y: "_Numbers", weights: "_Array") -> "_Array":
        return np.stack(kernel.means(x, y, weights), -1)

    statistics = _by_variable(of, (forecast, law_of(forecast, context)), context, ("of",))
    return statistics.assign_coords(of=["squared", "variance"]).to_dataset("of")


def law_probabilities(forecast: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Squared difference of the probabilities of members and draws `(…, quantile)`.

    To exceed the context's climatological quantiles, each cell its own, and less what the sampling
    of both adds: see `kernels.law_means.probabilities`.
    """
    from geobench_plugins.kernels import law_means as kernel

    limits = _limits(forecast, context)
    rows = iter(limits.to_numpy().reshape(*limits.shape[:2], context.sea.size))

    def of(x: "_Numbers", y: "_Numbers", weights: "_Array") -> "_Array":
        return kernel.probabilities(x, y, weights, next(rows))

    differences = _by_variable(of, (forecast, law_of(forecast, context)), context, ("quantile",))
    return differences.assign_coords(quantile=limits["quantile"])


def _limits(forecast: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Climatological quantiles `(variable, quantile, *grid)`."""
    limits = context.thresholds.sel(variable=forecast["variable"])
    return limits.transpose("variable", "quantile", *context.sea.dims)


def variogram(
    members: "_Numbers",
    outcome: "_Numbers",
    pairs: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]",
    weights: "_Array",
    power: float,
    context: Context,
) -> "tuple[_Array, _Array]":
    """Plain and fair variogram score: see `kernels.fields.variogram`."""
    if _accelerated(context):
        from geobench_plugins.kernels import fields_torch

        return fields_torch.variogram(members, outcome, pairs, weights, power, context.device)
    from geobench_plugins.kernels import fields

    return fields.variogram(members, outcome, pairs, weights, power)


def _accelerated(context: Context) -> bool:
    """Whether the device does better than compiled code; others have no double precision."""
    return context.device.startswith("cuda")


def lattice(sea: "xr.DataArray", most: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Flat places of at most so many sea cells, spread as evenly as possible.

    On a lattice as coarse as it takes, or, where that misses a narrow sea, every so many cells.
    """
    import numpy as np

    cells = np.nonzero(sea.to_numpy().ravel())[0]
    fewest = max(min(len(cells), most, 2), min(len(cells), most) // 4)
    step = 1
    while True:
        lattice = np.zeros(sea.shape, bool)
        lattice[tuple(slice(step // 2, None, step) for _ in sea.shape)] = True
        chosen: np.ndarray[tuple[int], np.dtype[np.int64]] = np.nonzero(
            (lattice & sea.to_numpy()).ravel()
        )[0]
        if len(chosen) < fewest:
            return cells[:: -(-len(cells) // most)]
        if len(chosen) <= most:
            return chosen
        step += 1


def pair_weights(
    context: Context, pairs: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
) -> "_Array":
    """Shares of pairs of cells `(pair, 2)`, flat places, in a mean: by the product of areas."""
    import numpy as np

    if context.areas is None:
        return np.full(len(pairs), 1 / max(1, len(pairs)))
    areas = context.weights.to_numpy().ravel()[pairs]
    products: _Array = areas.prod(1)
    return products / (products.sum() or 1.0)


def cases(forecast: "xr.DataArray", **statistics: "_Array") -> "xr.Dataset":
    """Label numbers of every case, `(case,)` each, as `(init_time, lead_time)`."""
    import xarray as xr

    sizes = [forecast.sizes[dim] for dim in _CASES]
    coords = {dim: forecast[dim] for dim in _CASES if dim in forecast.coords}
    fields: dict[str, Any] = {
        name: (_CASES, values.reshape(sizes)) for name, values in statistics.items()
    }
    return xr.Dataset(fields, coords)


def _of(forecast: "xr.DataArray", truth: "xr.DataArray", context: Context) -> "xr.Dataset":
    import numpy as np
    import xarray as xr

    from geobench_plugins.kernels import marginals as kernel

    grid = context.sea.dims
    forecast = forecast.transpose("variable", *_CASES, "member", *grid)
    truth = truth.transpose("variable", *_CASES, *grid)
    limits = _limits(forecast, context)
    sizes = forecast.shape[1:3]
    weights = context.weights.transpose(*grid).to_numpy().reshape(1, -1).astype(np.float64)
    keys = case_keys(forecast)
    parts = []
    for members, outcome, thresholds in zip(
        forecast.to_numpy(), truth.to_numpy(), limits.to_numpy(), strict=True
    ):
        given = (
            members.reshape(-1, members.shape[2], weights.size),
            outcome.reshape(-1, weights.size),
            weights,
            thresholds.reshape(-1, weights.size),
            keys,
        )
        if _accelerated(context):
            from geobench_plugins.kernels import marginals_torch

            marginals = marginals_torch.marginals(*given, context.device)
        else:
            marginals = kernel.marginals(*given)
        parts.append([array[:, 0].reshape(*sizes, *array.shape[2:]) for array in marginals])
    further = {
        "tail_crps": ("quantile",),
        "table": ("quantile", "above", "happened"),
        "ranks": ("rank",),
    }
    fields = {
        name: (("variable", *_CASES, *further.get(name, ())), np.stack(arrays))
        for name, arrays in zip(kernel.Marginals._fields, zip(*parts, strict=True), strict=True)
    }
    coords = {dim: forecast[dim] for dim in (*_CASES, "variable") if dim in forecast.coords}
    coords["quantile"] = context.thresholds["quantile"]
    return xr.Dataset(fields, coords).transpose(*_CASES, "variable", ...)


def case_keys(forecast: "xr.DataArray") -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """A number for each case, whatever cases stand beside it."""
    import numpy as np

    init, lead = (forecast[dim].to_numpy().astype(np.int64) for dim in _CASES)
    with np.errstate(over="ignore"):
        mixed: np.ndarray[tuple[int], np.dtype[np.int64]] = (
            init[:, None] * np.int64(1_000_003) + lead
        ).ravel()
    return mixed
