"""Events of labelled fields: what scorers are given to count events with."""

from typing import TYPE_CHECKING

import torch

from geobench.contracts.experiment import Event
from geobench.contracts.simulator import Simulator
from geobench.errors import GeobenchError
from geobench.twin import control, events
from geobench.twin.probabilities import Whole

if TYPE_CHECKING:
    import xarray as xr

_BLOCK = 2**22  # values of states that are measured at once


class FieldEvents:
    """Measures events on fields of the variables that are shown, by a simulator's diagnostics."""

    def __init__(self, simulator: Simulator, shown: tuple[str, ...] | None = None) -> None:
        self.simulator = simulator
        self._whole = Whole(simulator, shown)

    def __call__(self, event: Event, field: "xr.DataArray") -> "xr.DataArray":
        """Values `(…, place)` of fields `(…, variable, *grid)`, with the areas of the places.

        What is not a number counts as 0 here, as on land: a scorer says itself which members
        failed.
        """
        import numpy as np
        import xarray as xr

        spec = self._whole.spec
        names = [variable.name for variable in spec.variables]
        inner = ("variable", *spec.grid_dims)
        given = field.sel(variable=names).transpose(..., *inner)
        outer = [dim for dim in given.dims if dim not in inner]
        array = np.nan_to_num(given.to_numpy().astype(np.float32), posinf=np.inf, neginf=-np.inf)
        states = self._whole.widened(torch.from_numpy(array).flatten(0, len(outer) - 1))
        pieces = torch.split(states, max(1, _BLOCK // states[:1].numel()))
        values = torch.cat([events.measure(event, self.simulator, piece) for piece in pieces])
        self.check(event, values)
        by_place = values.double().numpy().reshape(*(given.sizes[dim] for dim in outer), -1)
        coords = {dim: given[dim] for dim in outer if dim in given.coords}
        areas = np.ones(by_place.shape[-1])
        place_areas = events.places(event, self.simulator)
        if place_areas is not None and len(place_areas) == len(areas):
            areas = place_areas.numpy()
        return xr.DataArray(by_place, {**coords, "area": ("place", areas)}, [*outer, "place"])

    def check(self, event: Event, values: torch.Tensor) -> None:
        """Raise if an event cannot be measured on what is shown."""
        if bool(values.isnan().any()):
            raise GeobenchError(
                f"event '{event.name}': '{event.of}' is not finite on these fields: it may need "
                f"hidden variables. Use one that is shown."
            )

    def limits_of_train(self, event: Event, train: "xr.Dataset") -> "xr.DataArray":
        """Thresholds `(quantile, place)`, quantiles of a train split; alike places are pooled."""
        import numpy as np

        values = self._whole.measured(event, train)
        self.check(event, values)
        climates = events.alike(event, self.simulator, values.shape[1])
        limits = torch.empty(len(event.quantiles), values.shape[1], dtype=torch.float64)
        for climate in np.unique(climates.numpy()):
            pooled = values[:, climates == climate].reshape(1, -1, 1)
            limits[:, climates == climate] = events.thresholds(event, pooled)
        return labelled(event, limits)

    def limits_of_control(self, event: Event, counted: "xr.Dataset", states: int) -> "xr.DataArray":
        """Thresholds `(quantile, place)` from the counts of a control run of so many states."""
        return labelled(event, control.thresholds(event, counted).check(states).at_places())


def labelled(event: Event, limits: torch.Tensor) -> "xr.DataArray":
    """Name the dims of thresholds `(quantile, place)`."""
    import xarray as xr

    return xr.DataArray(limits.numpy(), {"quantile": list(event.quantiles)}, ("quantile", "place"))
