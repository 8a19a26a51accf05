"""Datasets: trajectories of an experiment, and the climatology of its train split."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, islice, pairwise, product
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geobench.contracts.experiment import Experiment
from geobench.contracts.model import Progress, silent
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

PIECE_BYTES = 2**24  # of states that are read at once
GROUP_BYTES = 2**24  # of cells whose statistics are made at once, at least
_STATISTICS = ("mean", "std", "threshold")
# Nanosecond dates, which plain xarray decodes to, end in 2262.
FIRST, LAST = datetime(2000, 1, 1), datetime(2262, 1, 1)  # model time has no zone


def states(
    simulator: Simulator, noise: Noise, *, first: int, count: int, progress: Progress = silent
) -> Iterator[Tensor]:
    """Simulate `count` states `(row, channel, *grid)`, one by one, after `first` others."""
    owner = f"the simulator {simulator.name}"
    state = simulator.initial(noise)
    simulator.spec.check(state, len(noise), owner)
    for step in range(first + count):
        if step:
            state = simulator.advance(state, 1, noise.at(step))
            simulator.spec.check(state, len(noise), owner)
        if not bool(state.isfinite().all()):
            rows = int((~state.isfinite().flatten(1).all(1)).sum())
            raise GeobenchError(
                f"{owner} blew up: {rows} of {len(noise)} states are not finite after {step} "
                f"output steps. Use a shorter time step or weaker forcing."
            )
        progress(step + 1, first + count, "")
        if step >= first:
            yield state


def trajectories(
    simulator: Simulator, noise: Noise, *, spin_up: int, steps: int, progress: Progress = silent
) -> Tensor:
    """Simulate `steps` states after a spin-up: `(row, time, channel, *grid)`."""
    run = states(simulator, noise, first=spin_up, count=steps, progress=progress)
    return torch.stack(list(run), 1)


def gathered(run: Iterator[Tensor], steps: int) -> Tensor:
    """The next `steps` states of a run, `(row, time, channel, *grid)`, float32."""
    first = next(run)
    states = torch.empty(len(first), steps, *first.shape[1:])
    for step, state in enumerate(chain([first], islice(run, steps - 1))):
        states[:, step] = state
    return states


def splits(experiment: Experiment) -> dict[str, tuple[int, int]]:
    """Trajectories and stored steps of each split."""
    return {
        "train": (experiment.train.trajectories, experiment.train.steps),
        "validation": (experiment.validation.trajectories, experiment.validation.steps),
        "test": (experiment.test.trajectories, experiment.test_steps),
    }


def check_dates(experiment: Experiment, simulator: Simulator) -> None:
    """Raise unless every test state can have a date of its own."""
    seconds = simulator.output_step.total_seconds()
    if seconds < 1 or seconds % 1:
        raise GeobenchError(
            f"its output step is {simulator.output_step}; dates need a whole number of seconds."
        )
    count, steps = splits(experiment)["test"]
    if count * steps * seconds > (LAST - FIRST).total_seconds():
        raise GeobenchError(
            f"{count} test trajectories of {steps} steps of {simulator.output_step} do not fit "
            f"between {FIRST.date()} and {LAST.date()}. Use fewer or shorter ones."
        )


def as_dataset(
    spec: StateSpec, states: Tensor, first: int, output_step: timedelta, *, dated: bool
) -> "xr.Dataset":
    """Trajectories number `first` and on, `(trajectory, time, channel, *grid)`, as a dataset.

    Each test trajectory has its own span of dates (`dated`), so that a date names one test state.
    """
    import numpy as np

    which = np.arange(first, first + len(states))
    values = states.to(torch.float32).numpy()
    times = _times(which, states.shape[1], output_step, dated=dated)
    return spec.dataset(values, ("trajectory", "time"), times)


def _times(
    which: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    steps: int,
    output_step: timedelta,
    *,
    dated: bool,
) -> dict[str, object]:
    import numpy as np

    step = np.timedelta64(round(output_step.total_seconds()), "s")
    start = np.datetime64(FIRST, "s") + which * steps * step
    return {
        "trajectory": which,
        "time": ("time", np.arange(steps) * step, {"long_name": "time since the start"}),
        **({"start": ("trajectory", start)} if dated else {}),
    }


def as_tensor(spec: StateSpec, dataset: "xr.Dataset") -> Tensor:
    """States `(*dims, channel, *grid)` of a dataset `(*dims, *grid)`."""
    return torch.from_numpy(spec.values(dataset))


def pieces(split: "xr.Dataset") -> "Iterator[tuple[tuple[slice, slice], xr.Dataset]]":
    """Load a split `(trajectory, time, *grid)` by and by: the place of each piece, and the piece.

    Whole trajectories, or spans of a long one, in order.
    """
    trajectories, times = split.sizes["trajectory"], split.sizes["time"]
    most = max(1, PIECE_BYTES * trajectories * times // split.nbytes)
    rows = max(1, most // times)
    for first, start in product(range(0, trajectories, rows), range(0, times, most)):
        index = slice(first, first + rows), slice(start, start + most)
        yield index, split.isel(trajectory=index[0], time=index[1]).load()


def climatology(experiment: Experiment, train: "xr.Dataset", memory: int = 2**27) -> "xr.Dataset":
    """Mean, standard deviation and quantiles of each variable and cell over the train split.

    Cells are read in groups of some `memory` bytes.
    """
    import xarray as xr

    fields: dict[str, list[xr.DataArray]] = {}
    for name, variable in train.data_vars.items():
        for piece in by_cells(variable, memory):
            for kind, values in _statistics(experiment, piece.load()).items():
                field = values.astype("float32").assign_attrs(variable.attrs)
                fields.setdefault(f"{name}_{kind}", []).append(field)
    names = [f"{name}_{kind}" for kind in _STATISTICS for name in train.data_vars]
    dim = str(list(train.dims)[2])
    return xr.Dataset({name: xr.concat(fields[name], dim) for name in names})


def _statistics(experiment: Experiment, loaded: "xr.DataArray") -> "dict[str, xr.DataArray]":
    over = ("trajectory", "time")
    quantiles = loaded.quantile(list(experiment.quantiles), over, skipna=False)
    statistics = loaded.mean(over), loaded.std(over), quantiles
    return dict(zip(_STATISTICS, statistics, strict=True))


def by_cells(variable: "xr.DataArray", memory: int) -> "Iterator[xr.DataArray]":
    """Cut `(trajectory, time, *grid)` along its first grid dim: sums over time stay the same.

    Never into single cells: their sums would be added in another order.
    """
    dim, size = variable.dims[2], variable.shape[2]
    least = 1 if prod(variable.shape[3:]) > 1 else 2
    groups = min(max(1, -(-variable.nbytes // max(GROUP_BYTES, memory))), max(1, size // least))
    ends = [size * group // groups for group in range(groups + 1)]
    for first, last in pairwise(ends):
        yield variable.isel({dim: slice(first, last)})


def inits(experiment: Experiment, test: "xr.Dataset") -> "xr.Dataset":
    """List the test split's init times, with the trajectory and the position of each."""
    import numpy as np
    import xarray as xr

    places = experiment.history - 1 + np.arange(experiment.test.inits) * experiment.test.every
    start, time = test["start"].to_numpy(), test["time"].to_numpy()
    which = np.repeat(test["trajectory"].to_numpy(), len(places))
    position = np.tile(places, len(start))
    return xr.Dataset(
        {"trajectory": ("init_time", which), "position": ("init_time", position)},
        {"init_time": start[which] + time[position]},
    )
