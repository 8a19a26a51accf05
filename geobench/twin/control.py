"""Control runs: long free runs of a simulator, kept as counts of what events measure.

The run is counted while it goes on, so memory and storage do not grow with its length. Thresholds
at any quantile follow from the counts, and so does how many states each of them rests on.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.experiment import Event, Experiment
from geobench.contracts.model import Progress, silent
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.errors import GeobenchError
from geobench.statistics.intervals import Array
from geobench.twin import events

if TYPE_CHECKING:
    import xarray as xr

Places = np.ndarray[Any, np.dtype[np.int64]]
TIMES = 5  # states of a control run over those of the train split, where nothing else is asked
FEWEST = 50
"""Separate exceedances that a threshold has to rest on: its rate is then known to some 15 %."""
_CELLS = 2**22  # counters of an event, at most
_BINS = (2**9, 2**16)
_ROWS = (4, 512)
_BLOCK = 2**22  # values that are counted at once


def states_of(experiment: Experiment, states: int | None) -> int:
    """States that a control run counts; default: `TIMES` those of the train split."""
    train = experiment.train
    return states or TIMES * train.trajectories * train.steps


def rows_of(experiment: Experiment, states: int) -> int:
    """Independent trajectories of a control run: as many as keep the spin-up a third of the work.

    A whole run of `states` has them in equal parts.
    """
    most = states // max(1, 2 * experiment.spin_up)
    return min(states, max(_ROWS[0], min(_ROWS[1], most)))


def blocks(
    simulator: Simulator,
    *,
    spin_up: int,
    states: int,
    rows: int,
    seed: int,
    progress: Progress = silent,
) -> Iterator[Tensor]:
    """Run freely: states `(row, time, channel, *grid)`, some steps at a time.

    The first `spin_up` steps are thrown away. The rows are independent, and nothing is kept.
    """
    noise = Noise.rows(seed, "control", rows)
    state = simulator.initial(noise)
    steps = spin_up + math.ceil(states / rows)
    size = max(1, _BLOCK // (rows * math.prod(simulator.spec.shape)))
    kept: list[Tensor] = []
    for step in range(steps):
        if step:
            state = simulator.advance(state, 1, noise.at(step))
        if not bool(state.isfinite().all()):
            raise GeobenchError(
                f"the control run of {simulator.name} blew up after {step} output steps. Use a "
                f"shorter time step or weaker forcing."
            )
        if step >= spin_up:
            kept.append(state.to(torch.float32))
        if len(kept) == size or (kept and step == steps - 1):
            yield torch.stack(kept, 1)
            kept = []
        progress(step + 1, steps, "")


class Tally:
    """Counts of an event's values, by climate, in equal bins.

    Bins span twice the range of the first values. What lies beyond makes them twice as wide, as
    often as it takes. `rises` tells how often a value passed the upper edge of a bin on its way
    up, from one output step to the next in one place, `falls` on its way down: separate
    exceedances. A trajectory that begins beyond the edge counts as one more.
    """

    def __init__(self, first: Array, climates: Places) -> None:
        self.climates = climates
        count = int(climates.max()) + 1
        low, high = self._ends(first, count)
        size = np.where(high > low, high - low, 1.0)
        self.bins = max(_BINS[0], min(_BINS[1], 2 ** int(math.log2(_CELLS / count))))
        self.low, self.width = low - size / 2, 2 * size / self.bins
        self.counts, self.begun, self.rises, self.falls = (
            np.zeros((count, self.bins), np.int64) for _ in range(4)
        )
        self._last = first[:, :0]

    def _ends(self, values: Array, count: int) -> tuple[Array, Array]:
        """Lowest and highest value of each climate."""
        places = values.min((0, 1)), values.max((0, 1))
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, self.climates, places[0])
        np.maximum.at(high, self.climates, places[1])
        return low, high

    def add(self, values: Array) -> None:
        """Count values `(row, time, place)` that go on with the last ones."""
        self._make_room(*self._ends(values, len(self.low)))
        series = np.concatenate([self._last, values], 1)
        index = (series - self.low[self.climates]) // self.width[self.climates]
        flat = index.astype(np.int64) + self.climates * self.bins
        if not self._last.size:
            self.begun += self._of(flat[:, :1])
        before, after = flat[:, :-1], flat[:, 1:]
        rising, falling = before < after, before > after
        self.counts += self._of(flat[:, self._last.shape[1] :])
        self.rises += self._of(before[rising]) - self._of(after[rising])
        self.falls += self._of(after[falling]) - self._of(before[falling])
        self._last = values[:, -1:]

    def _make_room(self, low: Array, high: Array) -> None:
        """Double the width of bins until all values are inside; two neighbours become one."""
        half = self.bins // 2
        for climate in range(len(self.low)):
            while True:
                below = low[climate] < self.low[climate]
                inside = (high[climate] - self.low[climate]) // self.width[climate] < self.bins
                if inside and not below:
                    break
                if below:
                    self.low[climate] -= self.bins * self.width[climate]
                self.width[climate] *= 2
                for kept in (self.counts, self.begun, self.rises, self.falls):
                    joined = kept[climate].reshape(half, 2).sum(1)
                    kept[climate] = 0
                    kept[climate, half * below : half * below + half] = joined

    def _of(self, flat: Places) -> Any:
        size = self.counts.size
        return np.bincount(flat.ravel(), minlength=size).reshape(self.counts.shape)

    def dataset(self) -> "xr.Dataset":
        """Everything that thresholds follow from."""
        import xarray as xr

        def told(text: str) -> dict[str, str]:
            return {"long_name": text}

        dims, begun = ("climate", "bin"), self.begun.cumsum(1)
        rises = self.rises.cumsum(1) + begun[:, -1:] - begun
        falls = self.falls.cumsum(1) + begun
        return xr.Dataset(
            {
                "count": (dims, self.counts, told("values in the bin")),
                "rises": (dims, rises, told("rises past the bin's upper edge")),
                "falls": (dims, falls, told("falls past the bin's upper edge")),
                "low": (dims[:1], self.low, told("lower edge of the first bin")),
                "width": (dims[:1], self.width, told("width of a bin")),
                "climate_of": ("place", self.climates, told("climate of each place")),
            }
        )


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of an event, and what they rest on, each `(quantile, climate)`.

    `exceedances` are the values of the run that pass the threshold, of `values` in all; `separate`
    how often the run came to pass it from the other side, which it can do once in two steps at the
    most. Neighbouring places that pass it together count one by one.
    """

    event: Event
    limits: Array
    exceedances: Array
    separate: Array
    values: Array
    climates: Places

    @property
    def few(self) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Which quantiles rest on too little in some climate `(quantile,)`."""
        return np.asarray((self.separate < FEWEST).any(1))

    def check(self, states: int) -> "Thresholds":
        """Raise if a threshold rests on too few separate exceedances; the run had `states`."""
        for index in np.nonzero(self.few)[0]:
            separate = int(self.separate[index].min())
            needed = _rounded(1.5 * states * FEWEST / max(1, separate))
            quantile = 100 * self.event.quantiles[index]
            raise GeobenchError(
                f"event '{self.event.name}': the threshold at {quantile:g} % rests on {separate} "
                f"separate exceedances in a control run of {states:,} states; {FEWEST} is the "
                f"least. Use control: {{states: {needed}}} or a lower quantile."
            )
        return self

    def at_places(self) -> Tensor:
        """Thresholds `(quantile, place)`."""
        return torch.from_numpy(self.limits[:, self.climates])


def _rounded(states: float) -> int:
    """Round up to two digits."""
    unit = 10 ** max(0, int(math.log10(states)) - 1)
    return int(math.ceil(states / unit) * unit)


def thresholds(event: Event, counted: "xr.Dataset") -> Thresholds:
    """Thresholds of an event from the counts of what it measures.

    A threshold is the edge of a bin, the one with an exceedance rate closest to the quantile's: the
    rate in the run is known exactly, also of values that are whole numbers. Where `side` is below,
    the q-quantile of the lower tail is the (1 - q)-quantile.
    """
    counts = counted["count"].to_numpy()
    below = counts.cumsum(1)  # the upper edge of each bin
    total = below[:, -1:]
    above = event.side == "above"
    beyond = total - below if above else below
    passing = counted["rises" if above else "falls"].to_numpy()
    low, width = counted["low"].to_numpy(), counted["width"].to_numpy()
    rows = np.arange(len(counts))
    by_quantile = []
    for quantile in event.quantiles:
        # Without the rounding errors of 1 - q: of two edges as close, the lower.
        away = np.abs(beyond[:, :-1] - np.round((1 - quantile) * total, 6))
        edge = away.argmin(1)
        limit = low + width * (edge + 1)
        by_quantile.append((limit, beyond[rows, edge], passing[rows, edge]))
    limits, exceedances, separate = (np.stack(arrays) for arrays in zip(*by_quantile, strict=True))
    climates = counted["climate_of"].to_numpy()
    return Thresholds(event, limits, exceedances, separate, total[:, 0], climates)


def count(
    wanted: Sequence[Event],
    experiment: Experiment,
    simulator: Simulator,
    *,
    states: int,
    rows: int,
    seed: int,
    progress: Progress = silent,
) -> "list[xr.Dataset]":
    """Run the simulator once, and count what each of the events measures."""
    tallies: list[Tally | None] = [None] * len(wanted)
    for block in blocks(
        simulator,
        spin_up=experiment.spin_up,
        states=states,
        rows=rows,
        seed=seed,
        progress=progress,
    ):
        for which, event in enumerate(wanted):
            values = events.measure(event, simulator, block.flatten(0, 1)).double()
            values = values.reshape(*block.shape[:2], -1)
            if not bool(values.isfinite().all()):
                raise GeobenchError(
                    f"event '{event.name}': '{event.of}' is not finite on the control run."
                )
            tally = tallies[which]
            if tally is None:
                climates = events.alike(event, simulator, values.shape[-1]).numpy()
                tally = tallies[which] = Tally(values.numpy(), climates)
            tally.add(values.numpy())
    return [tally.dataset() for tally in tallies if tally]
