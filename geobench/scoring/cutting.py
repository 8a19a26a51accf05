"""Cases that are read and scored together: how they are cut, and how they are put together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from geobench.contracts.scorer import Scorer

if TYPE_CHECKING:
    import xarray as xr

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
    """Cases that are read together; scorers are given its portions one by one."""

    inits: tuple[int, int]
    leads: tuple[int, int]
    portions: "tuple[Piece, ...]" = ()
    """Places in the piece; none: the piece as a whole."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of inits and lead times."""
        ends = zip(CASE_DIMS, (self.inits, self.leads), strict=True)
        return {dim: stop - first for dim, (first, stop) in ends}

    @property
    def whole(self) -> "Piece":
        """The piece as a portion of itself."""
        inits, leads = self.sizes.values()
        return Piece((0, inits), (0, leads))

    def of(self, data: "xr.Dataset") -> "xr.Dataset":
        """Cut them out."""
        return data.isel(init_time=slice(*self.inits), lead_time=slice(*self.leads))

    def within(self, whole: "Piece") -> "Piece":
        """Place of a piece of a piece."""
        ends = zip((self.inits, self.leads), (whole.inits[0], whole.leads[0]), strict=True)
        inits, leads = ((first + start, stop + start) for (first, stop), start in ends)
        return Piece(inits, leads)

    def counted(self, counts: Sequence[int] | None) -> "Iterator[tuple[Piece, int | None]]":
        """Cut the piece where the number of members changes from one init to the next.

        `counts`: members of each init of the piece; None: all inits have all members.
        """
        if counts is None:
            yield self, None
            return
        first, stop = self.inits
        for init in range(first + 1, stop + 1):
            if init == stop or counts[init] != counts[first]:
                yield replace(self, inits=(first, init)), counts[first]
                first = init


def cut(
    scorers: Sequence[Scorer], cases: Mapping[str, int], size: int, together: int | None = None
) -> list[Piece]:
    """Cut cases into pieces, and each of them into portions that scorers are given at once.

    `size`: bytes of all cases; `together`: cases of a piece at most, default: all. Portions are so
    small that what scorers make of them stays small, and in the processor's cache.
    """
    count = prod(cases[dim] for dim in CASE_DIMS)
    whole_paths = any(scorer.whole_paths for scorer in scorers)
    fitting = max(1, _PORTION * count // max(1, size))
    return [
        replace(piece, portions=(*pieces(piece.sizes, fitting, whole_paths=whole_paths),))
        for piece in pieces(cases, together or count, whole_paths=whole_paths)
    ]


def pieces(cases: Mapping[str, int], most: int, *, whole_paths: bool = False) -> "Iterator[Piece]":
    """Cut cases into pieces of at most so many, in order: whole inits, or lead times of one init.

    Inits stay whole for scorers of whole paths, however long they are.
    """
    inits, leads = (cases[dim] for dim in CASE_DIMS)
    together = leads if whole_paths else min(leads, max(1, most))
    block = max(1, most // leads)
    for first in range(0, inits, block):
        for lead in range(0, leads, together):
            yield Piece((first, min(first + block, inits)), (lead, min(lead + together, leads)))


def concatenated(parts: "Sequence[tuple[Piece, xr.Dataset]]") -> "xr.Dataset":
    """Put statistics of pieces together, in the order in which they were cut."""
    import xarray as xr

    how: Any = {"join": "exact", "coords": "minimal", "compat": "override"}
    by_inits: dict[tuple[int, int], list[xr.Dataset]] = {}
    for piece, statistics in parts:
        by_inits.setdefault(piece.inits, []).append(statistics)
    rows = [
        xr.concat(row, "lead_time", **how) if len(row) > 1 else row[0] for row in by_inits.values()
    ]
    return xr.concat(rows, "init_time", **how) if len(rows) > 1 else rows[0]
