"""Forecasts of the same cases that are read again and again, piece by piece, in bounded memory.

Tests and plans look at the same members many times: exchanged, changed, or in part. What is small
is read once and kept. The rest is read anew for each pass, and one pass serves as many of these
views as fit into memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from geobench.contracts.scorer import Blaming, Context, Scorer
from geobench.scoring import CASE_DIMS, Piece, check, cut, joined, of_piece, pieces, stored_size

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

LEAD = "lead_time"
View = Callable[["xr.Dataset"], "xr.Dataset"]
"""What a scorer is given of the members of a piece."""


@dataclass(frozen=True)
class Source:
    """Forecasts of the same cases with their outcomes, all read in pieces.

    `forecasts` may be lazy. `truth`: outcomes of all cases, or what gives those of a piece.
    `memory`: bytes that may be held; a quarter of it for forecasts that are kept, and a sixteenth
    for a piece, of which copies are made. `reading` is around whatever is read.
    """

    forecasts: "tuple[xr.Dataset, ...]"
    truth: "xr.Dataset | Callable[[Piece], xr.Dataset]"
    memory: int = 2**30
    reading: Callable[[], AbstractContextManager[None]] = nullcontext
    _kept: "list[tuple[xr.Dataset, ...]]" = field(default_factory=list, repr=False, compare=False)
    _blocks: "dict[Piece, tuple[xr.Dataset, ...]]" = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def cases(self) -> dict[str, int]:
        """Inits and lead times."""
        return {dim: self.forecasts[0].sizes[dim] for dim in CASE_DIMS}

    @property
    def per_case(self) -> int:
        """Bytes of all forecasts, for one init and lead time."""
        size = sum(
            variable.nbytes
            for forecast in self.forecasts
            for variable in forecast.data_vars.values()
        )
        return max(1, size // max(1, prod(self.cases.values())))

    def pieces(self, scorers: Sequence[Scorer], *, whole_inits: bool = False) -> "Iterator[Piece]":
        """Cut the cases; inits stay whole if asked for, or if a scorer looks at whole paths."""
        if not scorers:
            return iter(())
        most = max(1, self.memory // 16 // self.per_case)
        if whole_inits:
            most = max(most, self.cases["lead_time"])
        return pieces(self.cases, most, whole_paths=any(scorer.whole_paths for scorer in scorers))

    def members(self, piece: Piece) -> "tuple[xr.Dataset, ...]":
        """Members of each forecast in a piece."""
        small = 4 * self.per_case * prod(self.cases.values()) <= self.memory
        if small and not self._kept:
            with self.reading():
                self._kept.append(tuple(forecast.load() for forecast in self.forecasts))
        if small:
            return tuple(piece.of(forecast) for forecast in self._kept[0])
        cut = self._chunk()
        first, stop = piece.inits
        begin = first - first % cut
        if cut == 1 or stop - begin > cut:
            with self.reading():
                return tuple(piece.of(forecast).load() for forecast in self.forecasts)
        block = Piece((begin, min(begin + cut, self.cases["init_time"])), (0, self.cases[LEAD]))
        if block not in self._blocks:  # a chunk is decoded whole: once for all its pieces
            self._blocks.clear()
            with self.reading():
                self._blocks[block] = tuple(
                    block.of(forecast).load() for forecast in self.forecasts
                )
        here = Piece((first - begin, stop - begin), piece.leads)
        return tuple(here.of(forecast) for forecast in self._blocks[block])

    def _chunk(self) -> int:
        """Inits whose lead times are stored in one chunk, at most 32 MiB of all forecasts."""
        inits = 1
        for variable in (
            variable for data in self.forecasts for variable in data.data_vars.values()
        ):
            chunks = dict(zip(variable.dims, variable.encoding.get("chunks") or (), strict=False))
            if chunks.get(LEAD, 0) >= self.cases[LEAD]:
                inits = max(inits, int(chunks["init_time"]))
        return inits if inits * self.cases[LEAD] * self.per_case <= 2**25 else 1

    def outcome(self, piece: Piece) -> "xr.Dataset":
        """What happened in the cases of a piece."""
        return self.truth(piece) if callable(self.truth) else piece.of(self.truth)


def of_views(
    scorers: Sequence[Scorer],
    source: Source,
    views: Sequence[View],
    context: Context,
    *,
    prepare: View = lambda members: members,
    blaming: Blaming,
) -> "Iterator[list[xr.Dataset]]":
    """Yield the statistics of every scorer, for each view of the first forecast of a source.

    `prepare` is applied to whole inits, before the views. Views are taken together as far as their
    statistics fit into a quarter of the memory.
    """
    one = _of_first_init(scorers, source, views[:1], context, prepare, blaming)
    size = (
        sum(dataset.nbytes for datasets in one for dataset in datasets) * source.cases["init_time"]
    )
    together = max(1, source.memory // 4 // max(1, size))
    for first in range(0, len(views), together):
        parts: list[list[list[tuple[Piece, xr.Dataset]]]] = [
            [[] for _ in scorers] for _ in views[first : first + together]
        ]
        for piece in source.pieces(scorers, whole_inits=True):
            by_view = _of_piece(
                scorers, source, views[first : first + together], context, piece, prepare, blaming
            )
            for of_view, new_of_view in zip(parts, by_view, strict=True):
                for held, new in zip(of_view, new_of_view, strict=True):
                    held.extend(new)
        for of_view in parts:
            whole = []
            for scorer, held in zip(scorers, of_view, strict=True):
                with blaming(f"the scorer {scorer.name}"):
                    whole.append(joined(scorer, held))
                held.clear()
            yield whole


def _of_first_init(
    scorers: Sequence[Scorer],
    source: Source,
    views: Sequence[View],
    context: Context,
    prepare: View,
    blaming: Blaming,
) -> "list[list[xr.Dataset]]":
    piece = Piece((0, 1), (0, source.cases["lead_time"]))
    by_view = _of_piece(scorers, source, views, context, piece, prepare, blaming)
    return [[dataset for _, dataset in parts] for view in by_view for parts in view]


def _of_piece(
    scorers: Sequence[Scorer],
    source: Source,
    views: Sequence[View],
    context: Context,
    piece: Piece,
    prepare: View,
    blaming: Blaming,
) -> "Iterator[list[list[tuple[Piece, xr.Dataset]]]]":
    truth = source.outcome(piece)
    ready = prepare(source.members(piece)[0])
    for view in views:
        members = view(ready)
        check(scorers, members, truth)
        yield scored(scorers, piece, members, truth, context, blaming=blaming)


def scored(
    scorers: Sequence[Scorer],
    piece: Piece,
    forecast: "xr.Dataset",
    truth: "xr.Dataset",
    context: Context,
    *,
    law: "xr.Dataset | None" = None,
    blaming: Blaming,
) -> "list[list[tuple[Piece, xr.Dataset]]]":
    """Apply scorers to the members of a piece that are in memory: as `scoring.of_piece`."""
    cases = {dim: truth.sizes[dim] for dim in CASE_DIMS}
    (here,) = cut(scorers, cases, stored_size(forecast, law))
    by_scorer = of_piece(scorers, here, forecast, truth, context, law=law, blaming=blaming)
    return [[(part.within(piece), statistics) for part, statistics in parts] for parts in by_scorer]


class Mean:
    """Mean statistics of one scorer over all cases, added up piece by piece in double precision."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, int], xr.Dataset] = {}
        self._sums: dict[tuple[int, int], dict[str, np.ndarray[Any, Any]]] = {}
        self._inits: dict[tuple[int, int], int] = {}

    def add(self, parts: "Sequence[tuple[Piece, xr.Dataset]]") -> None:
        """Add statistics `(init_time, lead_time, …)` of pieces."""
        for piece, statistics in parts:
            if piece.leads not in self._shapes:
                shape = statistics.isel(init_time=0, drop=True)
                self._shapes[piece.leads] = shape.copy(deep=True)  # a view would hold the piece
                self._sums[piece.leads] = {}
                self._inits[piece.leads] = 0
            sums = self._sums[piece.leads]
            for name, statistic in statistics.data_vars.items():
                total = statistic.to_numpy().sum(statistic.get_axis_num("init_time"), dtype=float)
                sums[str(name)] = sums.get(str(name), 0.0) + total
            self._inits[piece.leads] += statistics.sizes["init_time"]

    def dataset(self) -> "xr.Dataset":
        """Means, as `scoring.means` gives them of the statistics of all cases."""
        import xarray as xr

        rows = [
            shape.copy(data=_over(self._sums[leads], self._inits[leads]))
            for leads, shape in sorted(self._shapes.items(), key=lambda item: item[0])
        ]
        how: Any = {"join": "exact", "coords": "minimal", "compat": "override"}
        means = xr.concat(rows, "lead_time", **how) if len(rows) > 1 else rows[0]
        return means.assign_attrs(cases=next(iter(self._inits.values())))


def _over(
    sums: "Mapping[str, np.ndarray[Any, Any]]", count: int
) -> "dict[str, np.ndarray[Any, Any]]":
    return {name: total / count for name, total in sums.items()}
