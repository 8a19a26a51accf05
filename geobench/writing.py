"""Forecasts on their way into the catalogue: failures counted, rounded if asked to, in pieces."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geobench.errors import GeobenchError
from geobench.interfaces.state import StateSpec
from geobench.rounding import Rounding
from geobench_catalog import Draft, layout

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
    failed: dict[int, int] = field(default_factory=dict)
    """Members that are not finite, by init."""

    def put(self, inits: slice, members: slice, block: "Tensor") -> None:
        """Write `(init, lead, member, channel, *grid)`."""
        self._count(inits, block)
        where = {"init_time": inits, "member": members}
        piece = self.spec.dataset(block.numpy(), ("init_time", "lead_time", "member"))
        if self.rounding:
            named = piece.assign_coords(self.coords.isel(where).coords)
            piece = self.rounding.rounded(named, inits)
        if inits.start == members.start == 0:
            first = {"init_time": [0], "member": [0]}
            one = piece.isel(first).assign_coords(self.coords.isel(first).coords)
            self.draft.allocate(one, self.coords.drop_vars("lead_time"), *self.shape)
        self.draft.fill(piece, where)

    def _count(self, inits: slice, block: "Tensor") -> None:
        from geobench import forecasting

        for init, count in enumerate(forecasting.failed(block).sum(1).tolist()):
            if count:
                place = inits.start + init
                self.failed[place] = self.failed.get(place, 0) + count
        if self.failed and not self.keep_failures:
            first, count = next(iter(self.failed.items()))
            raise GeobenchError(
                f"{count} of {self.coords.sizes['member']} members at init {first} are not finite; "
                f"stopped there. Mend or retrain the model, or store them as failed: "
                f"keep_failures: true in a study, --keep-failures with geobench forecast."
            )
