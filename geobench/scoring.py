"""Scores: statistics of a forecast, their means, and how sure the means are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench.interfaces.scorer import Blaming, Context, Region, Scorer, unblamed
from geobench.interfaces.state import AREA
from geobench.statistics.resampling import Resampling as Resampling
from geobench.statistics.resampling import draws_of

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    Draws = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

CASE_DIMS = ("init_time", "lead_time")
_PORTION = 2**24  # bytes of a forecast, and of the law, that scorers are given at once


def verifying(
    test: "xr.Dataset", inits: "xr.Dataset", leads: int, names: list[str]
) -> "xr.Dataset":
    """Cut from `test` the truth of each init, variables `names`: `(init_time, lead_time, …)`.

    Of a lazy `test` the span of trajectories and times that the inits need is read, and no more.
    """
    import numpy as np
    import xarray as xr

    step = test["time"].values[1] - test["time"].values[0]
    lead = np.arange(1, leads + 1)
    first, last = (int(of(inits["position"].values)) for of in (np.min, np.max))
    lowest, highest = (int(of(inits["trajectory"].values)) for of in (np.min, np.max))
    span = {"trajectory": slice(lowest, highest + 1), "time": slice(first, last + leads + 1)}
    position = inits["position"].values[:, None] + lead - first
    cut = (
        test[names]
        .isel(span)
        .load()
        .isel(
            trajectory=xr.DataArray(inits["trajectory"].values - lowest, dims="init_time"),
            time=xr.DataArray(position, dims=("init_time", "lead_time")),
        )
    )
    cut = cut.drop_vars(["trajectory", "time", "start"], errors="ignore")
    return cut.assign_coords(init_time=inits["init_time"].values, lead_time=lead * step)


@dataclass(frozen=True)
class Piece:
    """Cases that are read and scored together."""

    inits: tuple[int, int]
    leads: tuple[int, int]

    def of(self, data: "xr.Dataset") -> "xr.Dataset":
        """Cut them out."""
        return data.isel(init_time=slice(*self.inits), lead_time=slice(*self.leads))

    def within(self, whole: "Piece") -> "Piece":
        """Place of a piece of a piece."""
        ends = zip((self.inits, self.leads), (whole.inits[0], whole.leads[0]), strict=True)
        inits, leads = ((first + start, stop + start) for (first, stop), start in ends)
        return Piece(inits, leads)


def pieces(scorer: Scorer, cases: Mapping[str, int], most: int) -> "Iterator[Piece]":
    """Cut cases into pieces of at most so many, in order: whole inits, or lead times of one init.

    Inits stay whole for scorers of whole paths, however long they are.
    """
    inits, leads = (cases[dim] for dim in CASE_DIMS)
    together = leads if scorer.whole_paths else min(leads, max(1, most))
    block = max(1, most // leads)
    for first in range(0, inits, block):
        for lead in range(0, leads, together):
            yield Piece((first, min(first + block, inits)), (lead, min(lead + together, leads)))


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
) -> "list[list[tuple[Piece, xr.Dataset]]]":
    """Apply `scorers` to a piece, which is read once for all of them, within `reading`.

    `truth` is of the piece alone. Returns statistics of each scorer, by smaller pieces, in order.

    `law` is another forecast, of the true law, for the scorers that need one, and read within
    `reading_law`; `blaming` is around what a scorer does. `counts`: how many members each init of
    the forecast has, where they differ; these are its first ones.
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
    for portion in _portions(scorers, members, draws):
        for part, count in _of_equal_counts(portion, counts and counts[slice(*piece.inits)]):
            drawn = members if count is None else members.isel(member=slice(count))
            found = _of_portion(scorers, part, drawn, truth, draws, context, blaming)
            for own, each in zip(parts, found, strict=True):
                own.append((part.within(piece), each))
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
    found = []
    for count in (min(counts), max(counts)):
        every = [count] * forecast.sizes["init_time"]
        ((part, *_),) = of_piece([scorer], case, forecast, truth, context, law=law, counts=every)
        found.append({name: dict(each.sizes) for name, each in part[1].data_vars.items()})
    return found[0] != found[1]


def _of_equal_counts(
    portion: Piece, counts: Sequence[int] | None
) -> "Iterator[tuple[Piece, int | None]]":
    """Cut a portion where the number of members changes from one init to the next."""
    if counts is None:
        yield portion, None
        return
    first, stop = portion.inits
    for init in range(first + 1, stop + 1):
        if init == stop or counts[init] != counts[first]:
            yield replace(portion, inits=(first, init)), counts[first]
            first = init


def _portions(
    scorers: "Sequence[Scorer]", members: "xr.Dataset", draws: "xr.Dataset | None"
) -> "Iterator[Piece]":
    """Cut what is in memory so small that what scorers make of it stays small, and in the cache."""
    opened = [each for each in (members, draws) if each is not None]
    cases = {dim: members.sizes[dim] for dim in CASE_DIMS}
    inits, leads = cases.values()
    size = sum(each.nbytes for data in opened for each in data.data_vars.values())
    most = max(1, _PORTION * inits * leads // max(1, size))
    return pieces(max(scorers, key=lambda scorer: scorer.whole_paths), cases, most)


def _of_portion(
    scorers: "Sequence[Scorer]",
    portion: Piece,
    members: "xr.Dataset",
    outcome: "xr.Dataset",
    draws: "xr.Dataset | None",
    context: Context,
    blaming: Blaming,
) -> "list[xr.Dataset]":
    drawn, seen = (_finite(portion.of(each)) for each in (members, outcome))
    law = None if draws is None else _finite(portion.of(draws))
    if law is not None and bool((law.isnull() & context.sea).any()):
        raise GeobenchError(
            "a draw of the law is not finite: nothing can be compared with it. Make another "
            "forecast of the law."
        )
    own_context = replace(context, law=law)  # and nothing shared with other portions
    shared: dict[Region, Context] = {None: own_context}
    found = []
    for scorer in scorers:
        if scorer.within not in shared:
            shared[scorer.within] = own_context.within(scorer.within)
        with blaming(f"the scorer {scorer.name}"):
            own = applied(scorer, drawn, seen, shared[scorer.within])
            found.append(_checked(scorer, own))
    return found


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
    found = data.drop_vars(AREA, errors="ignore").to_dataarray("variable")
    coords = {name: each.variable.copy(deep=False) for name, each in found.coords.items()}
    for each in coords.values():  # as drop_attrs does, in a tenth of its time
        each.attrs = {}
    found = xr.DataArray(found.to_numpy(), coords, found.dims)
    finite = np.isfinite(found.to_numpy())
    return found if finite.all() else found.where(finite)


def joined(scorer: Scorer, parts: "Sequence[tuple[Piece, xr.Dataset]]") -> "xr.Dataset":
    """Put statistics of pieces together, in the order of `pieces`, and check the metric of them."""
    import xarray as xr

    how: Any = {"join": "exact", "coords": "minimal", "compat": "override"}
    by_inits: dict[tuple[int, int], list[xr.Dataset]] = {}
    for piece, own in parts:
        by_inits.setdefault(piece.inits, []).append(own)
    rows = [
        xr.concat(own, "lead_time", **how) if len(own) > 1 else own[0] for own in by_inits.values()
    ]
    found = xr.concat(rows, "init_time", **how) if len(rows) > 1 else rows[0]
    _check_metric(scorer, scorer.metric(means(found)))
    return found


def means(found: "xr.Dataset") -> "xr.Dataset":
    """Means of statistics over all cases; how many init times they are of is an attribute."""
    return found.mean("init_time", skipna=False).assign_attrs(cases=found.sizes["init_time"])


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
    leads = forecast.sizes["lead_time"]
    cases = {dim: forecast.sizes[dim] for dim in CASE_DIMS}
    parts: list[list[tuple[Piece, xr.Dataset]]] = [[] for _ in scorers]
    for piece in pieces(scorers[0], cases, block * leads) if scorers else ():
        found = of_piece(
            scorers, piece, forecast, piece.of(truth), context, law=law, blaming=blaming
        )
        for own, each in zip(parts, found, strict=True):
            own.extend(each)
    told = []
    for scorer, own in zip(scorers, parts, strict=True):
        with blaming(f"the scorer {scorer.name}"):
            told.append(joined(scorer, own))
    return told


def _check_coordinates(kind: str, drawn: "xr.Dataset", truth: "xr.Dataset") -> None:
    for dim in truth.dims:
        if not truth[dim].equals(drawn[dim]):
            raise GeobenchError(
                f"{kind} and truth differ in '{dim}' ({drawn.sizes[dim]} and "
                f"{truth.sizes[dim]} values, not all equal). Forecast exactly the inits, lead "
                f"times and grid of the dataset."
            )


def _checked(scorer: Scorer, found: "xr.Dataset") -> "xr.Dataset":
    if not found.data_vars:
        raise GeobenchError(f"scorer {scorer.name} returned no statistics.")
    for name, statistic in found.data_vars.items():
        left = {"member"} & set(statistic.dims)
        if left or not set(CASE_DIMS) <= set(statistic.dims):
            raise GeobenchError(
                f"scorer {scorer.name} returned the statistic '{name}' with dims {statistic.dims}; "
                f"expected init_time and lead_time among them, and no member."
            )
    return found


def checked_metric(scorer: Scorer, mean: "xr.Dataset") -> "xr.Dataset":
    """Scores of mean statistics; `GeobenchError` unless they are as a scorer's must be."""
    found = scorer.metric(mean)
    _check_metric(scorer, found)
    return found


def _check_metric(scorer: Scorer, metric: object) -> None:
    import xarray as xr

    if not isinstance(metric, xr.Dataset) or not metric.data_vars:
        raise GeobenchError(
            f"scorer {scorer.name}: metric returned {type(metric).__name__}; expected a Dataset "
            f"with at least one score."
        )
    for name, values in metric.data_vars.items():
        if "lead_time" not in values.dims:
            raise GeobenchError(
                f"scorer {scorer.name}: its score '{name}' has dims {values.dims}; lead_time is "
                f"missing."
            )


_BATCH = 2**25  # bytes of mean statistics: of larger arrays the system clears the memory each time


def scores(
    scorer: Scorer, found: "Sequence[xr.Dataset]", resampling: Resampling
) -> "dict[str, Draws]":
    """Score every resample, by column: `(forecast, draw, lead_time)`, the first the estimate.

    `found` are statistics of several forecasts; those alike are scored at once, which is quicker.
    """
    import numpy as np

    draws = len(resampling.weights)
    parts: dict[str, list[Draws]] = {}
    for some in _batches(found, draws):
        pieces: dict[str, list[Draws]] = {}
        # Where already one is too large, its resamples are taken in several parts.
        step = max(1, draws * _BATCH // max(_BATCH, _size(some[0], draws)))
        for at in range(0, draws, step):
            part = slice(at, at + step)
            for name, values in columns(scorer.metric(resampling.means(some, part))):
                own = values.to_numpy()
                pieces.setdefault(name, []).append(own.reshape(len(some), -1, own.shape[-1]))
        for name, cut in pieces.items():
            parts.setdefault(name, []).append(np.concatenate(cut, 1))
    return {
        name: np.moveaxis(resampling.spread(np.moveaxis(np.concatenate(own), 1, 0)), 0, 1)
        for name, own in parts.items()
    }


def _batches(found: "Sequence[xr.Dataset]", draws: int) -> "Iterator[list[xr.Dataset]]":
    """Cut into runs of equal sizes whose mean statistics fit into `_BATCH`."""
    batch: list[xr.Dataset] = []
    for each in found:
        larger = (len(batch) + 1) * _size(each, draws) > _BATCH
        if batch and (each.sizes != batch[0].sizes or larger):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch


def _size(found: "xr.Dataset", draws: int) -> int:
    """Bytes of the mean statistics of so many resamples."""
    return draws * found.nbytes // found.sizes["init_time"]


def contributions(scorer: Scorer, found: "Sequence[xr.Dataset]") -> "dict[str, Draws]":
    """What each case adds to the scores of several forecasts, by column: `(forecast, case, lead)`.

    Jackknife pseudo-values, n times the score less n - 1 times that without the case (Tukey, 1958):
    the cases' own values where the score is a mean, and as good where it is smooth in means.
    """
    import numpy as np

    count = found[0].sizes["init_time"]
    if count < 2:
        raise GeobenchError(
            "there is one case: nothing is known of how cases vary. Use more inits."
        )

    def mean(cases: "Draws") -> "Draws":
        return np.asarray(cases.mean(-1))

    def without(cases: "Draws") -> "Draws":
        return np.asarray((cases.sum(-1, keepdims=True) - cases) / (count - 1))

    parts: dict[str, list[Draws]] = {}
    for some in _batches(found, count):
        whole, less = (
            dict(columns(scorer.metric(draws_of(some, each)))) for each in (mean, without)
        )
        for name, values in whole.items():
            each = less[name].to_numpy().reshape(len(some), count, -1)
            parts.setdefault(name, []).append(
                count * values.to_numpy()[:, None] - (count - 1) * each
            )
    return {name: np.concatenate(own) for name, own in parts.items()}


def overall(scorer: Scorer, found: "xr.Dataset") -> dict[str, list[float]]:
    """Score over all cases, by column and lead time; no interval."""
    metric = scorer.metric(means(found)).expand_dims("draw")
    return {name: values.to_numpy()[0].tolist() for name, values in columns(metric)}


def columns(metric: "xr.Dataset") -> Iterator[tuple[str, "xr.DataArray"]]:
    """Split scores `(draw, lead_time, …)` into named columns `(draw, lead_time)`."""
    for name, values in metric.data_vars.items():
        extra = [dim for dim in values.dims if dim not in ("draw", "lead_time")]
        stacked = values.stack(column=extra) if extra else values.expand_dims("column")
        for place in range(stacked.sizes["column"]):
            one = stacked.isel(column=place)
            labels = [
                f"{100 * one[dim].item():g}%" if dim == "quantile" else str(one[dim].item())
                for dim in extra
                if values.sizes[dim] > 1
            ]
            yield " ".join([str(name), *labels]), one.transpose("draw", "lead_time")
