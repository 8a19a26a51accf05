"""Members and draws of the law cut into groups, so that each counts and their order does not."""

from typing import TYPE_CHECKING

from geobench import Context, GeobenchError
from geobench_plugins.kernels.ensembles import at_random, case_keys, law_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_CASES = ("init_time", "lead_time")
_MEMBERS, _DRAWS = 3, 4  # streams of random numbers; 2 decides between equal values


def over_splits(
    scorer: str,
    forecast: "xr.DataArray",
    context: Context,
    count: int,
    of: "Callable[[xr.DataArray, list[xr.DataArray]], xr.Dataset]",
) -> "xr.Dataset":
    """Mean of what `of` returns for members, `count` groups of as many draws, and all other draws.

    What compares a forecast with the law by an estimate that is biased compares another group of
    draws with it, too: what both have in common is the bias. With K draws, groups of all M members
    take M (count + 1) <= K. With fewer draws the members are cut into the fewest equal groups that
    the draws suffice for, and `of` is called for each, with draws in other roles each time: every
    member and every draw is read, and a member that is NaN makes its case NaN. Where equal groups
    do not come out even, one group takes in members of another.

    Who is in which group is drawn at random in each case, by the case's times and by what the
    members are, not by where they stand: their order changes nothing.
    """
    members, draws = forecast.sizes["member"], law_of(forecast, context).sizes["member"]
    most = draws // (count + 1)
    least = min(members, 2)
    if most < least:
        raise GeobenchError(
            f"{scorer} needs {least * (count + 1)} draws of the law at the least, and there are "
            f"{draws}. Use a forecast of the law with more members."
        )
    parts = -(-members // most)
    size = -(-members // parts)
    shuffled = in_random_order(forecast, context, _MEMBERS)
    law = in_random_order(law_of(forecast, context), context, _DRAWS)
    total = None
    for part in range(parts):
        group, turned = _turned(shuffled, part * size), _turned(law, part * draws // parts)
        edges = [*range(0, size * count + 1, size), draws]
        drawn = [turned.isel(member=slice(*edges[k : k + 2])) for k in range(count + 1)]
        statistics = of(group.isel(member=slice(size)), drawn)
        total = statistics if total is None else total + statistics
    assert total is not None  # noqa: S101 # there is at least one part
    return total / parts if parts > 1 else total


def _turned(members: "xr.DataArray", first: int) -> "xr.DataArray":
    """Begin with another member, and put those before it at the end."""
    return members if not first else members.roll(member=-first)


def in_random_order(drawn: "xr.DataArray", context: Context, stream: int) -> "xr.DataArray":
    """Put the members of every case in a random order that is the same wherever they stand.

    They are sorted by their product with a fixed random field, and then put in an order drawn from
    the case's times. Equal members may change places, which changes nothing.
    """
    import numpy as np

    ordered = drawn.transpose(*_CASES, "member", "variable", *context.sea.dims)
    inits, leads, members = ordered.shape[:3]
    places = _along(ordered, context).argsort(1, kind="stable")
    chosen = at_random(case_keys(drawn), (members,), stream).argsort(1)
    order = np.take_along_axis(places, chosen, 1).reshape(inits, leads, members)
    index = order.reshape(*order.shape, *[1] * (ordered.ndim - 3))
    values = np.take_along_axis(ordered.to_numpy(), index, 2)
    shuffled = ordered.drop_vars("member", errors="ignore").copy(data=values)
    return shuffled.transpose(*drawn.dims)


def _along(ordered: "xr.DataArray", context: Context) -> "_Array":
    """Product of each member with a random field over the sea cells: `(case, member)`.

    Variables are in units of the climate. What is not a number counts as nothing.
    """
    import numpy as np

    typical = context.average(context.std.sel(variable=ordered["variable"]) ** 2) ** 0.5
    unit = (context.sea / typical.where(typical > 0, 1.0)).transpose(*ordered.dims[3:])
    weights = unit.to_numpy().astype(np.float64).ravel()
    sea = np.nonzero(weights)[0]
    field = np.random.Generator(np.random.Philox(key=20240106)).standard_normal(weights.size)
    values = ordered.to_numpy().reshape(-1, ordered.shape[2], weights.size)[..., sea]
    along: _Array = np.nan_to_num(values.astype(np.float64)) @ (weights * field)[sea]
    return along
