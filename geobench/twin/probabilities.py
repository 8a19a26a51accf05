"""Probabilities of events in a forecast that is in the catalog, read piece by piece."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geobench.contracts.experiment import Event
from geobench.contracts.model import Progress, silent
from geobench.contracts.simulator import Simulator
from geobench.errors import GeobenchError
from geobench.twin import events
from geobench.twin.simulating import pieces

if TYPE_CHECKING:
    import xarray as xr


class Whole:
    """Datasets of the shown variables as whole states; what is hidden is NaN."""

    def __init__(self, simulator: Simulator, shown: tuple[str, ...] | None) -> None:
        self.simulator = simulator
        self.spec = simulator.spec.select(shown)
        self._channels = simulator.spec.channels(shown)

    def states(self, dataset: "xr.Dataset") -> Tensor:
        """States `(…, channel, *grid)` of the simulator's own spec."""
        return self.widened(torch.from_numpy(self.spec.values(dataset)))

    def measured(self, event: Event, split: "xr.Dataset") -> Tensor:
        """Values `(state, place)` of an event in all states of a split."""
        return torch.cat(
            [
                events.measure(event, self.simulator, self.states(piece).flatten(0, 1))
                for _, piece in pieces(split)
            ]
        )

    def widened(self, values: Tensor) -> Tensor:
        """States of the simulator's own spec, of values `(…, channel, *grid)` of what is shown."""
        if self._channels is None:
            return values
        axis = values.ndim - len(self.spec.grid) - 1
        shape = list(values.shape)
        shape[axis] = len(self.simulator.spec.variables)
        whole = torch.full(shape, float("nan"), dtype=values.dtype)
        whole.movedim(axis, 0)[list(self._channels)] = values.movedim(axis, 0)
        return whole


def thresholds(wanted: tuple[Event, ...], whole: Whole, train: "xr.Dataset") -> dict[str, Tensor]:
    """Thresholds of each event, quantiles of the train split."""
    limits = {}
    for event in wanted:
        values = whole.measured(event, train)
        if not bool(values.isfinite().all()):
            raise GeobenchError(
                f"event '{event.name}': '{event.of}' is not finite on the train states: it may "
                f"need hidden variables. Use one that is shown."
            )
        limits[event.name] = events.thresholds(event, values[None])
    return limits


def count(
    wanted: tuple[Event, ...],
    whole: Whole,
    limits: Mapping[str, Tensor],
    forecast: "xr.Dataset",
    reading: Callable[[], AbstractContextManager[None]],
    progress: Progress = silent,
    memory: int = 2**30,
) -> "xr.Dataset":
    """Share of the members in which each event happens, by init and lead.

    For an event `name`: `name` at a lead, `name_within` at that lead or before, both
    `(init_time, lead_time, name_quantile, name_place)`, and `name_threshold`. A local event has a
    place for each sea cell of its region, in C order; others have one. Where cells are not equally
    large, `name_area` holds the area of each place over their mean.
    """
    import numpy as np
    import xarray as xr

    simulator = whole.simulator
    inits, members = forecast.sizes["init_time"], forecast.sizes["member"]
    per_init = sum(variable.nbytes for variable in forecast.data_vars.values()) // inits
    size = max(1, memory // 16 // max(1, per_init))  # measuring takes several times the states
    parts: dict[str, list[events.Probabilities]] = {event.name: [] for event in wanted}
    for first in range(0, inits, size):
        with reading():
            piece = forecast.isel(init_time=slice(first, first + size)).load()
        drawn = whole.states(piece.transpose("init_time", "member", "lead_time", ...))
        for event in wanted:
            probabilities = events.probabilities(event, simulator, [drawn], limits[event.name])
            parts[event.name].append(probabilities)
        progress(min(first + size, inits), inits, "")
    fields: dict[str, Any] = {}
    for event in wanted:
        key = event.name.replace("-", "_")
        dims = ("init_time", "lead_time", f"{key}_quantile", f"{key}_place")
        at, within = (
            np.concatenate([getattr(part, kind) for part in parts[event.name]]).astype(np.float32)
            for kind in ("at", "within")
        )
        attributes = {
            "long_name": f"probability: {event.of} {event.side} its quantile ({event.reduce})"
        }
        fields[key] = (dims, at, attributes)
        fields[f"{key}_within"] = (dims, within, attributes)
        fields[f"{key}_threshold"] = (dims[2:], limits[event.name].numpy())
        fields[dims[2]] = (dims[2], np.array(event.quantiles))
        areas = parts[event.name][0].areas
        if areas is not None:
            fields[f"{key}_area"] = (dims[3], areas, {"long_name": "area over the mean area"})
    kept = {dim: forecast[dim] for dim in ("init_time", "lead_time")}
    return xr.Dataset(fields, kept, {"members": members})
