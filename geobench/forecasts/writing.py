"""Forecasts on their way into the catalog: failures counted, rounded if asked to, in pieces."""

from collections import Counter
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError
from geobench.forecasts import layout
from geobench.forecasts.failures import Limits
from geobench.forecasts.rounding import Rounding
from geobench_catalog import Draft

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor


@dataclass
class Writer:
    """Writes the pieces of a forecast into a draft; `coords` are those of the whole."""

    draft: Draft
    spec: StateSpec
    coords: "xr.Dataset"
    shape: layout.Layout
    rounding: Rounding | None = None
    keep_failures: bool = False
    _: KW_ONLY
    limits: Limits
    failures: Counter[str] = field(default_factory=Counter)
    """Members that failed, by reason."""

    def put(self, inits: slice, members: slice, block: "Tensor") -> None:
        """Write `(init, lead, member, channel, *grid)`."""
        where = {"init_time": inits, "member": members}
        piece = self.spec.dataset(block.numpy(), ("init_time", "lead_time", "member"))
        self._count(inits.start, piece)
        if self.rounding:
            named = piece.assign_coords(self.coords.isel(where).coords)
            piece = self.rounding.rounded(named, inits)
        if inits.start == members.start == 0:
            first = {"init_time": [0], "member": [0]}
            one = piece.isel(first).assign_coords(self.coords.isel(first).coords)
            self.draft.allocate(one, self.coords.drop_vars("lead_time"), *self.shape)
        self.draft.fill(piece, where)

    def summary(self) -> dict[str, Any]:
        """Members that failed, for the record of the forecast."""
        reasons = {"failures": dict(self.failures)} if self.failures else {}
        return {"failed_members": self.failures.total()} | reasons

    def _count(self, first: int, piece: "xr.Dataset") -> None:
        failed = self.limits.failed(piece, first)
        self.failures += failed.counts()
        if self.failures and not self.keep_failures:
            init, count = failed.first_init()
            raise GeobenchError(
                f"{count} of {self.coords.sizes['member']} members at init {first + init} failed; "
                f"stopped there. Of this block, {failed.described()}. Mend or retrain the model, "
                f"or store them as failed: keep_failures: true in a study, --keep-failures with "
                f"geobench forecast."
            )
