"""Members that failed: not finite, a fill value, or far beyond anything the climate does.

One member that ran away, or a fill value whose attribute is missing, is no forecast. Such members
are counted and shown, and an entry with any of them ranks below those that finish.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from geobench_catalog.entry import Entry

    Numbers = NDArray[np.floating[Any]]

BEYOND = 1000.0
"""Climatological standard deviations from the climate's mean at which a member has failed."""

FILLS = (9.969209968386869e36, 1e20, -9999.0, -32767.0)
"""Values that are written for "missing": netCDF's default, CMIP's, and two of old formats."""

_FILL_BEYOND = 30.0  # closer to the mean, such a value may be a forecast


@dataclass(frozen=True)
class Limits:
    """What members of a dataset may be.

    mean: the climate's mean of each variable, `(*grid)`. std: its standard deviation, the root of
    the mean variance over the cells that count. counts: these cells, `(*grid)`. beyond: how many
    standard deviations from the mean a member may be; infinity: any number. ranges: lowest and
    highest valid value of a variable, where its file names them.
    """

    mean: "Mapping[str, Numbers]"
    std: Mapping[str, float]
    counts: "NDArray[np.bool_]"
    beyond: float = BEYOND
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, dataset: "Entry", *, ranges: Mapping[str, tuple[float, float]] | None = None,
        only_finite: bool = False,
    ) -> "Limits":  # fmt: skip
        """Limits of the dataset's climate; `only_finite`: anything finite may be, as of the law.

        A cell in which no variable ever changes is land, and does not count.
        """
        climatology = dataset.load("climatology")
        names = [str(name)[:-5] for name in climatology.data_vars if str(name).endswith("_mean")]
        mean = {name: climatology[f"{name}_mean"].to_numpy() for name in names}
        spread = {name: climatology[f"{name}_std"].to_numpy().astype(float) for name in names}
        counts = np.any([values != 0 for values in spread.values()], axis=0)
        counts = counts if counts.any() else np.ones_like(counts)
        std = {name: float(np.mean(values[counts] ** 2)) ** 0.5 for name, values in spread.items()}
        beyond = float(dataset.record.recipe.get("failed_beyond", BEYOND))
        return cls(mean, std, counts, np.inf if only_finite else beyond, ranges or {})

    def failed(
        self, piece: "xr.Dataset", first: int = 0, there: "NDArray[np.bool_] | None" = None
    ) -> "Failures":
        """Which members of a piece `(init_time, lead_time, member, *grid)` failed, and why.

        `first` is the number of the piece's first init, for the examples. `there`: which members
        there are, `(init, member)`; default: all.
        """
        by_reason: dict[str, NDArray[np.bool_]] = {}
        examples: dict[str, str] = {}
        for name, variable in piece.data_vars.items():
            values = variable.to_numpy()
            for reason, bad in self._bad(str(name), values):
                if there is not None:
                    bad &= there.reshape(len(there), 1, -1, *[1] * (bad.ndim - 3))
                members = np.asarray(bad.any(axis=(1, *range(3, bad.ndim))))
                by_reason[reason] = members | by_reason[reason] if reason in by_reason else members
                if reason not in examples and bad.any():
                    init, lead, member, *cell = index = tuple(int(i[0]) for i in np.nonzero(bad))
                    examples[reason] = (
                        f"{name} = {values[index]:.7g} at init {first + init}, lead {lead + 1}, "
                        f"member {member}{_cell(variable, cell)}{_when(piece, init, lead)}"
                    )
        shape = tuple(piece.sizes[dim] for dim in ("init_time", "member"))
        return Failures(_first_reasons(by_reason, shape), examples)

    def holds_any(self, values: "Numbers") -> "NDArray[np.bool_]":
        """Which members of `(init, lead, member, *grid)` have a number that counts."""
        held: NDArray[np.bool_] = ~np.isnan(values) & self.counts
        return np.asarray(held.any(axis=(1, *range(3, held.ndim))))

    def only_empty(self, piece: "xr.Dataset", failed: "Failures") -> bool:
        """Whether all members that failed have no number at all."""
        some = [self.holds_any(variable.to_numpy()) for variable in piece.data_vars.values()]
        bad = np.any([*failed.by_reason.values()], axis=0)
        return not (np.any(some, axis=0) & bad).any()

    def _bad(self, name: str, values: "Numbers") -> "list[tuple[str, NDArray[np.bool_]]]":
        """Where values `(init, lead, member, *grid)` are not to be, by reason."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is far away
            away = abs(values - self.mean[name].astype(values.dtype))
        std = self.std[name] or np.inf  # of a variable that never changes nothing is known
        near = np.where(self.counts, away, 0) <= min(_FILL_BEYOND, self.beyond) * std
        if near.all():  # NaN is not
            return []
        finite = np.isfinite(values)
        reasons = [("not finite", ~finite)]
        if np.isfinite(self.beyond):
            strange = finite & (away > _FILL_BEYOND * std)
            far = finite & (away > self.beyond * std)
            filled = np.isin(values, np.array(FILLS, values.dtype))
            low, high = self.ranges.get(name, (-np.inf, np.inf))
            reasons += [
                ("a fill value", strange & filled),
                ("outside the valid range", strange & ((values < low) | (values > high))),
                (f"beyond {self.beyond:g} standard deviations", far),
            ]
        return [(reason, bad & self.counts) for reason, bad in reasons]


def _cell(variable: "xr.DataArray", indices: "list[int]") -> str:
    """Where on the grid: the index along each dim."""
    named = zip(map(str, variable.dims[3:]), indices, strict=True)
    return "".join(f", {dim} {index}" for dim, index in named)


def _when(piece: "xr.Dataset", init: int, lead: int) -> str:
    """The init and lead time, where the piece has them."""
    if not {"init_time", "lead_time"} <= {*piece.coords}:
        return ""
    began = str(piece["init_time"].values[init].astype("M8[s]")).removesuffix(":00")
    hours = piece["lead_time"].values[lead] / np.timedelta64(1, "h")
    return f", {began} + {hours:g} h"


def _first_reasons(
    failed: "Mapping[str, NDArray[np.bool_]]", shape: tuple[int, ...]
) -> "Mapping[str, NDArray[np.bool_]]":
    """A member that failed for several reasons counts for the first."""
    counted = np.zeros(shape, bool)
    first = {}
    for reason, bad in failed.items():
        first[reason] = bad & ~counted
        counted |= bad
    return first


@dataclass(frozen=True)
class Failures:
    """Failed members of a piece: by reason `(init, member)`, and one example of each reason."""

    by_reason: "Mapping[str, NDArray[np.bool_]]"
    examples: Mapping[str, str]

    def counts(self) -> Counter[str]:
        """How many members failed, by reason; each counts once."""
        counted = {reason: int(bad.sum()) for reason, bad in self.by_reason.items()}
        return Counter({reason: count for reason, count in counted.items() if count})

    def first_init(self) -> tuple[int, int]:
        """The first init of the piece with failed members, and how many it has."""
        per_init = np.sum([bad.sum(1) for bad in self.by_reason.values()], axis=0)
        first = int(np.argmax(per_init > 0))
        return first, int(per_init[first])

    def described(self) -> str:
        """Say how many failed and why, with an example of each reason."""
        reasons = [
            f"{count} {'is' if count == 1 else 'are'} {reason} ({self.examples[reason]})"
            for reason, count in self.counts().items()
        ]
        return "; ".join(reasons)
