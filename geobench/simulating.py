"""Datasets: trajectories of an experiment, and the climatology of its train split."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geobench.errors import GeobenchError
from geobench.interfaces.experiment import Experiment
from geobench.interfaces.model import Progress, silent
from geobench.interfaces.noise import Noise
from geobench.interfaces.simulator import Simulator
from geobench.interfaces.state import StateSpec

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

# Nanosecond dates, which plain xarray decodes to, end in 2262.
FIRST, LAST = datetime(2000, 1, 1), datetime(2262, 1, 1)  # model time has no zone


def trajectories(
    simulator: Simulator, noise: Noise, *, spin_up: int, steps: int, progress: Progress = silent
) -> Tensor:
    """Simulate `steps` stored states after a spin-up: `(row, time, channel, *grid)`."""
    owner = f"the simulator {simulator.name}"
    state = simulator.initial(noise)
    simulator.spec.check(state, len(noise), owner)
    states = []
    for step in range(spin_up + steps):
        if step:
            state = simulator.advance(state, 1, noise.at(step))
            simulator.spec.check(state, len(noise), owner)
        if not bool(state.isfinite().all()):
            rows = int((~state.isfinite().flatten(1).all(1)).sum())
            raise GeobenchError(
                f"{owner} blew up: {rows} of {len(noise)} states are not finite after {step} "
                f"output steps. Use a shorter time step or weaker forcing."
            )
        if step >= spin_up:
            states.append(state)
        progress(step + 1, spin_up + steps, "")
    return torch.stack(states, 1)


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


def climatology(experiment: Experiment, train: "xr.Dataset") -> "xr.Dataset":
    """Mean, standard deviation and quantiles of each variable and cell over the train split."""
    import xarray as xr

    loaded = train.load()
    over = ("trajectory", "time")
    quantiles = loaded.quantile(list(experiment.quantiles), over, skipna=False)
    parts = {"mean": loaded.mean(over), "std": loaded.std(over), "threshold": quantiles}
    fields = {
        f"{name}_{kind}": part[name].astype("float32").assign_attrs(loaded[name].attrs)
        for kind, part in parts.items()
        for name in loaded.data_vars
    }
    return xr.Dataset(fields)


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
