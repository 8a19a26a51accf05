"""Statistics of a forecast: scorers applied to portions of cases, and checked."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from geobench.contracts.scorer import Blaming, Context, Region, Scorer, unblamed
from geobench.contracts.state import AREA
from geobench.errors import GeobenchError
from geobench.scoring.by_column import check_metric, means
from geobench.scoring.cutting import CASE_DIMS, Piece, concatenated, cut

if TYPE_CHECKING:
    import xarray as xr

    Apply = Callable[[Scorer, xr.DataArray, xr.DataArray, Context], xr.Dataset]


def check(
    scorers: "Sequence[Scorer]",
    forecast: "xr.Dataset",
    truth: "xr.Dataset",
    law: "xr.Dataset | None" = None,
) -> None:
    """Raise unless forecast, truth and law have equal coordinates, and a law is there if needed.

    Nothing is matched or dropped in silence.
    """
    for kind, drawn in (("forecast", forecast), ("law", law)):
        if drawn is not None:
            _check_coordinates(kind, drawn, truth)
    lawful = [scorer.name for scorer in scorers if scorer.needs_law]
    if lawful and law is None:
        raise GeobenchError(
            f"the scorer {lawful[0]} compares with the true law. Name a forecast of it (--law), "
            f"such as one by the oracle with other noise."
        )


def of_piece(
    scorers: "Sequence[Scorer]",
    piece: Piece,
    forecast: "xr.Dataset",
    truth: "xr.Dataset",
    context: Context,
    *,
    law: "xr.Dataset | None" = None,
    reading: Callable[[], AbstractContextManager[None]] = nullcontext,
    reading_law: Callable[[], AbstractContextManager[None]] = nullcontext,
    blaming: Blaming = unblamed,
    counts: Sequence[int] | None = None,
    apply: "Apply | None" = None,
) -> "list[list[tuple[Piece, xr.Dataset]]]":
    """Apply `scorers` to a piece, which is read once for all of them, within `reading`.

    `truth` is of the piece alone. Returns statistics of each scorer, by smaller pieces, in order.

    `law` is another forecast, of the true law, for the scorers that need one, and read within
    `reading_law`; `blaming` is around what a scorer does. `counts`: how many members each init of
    the forecast has, where they differ; these are its first ones. `apply`: what is asked of each
    scorer; default: its statistics.
    """
    names = list(truth.data_vars)
    lawful = law is not None and any(scorer.needs_law for scorer in scorers)
    with reading():
        members = piece.of(forecast[names]).load()
    draws = None
    if law is not None and lawful:
        with reading_law():
            draws = piece.of(law[names]).load()
    parts: list[list[tuple[Piece, xr.Dataset]]] = [[] for _ in scorers]
    own_counts = counts and counts[slice(*piece.inits)]
    for portion in piece.portions or (piece.whole,):
        for part, count in portion.counted(own_counts):
            drawn = members if count is None else members.isel(member=slice(count))
            by_scorer = _of_portion(
                scorers, part, drawn, truth, draws, context, blaming, apply or applied
            )
            for held, statistics in zip(parts, by_scorer, strict=True):
                held.append((part.within(piece), statistics))
    return parts


def shaped_by_members(
    scorer: Scorer,
    case: Piece,
    forecast: "xr.Dataset",
    truth: "xr.Dataset",
    context: Context,
    counts: Sequence[int],
    law: "xr.Dataset | None" = None,
) -> bool:
    """Whether the lengths of a scorer's statistics depend on the number of members, as ranks do.

    It is tried on one init, `case`, with the fewest and the most members of `counts`.
    """
    shapes = []
    for count in (min(counts), max(counts)):
        every = [count] * forecast.sizes["init_time"]
        ((part, *_),) = of_piece([scorer], case, forecast, truth, context, law=law, counts=every)
        shapes.append(
            {name: dict(statistic.sizes) for name, statistic in part[1].data_vars.items()}
        )
    return shapes[0] != shapes[1]


def _of_portion(
    scorers: "Sequence[Scorer]",
    portion: Piece,
    members: "xr.Dataset",
    outcome: "xr.Dataset",
    draws: "xr.Dataset | None",
    context: Context,
    blaming: Blaming,
    apply: "Apply",
) -> "list[xr.Dataset]":
    drawn, seen = (_finite(portion.of(dataset)) for dataset in (members, outcome))
    law = None if draws is None else _finite(portion.of(draws))
    if law is not None and bool((law.isnull() & context.sea).any()):
        raise GeobenchError(
            "a draw of the law is not finite: nothing can be compared with it. Make another "
            "forecast of the law."
        )
    own_context = replace(context, law=law)  # and nothing shared with other portions
    shared: dict[Region, Context] = {None: own_context}
    by_scorer = []
    for scorer in scorers:
        if scorer.within not in shared:
            shared[scorer.within] = own_context.within(scorer.within)
        with blaming(f"the scorer {scorer.name}"):
            statistics = apply(scorer, drawn, seen, shared[scorer.within])
            by_scorer.append(_checked(scorer, statistics))
    return by_scorer


def applied(
    scorer: Scorer, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
) -> "xr.Dataset":
    """Return a scorer's statistics; all NaN where it needs more members than there are."""
    import numpy as np

    count, least = forecast.sizes["member"], scorer.least_members
    if count >= least:
        return scorer.statistics(forecast, truth, context)
    # The same members again: the statistics get their names and dims, and no value.
    enough = forecast.isel(member=np.arange(least) % count).drop_vars("member", errors="ignore")
    return scorer.statistics(enough, truth, context).where(False)


def _finite(data: "xr.Dataset") -> "xr.DataArray":
    """One array, with the variables along `variable`; what is not finite is NaN, to all scorers."""
    import numpy as np
    import xarray as xr

    # Areas are the context's: as a coordinate of every field they would be carried along.
    array = data.drop_vars(AREA, errors="ignore").to_dataarray("variable")
    coords = {name: coord.variable.copy(deep=False) for name, coord in array.coords.items()}
    for coord in coords.values():  # as drop_attrs does, in a tenth of its time
        coord.attrs = {}
    array = xr.DataArray(array.to_numpy(), coords, array.dims)
    finite = np.isfinite(array.to_numpy())
    return array if finite.all() else array.where(finite)


def stored_size(*forecasts: "xr.Dataset | None") -> int:
    """Bytes of the values of all forecasts."""
    return sum(
        variable.nbytes
        for forecast in forecasts
        if forecast is not None
        for variable in forecast.data_vars.values()
    )


def joined(scorer: Scorer, parts: "Sequence[tuple[Piece, xr.Dataset]]") -> "xr.Dataset":
    """Put statistics of pieces together, and check the metric of them."""
    statistics = concatenated(parts)
    check_metric(scorer, scorer.metric(means(statistics)))
    return statistics


def statistics(
    scorers: "Sequence[Scorer]",
    forecast: "xr.Dataset",
    truth: "xr.Dataset",
    context: Context,
    *,
    block: int,
    law: "xr.Dataset | None" = None,
    blaming: Blaming = unblamed,
) -> "list[xr.Dataset]":
    """Apply `scorers` to blocks of inits, and join the statistics of each."""
    check(scorers, forecast, truth, law)
    cases = {dim: forecast.sizes[dim] for dim in CASE_DIMS}
    size = stored_size(forecast, law)
    together = block * cases["lead_time"]
    parts: list[list[tuple[Piece, xr.Dataset]]] = [[] for _ in scorers]
    for piece in cut(scorers, cases, size, together) if scorers else ():
        by_scorer = of_piece(
            scorers, piece, forecast, piece.of(truth), context, law=law, blaming=blaming
        )
        for held, new in zip(parts, by_scorer, strict=True):
            held.extend(new)
    whole = []
    for scorer, held in zip(scorers, parts, strict=True):
        with blaming(f"the scorer {scorer.name}"):
            whole.append(joined(scorer, held))
    return whole


def _check_coordinates(kind: str, drawn: "xr.Dataset", truth: "xr.Dataset") -> None:
    for dim in truth.dims:
        if not truth[dim].equals(drawn[dim]):
            raise GeobenchError(
                f"{kind} and truth differ in '{dim}' ({drawn.sizes[dim]} and "
                f"{truth.sizes[dim]} values, not all equal). Forecast exactly the inits, lead "
                f"times and grid of the dataset."
            )


def _checked(scorer: Scorer, statistics: "xr.Dataset") -> "xr.Dataset":
    if not statistics.data_vars:
        raise GeobenchError(f"scorer {scorer.name} returned no statistics.")
    for name, statistic in statistics.data_vars.items():
        left = {"member"} & set(statistic.dims)
        if left or not set(CASE_DIMS) <= set(statistic.dims):
            raise GeobenchError(
                f"scorer {scorer.name} returned the statistic '{name}' with dims {statistic.dims}; "
                f"expected init_time and lead_time among them, and no member."
            )
    return statistics
