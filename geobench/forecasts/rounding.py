"""Lossy storage of forecasts: mantissa bits that say nothing are set to zero; what that costs.

The mantissa of a chaotic field is noise and does not compress. `numcodecs.BitRound` (Klöwer et al.,
2021, https://doi.org/10.1038/s43588-021-00156-2) rounds it to fewer bits; any reader reads the
result. What counts is the error beside the spread of the climate, not beside the value: of a field
that is 1,000 ± 30, five bits more are kept than of one that is 0 ± 30.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geobench.contracts.state import AREA

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import xarray as xr

    from geobench.contracts.scorer import Context, Scorer

_MANTISSA = 23


def bits_of(climatology: "xr.Dataset", names: "Sequence[str]", bits: int) -> dict[str, int]:
    """Mantissa bits to keep of each variable, for `bits` of the climate's standard deviation.

    `climatology` holds `<name>_mean` and `<name>_std` by cell and, where they are not equal, areas.
    """
    import numpy as np

    def average(squares: "np.ndarray[Any, Any]") -> float:
        if AREA not in climatology:
            return float(np.mean(squares))
        return float(np.average(squares, weights=climatology[AREA].to_numpy()))

    kept = {}
    for name in names:
        mean, std = (
            climatology[f"{name}_{kind}"].to_numpy().astype(float) for kind in ("mean", "std")
        )  # single precision has no room for large squares
        spread = math.sqrt(average(std**2))
        size = math.sqrt(average(mean**2) + spread**2)
        more = math.ceil(math.log2(size / spread)) if spread > 0 else _MANTISSA
        kept[name] = min(_MANTISSA, bits + more)
    return kept


@dataclass
class Rounding:
    """Rounds pieces of a forecast, and measures what that does to its scores.

    Scores are those of the pieces as they come (all members, unless they come in parts), so that
    nothing has to be read again.
    """

    bits: dict[str, int]
    scorers: "Sequence[Scorer]"
    truth: "xr.Dataset"
    context: "Context"
    errors: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _sums: dict[tuple[str, bool], Any] = field(default_factory=dict)
    _cases: int = 0

    def rounded(self, piece: "xr.Dataset", inits: slice) -> "xr.Dataset":
        """Round a piece `(init_time, lead_time, member, *grid)` with coordinates."""
        values = {}
        for name, variable in piece.data_vars.items():
            kept = self.bits[str(name)]
            attributes = {"keep_bits": kept}  # beside the numbers, for whoever reads them elsewhere
            new = variable.copy(data=_round(variable.to_numpy(), kept)).assign_attrs(attributes)
            error = abs(new - variable).max()
            self.errors[str(name)] = max(self.errors[str(name)], float(error))
            values[name] = new
        result = piece.assign(values)
        if piece.sizes["member"] > 1:  # one left over has no spread to speak of
            self._count(piece, result, self.truth.isel(init_time=inits))
        return result

    def _count(self, raw: "xr.Dataset", rounded: "xr.Dataset", truth: "xr.Dataset") -> None:
        from geobench import scoring

        self._cases += truth.sizes["init_time"]
        for lossy, members in ((False, raw), (True, rounded)):
            every = scoring.statistics(
                self.scorers, members, truth, self.context, block=truth.sizes["init_time"]
            )
            for scorer, statistics in zip(self.scorers, every, strict=True):
                total = statistics.sum("init_time", skipna=False)
                key = scorer.name, lossy
                self._sums[key] = self._sums[key] + total if key in self._sums else total

    def summary(self) -> dict[str, Any]:
        """Bits kept, largest error by variable, and how much each score changed by lead time."""
        from geobench import scoring

        changes: dict[str, list[float]] = {}
        for scorer in self.scorers:
            before, after = (
                dict(
                    scoring.columns(
                        scorer.metric(self._sums[scorer.name, lossy] / self._cases).expand_dims(
                            "draw"
                        )
                    )
                )
                for lossy in (False, True)
            )
            for name, score in before.items():
                changes[name] = (after[name] - score).to_numpy()[0].tolist()
        return {
            "keep_bits": self.bits,
            "largest_error": dict(self.errors),
            "score_changes": changes,
        }


def _round(values: "np.ndarray[Any, Any]", kept: int) -> "np.ndarray[Any, Any]":
    import numpy as np
    from numcodecs import BitRound

    if kept >= _MANTISSA:
        return values
    flat = np.ascontiguousarray(values, np.float32)
    encoded = np.frombuffer(BitRound(kept).encode(flat), np.uint8).view(np.float32)
    return encoded.reshape(values.shape)
