"""Events of an experiment: how they are measured on states, and how probable they are."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.experiment import Event
from geobench.contracts.simulator import Simulator
from geobench.errors import GeobenchError
from geobench.statistics.intervals import Array, wilson


def measure(event: Event, simulator: Simulator, states: Tensor) -> Tensor:
    """The numbers that have to pass a threshold: `(row, place)` for states `(row, channel, *grid)`.

    One place for each cell of the region at sea, one for each window of them, or a single one: the
    reduction over the region, or a diagnostic that is one number anyhow. `mean` weighs cells by
    their areas.
    """
    diagnostics = simulator.diagnostics(states)
    if event.of not in diagnostics:
        raise GeobenchError(
            f"event '{event.name}' is of '{event.of}', which {simulator.name} does not have. There "
            f"are: {', '.join(diagnostics)}."
        )
    field = diagnostics[event.of]
    if field.ndim == 1:
        return field[:, None]
    if event.window is not None:
        return _by_window(event, simulator, field)
    inside = field.flatten(1)[:, region(event, simulator)]
    if event.reduce == "local":
        return inside
    if event.reduce == "count":
        return _counted(event, inside).sum(1, keepdim=True)
    if event.reduce == "mean":
        areas = places(event, simulator)  # of the region's cells: it has no windows here
        if areas is None:
            return inside.mean(1, keepdim=True)
        return (inside * areas.to(inside)).mean(1, keepdim=True)
    return (inside.amax if event.reduce == "max" else inside.amin)(1, keepdim=True)


def first_cells(event: Event, simulator: Simulator) -> Tensor:
    """Flat cell of each place of an event that has several: its cell, or its window's first one."""
    whole = region(event, simulator)
    if event.window is None:
        return whole.nonzero()[:, 0]
    return _windows_inside(event, simulator, whole).nonzero()[:, 0]


def _counted(event: Event, field: Tensor) -> Tensor:
    """1 for each cell above the event's level, 0 for others; NaN stays NaN."""
    assert event.level is not None  # noqa: S101 # Event sees to it
    return (field > event.level).to(field).where(~field.isnan(), field)


def _by_window(event: Event, simulator: Simulator, field: Tensor) -> Tensor:
    """Reduce a field `(row, *grid)` over every window in the region: `(row, place)`."""
    if event.reduce == "count":
        values = _slid(event, _counted(event, field), torch.add)
    elif event.reduce == "mean":
        values = _window_means(event, simulator, field)
    else:
        values = _slid(event, field, torch.maximum if event.reduce == "max" else torch.minimum)
    return values.flatten(1)[:, first_cells(event, simulator)]


def _window_means(event: Event, simulator: Simulator, field: Tensor) -> Tensor:
    """Mean over the window that begins at each cell, by the areas of its cells."""
    if simulator.spec.weights is None:
        return _slid(event, field, torch.add) / math.prod(event.window or ())
    areas = torch.from_numpy(simulator.spec.weights)[None].to(field)
    inside = torch.where(areas > 0, field, 0.0)  # what stands on land is never read
    return _slid(event, inside * areas, torch.add) / _slid(event, areas, torch.add)


def _slid(event: Event, field: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join each cell of `(row, *grid)` with the others of the window that begins at it.

    Dim by dim, and going round the ends: windows that may not do so are left out later.
    """
    for axis, length in enumerate(event.window or (), 1):
        field, alone = field.clone(), field
        for shift in range(1, length):
            field = join(field, alone.roll(-shift, axis))
    return field


def _windows_inside(event: Event, simulator: Simulator, whole: Tensor) -> Tensor:
    """Whether the window that begins at a cell lies in the region, at sea, and in one piece."""
    spec, window = simulator.spec, event.window or ()
    if len(window) != len(spec.dims):
        raise GeobenchError(
            f"event '{event.name}' has a window along {len(window)} dims of {len(spec.dims)}. Give "
            f"one length for each of {', '.join(spec.grid_dims)}."
        )
    inside = _slid(event, whole.view(1, *spec.grid), torch.logical_and)[0]
    for axis, (dim, length) in enumerate(zip(spec.dims, window, strict=True)):
        begins = torch.arange(dim.size) <= dim.size - (1 if dim.periodic else length)
        begins = begins & (length <= dim.size)
        inside = inside & begins.view(-1, *[1] * (len(spec.dims) - 1 - axis))
    if not bool(inside.any()):
        raise GeobenchError(
            f"no window of event '{event.name}' fits into its region. Make it smaller."
        )
    return inside.flatten()


def alike(event: Event, simulator: Simulator, count: int) -> Tensor:
    """Number of the climate that each of `count` places has `(place,)`: those alike are pooled.

    Places that differ only along homogeneous dims have one climate.
    """
    spec = simulator.spec
    if count == 1:
        return torch.zeros(1, dtype=torch.long)
    index = torch.zeros(spec.grid, dtype=torch.long)
    for axis, dim in enumerate(spec.dims):
        numbers = torch.arange(dim.size) * (not dim.homogeneous)
        index = index * dim.size + numbers.view(-1, *[1] * (len(spec.dims) - 1 - axis))
    climates = index.flatten()[first_cells(event, simulator)]
    return torch.from_numpy(np.unique(climates.numpy(), return_inverse=True)[1])


def region(event: Event, simulator: Simulator) -> Tensor:
    """Whether a cell (flat) is at sea and in the event's region.

    Bounds a ≤ b are shares of a dim's length; a cell counts by the place of its centre.
    """
    spec = simulator.spec
    inside = torch.from_numpy(spec.sea).clone()
    if event.region is not None:
        if len(event.region) != len(spec.dims):
            raise GeobenchError(
                f"event '{event.name}' bounds {len(event.region)} dims of {len(spec.dims)}. Give "
                f"two bounds for each of {', '.join(spec.grid_dims)}."
            )
        for axis, (low, high) in enumerate(event.region):
            size = spec.grid[axis]
            centre = (torch.arange(size) + 0.5) / size
            along = (centre >= low) & (centre <= high)
            inside &= along.view(-1, *[1] * (len(spec.dims) - 1 - axis))
    if not bool(inside.any()):
        raise GeobenchError(f"the region of event '{event.name}' holds no cell. Widen it.")
    return inside.flatten()


def places(event: Event, simulator: Simulator) -> Tensor | None:
    """Areas of an event's places over their mean `(place,)`; None: they are equal.

    Places are the cells of its region, or its windows.
    """
    weights = simulator.spec.weights
    if weights is None:
        return None
    areas = torch.from_numpy(weights)[None]
    if event.window is not None:
        areas = _slid(event, areas, torch.add)
    place_areas = areas.flatten()[first_cells(event, simulator)]
    return place_areas / place_areas.mean()


def thresholds(event: Event, values: Tensor) -> Tensor:
    """Climatological quantiles `(quantile, place)` of control values `(row, time, place)`.

    Each place has its own climate. Where `side` is below, the q-quantile of the lower tail is the
    (1 - q)-quantile. Linear between order statistics, as numpy does.
    """
    levels = [q if event.side == "above" else 1 - q for q in event.quantiles]
    flat = values.flatten(0, 1).double().numpy()
    return torch.from_numpy(np.quantile(flat, levels, axis=0))


def happens(event: Event, values: Tensor, limits: Tensor) -> Tensor:
    """Whether `values` `(…, place)` pass `limits` `(quantile, place)`, `(…, quantile, place)`."""
    beyond = values.unsqueeze(-2)
    return beyond > limits if event.side == "above" else beyond < limits


@dataclass(frozen=True)
class Probabilities:
    """p*(x0): how probable an event is in each case, counted over `members` draws of the law.

    `at` `(init, lead, quantile, place)` at a lead, `within` at that lead or before it. Nothing is
    interpolated: of K draws, a share of 0 means at most 3.8 / K (95 %). `areas` `(place,)`, over
    their mean, weigh the places in averages; None: all alike.
    """

    event: Event
    members: int
    at: Array
    within: Array
    areas: Array | None = None

    def interval(self, share: Array) -> tuple[Array, Array]:
        """Ends of the 95 % interval of each probability."""
        return wilson(np.rint(share * self.members), self.members)

    def rate(self) -> Array:
        """Mean probability `(lead, quantile)` at each lead."""
        return self.average(self.at)

    def average(self, values: Array) -> Array:
        """Mean of `(init, …, place)` over inits and places."""
        mean: Array = (values if self.areas is None else values * self.areas).mean((0, -1))
        return mean

    def predictable(self) -> Array:
        """Share `(lead, quantile)` of the variance of whether it happens that the law explains.

        Brier skill of the truth itself against the mean over the cases: 1 - E[p(1-p)] / (r(1-r)),
        r = E[p], without the bias of counting p from K draws. NaN where nothing ever happened.
        """
        count = self.members
        noise = self.average(self.at * (1 - self.at)) * count / (count - 1)
        rate = self.rate()
        with np.errstate(invalid="ignore", divide="ignore"):
            skill: Array = 1 - noise / (rate * (1 - rate))
        return skill


def probabilities(
    event: Event, simulator: Simulator, draws: Iterable[Tensor], limits: Tensor
) -> Probabilities:
    """Count an event over draws of whole states in blocks `(init, member, lead, channel, *grid)`.

    "Within" a lead looks at the leads that were drawn: draw all of them.
    """
    at, within, members = [], [], 0
    areas = places(event, simulator)
    for block in draws:
        inits, members, leads = block.shape[:3]
        values = measure(event, simulator, block.flatten(0, 2)).double()
        hit = happens(event, values, limits).reshape(inits, members, leads, *limits.shape)
        at.append(hit.double().mean(1))
        within.append(hit.cummax(2).values.double().mean(1))
    return Probabilities(
        event,
        members,
        torch.cat(at).numpy(),
        torch.cat(within).numpy(),
        areas.numpy() if areas is not None and at[0].shape[-1] == len(areas) else None,
    )
