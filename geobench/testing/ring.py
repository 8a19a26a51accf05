"""A ring of which some cells are land, and events on it."""

from typing import TYPE_CHECKING, Literal

from geobench.contracts.state import StateSpec
from geobench.testing.decay import Decay
from geobench.twin.field_events import FieldEvents

if TYPE_CHECKING:
    import xarray as xr


class Ring(Decay):
    """The ring with land on it, and cells that are not equally large."""

    land: tuple[int, ...] = ()
    areas: Literal["equal"] | tuple[float, ...] = "equal"

    @property
    def spec(self) -> StateSpec:
        whole = super().spec
        return StateSpec(
            variables=whole.variables, dims=whole.dims, land=self.land, areas=self.areas
        )


def ring(sea: "xr.DataArray", areas: "xr.DataArray | None" = None) -> FieldEvents:
    """Measure events on a ring of which some cells are land."""
    land = tuple(int(cell) for cell in (~sea).to_numpy().nonzero()[0])
    cell_areas = "equal" if areas is None else tuple(areas.to_numpy().tolist())
    return FieldEvents(Ring.model_validate({"sites": sea.size, "land": land, "areas": cell_areas}))
