"""Forecasts on their way into the catalog: failures counted, rounded if asked to, in blocks."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError
from geobench.forecasts import layout
from geobench.forecasts.failures import Limits
from geobench.forecasts.rollout import Block
from geobench.forecasts.rounding import Loss, Rounding
from geobench_catalog import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from torch import Tensor

    from geobench_catalog.region import Filled

DIMS = ("init_time", "lead_time", "member")


class Fillable(Protocol):
    """Where pieces are written: the regions of a draft."""

    def fill(self, piece: "xr.Dataset", where: "Mapping[str, slice]") -> "Filled":
        """Write a piece."""


def allocate(
    draft: Draft, spec: StateSpec, coords: "xr.Dataset", shape: layout.Layout, bits: dict[str, int]
) -> None:
    """Make room for a forecast with these coordinates; `bits`: what is kept of each variable."""
    import numpy as np

    first = coords.isel(init_time=[0], member=[0]).coords
    one = spec.dataset(np.zeros((1, coords.sizes["lead_time"], 1, *spec.shape), np.float32), DIMS)
    for name, kept in bits.items():
        one[name].attrs["keep_bits"] = kept  # beside the numbers, for whoever reads them elsewhere
    draft.allocate(one.assign_coords(first), coords.drop_vars("lead_time"), *shape)


@dataclass
class Written:
    """A block that was written: its failed members by reason, and what rounding did to it."""

    filled: "Filled"
    failures: Counter[str]
    loss: Loss | None = None


@dataclass
class Writer:
    """Writes blocks of a forecast; `coords` are those of the whole."""

    regions: Fillable
    spec: StateSpec
    coords: "xr.Dataset"
    limits: Limits
    rounding: Rounding | None = None
    keep_failures: bool = False

    def put(self, block: Block, states: "Tensor") -> Written:
        """Write `(init, lead, member, channel, *grid)`."""
        inits, members = (slice(rows.start, rows.stop) for rows in block)
        where = {"init_time": inits, "member": members}
        piece = self.spec.dataset(states.numpy(), DIMS)
        failures = self._failures(inits.start, piece)
        loss = None
        if self.rounding:
            named = piece.assign_coords(self.coords.isel(where).coords)
            piece, loss = self.rounding.rounded(named, inits)
        return Written(self.regions.fill(piece, where), failures, loss)

    def _failures(self, first: int, piece: "xr.Dataset") -> Counter[str]:
        failed = self.limits.failed(piece, first)
        failures = Counter(failed.counts())
        if failures and not self.keep_failures:
            init, count = failed.first_init()
            raise GeobenchError(
                f"{count} of {self.coords.sizes['member']} members at init {first + init} failed; "
                f"stopped there. Of this block, {failed.described()}. Mend or retrain the model, "
                f"or store them as failed: keep_failures: true in a study, --keep-failures with "
                f"geobench forecast."
            )
        return failures


@dataclass
class Total:
    """What all blocks of a forecast amount to."""

    failures: Counter[str] = field(default_factory=Counter)
    """Members that failed, by reason."""
    loss: Loss = field(default_factory=Loss)

    def add(self, written: Written) -> None:
        """Count a block."""
        self.failures += written.failures
        if written.loss:
            self.loss.add(written.loss)

    def summary(self) -> dict[str, Any]:
        """Members that failed, for the record of the forecast."""
        reasons = {"failures": dict(self.failures)} if self.failures else {}
        return {"failed_members": self.failures.total()} | reasons
