"""Samples per second of the training engine beside a bare PyTorch loop.

python benchmarks/training.py

The bare loop has the same network and loss, its data in memory and torch's own random numbers; it
does what nobody trains without (AdamW, clipping, warm-up and cosine), and nothing else. `engine`
does no more than that, with noise that can be repeated; `whole` is what a study pays, with the
average of the weights, validations, logs and checkpoints. JSON lines; jobs take turns in one
process, one thread, and its seconds of CPU count. A job is a training of its own, from a network's
first step on, with what is counted of its cost at first.
"""

import math
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
from networks import FRAMES, grid
from timing import interleaved, tell

from geobench import Forecaster, Noise, Optimisation, Run, StateSpec, Task, Training, optimise
from geobench.contracts.validation import Validation
from geobench_plugins.models.fgn import FGN
from geobench_plugins.networks.linear import initialise
from geobench_plugins.networks.next_state import EnsembleLoss, Networks, NextState


def made(spec: StateSpec) -> NextState:
    """The network of fgn."""
    model = FGN()
    network = NextState(spec, FRAMES, backbone=None, conditioning=model.conditioning)
    initialise(network, Noise.rows(0, "weights", 1))
    return network


def bare(network: NextState, train: torch.Tensor, how: Optimisation) -> None:
    """What one would write at first."""
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=how.learning_rate, betas=(0.9, 0.95))
    ensembles, trajectories, times = how.rows // 2, *train.shape[:2]
    scaling = network.scaling
    sizes = [each.shape[1:] for each in network.draw(Noise.rows(0, "sizes", 1))]
    for step in range(how.steps):
        warm = min(1.0, (step + 1) / (how.warm_up + 1))
        rate = how.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / how.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        which = torch.randint(trajectories, (ensembles,))
        first = torch.randint(times - FRAMES, (ensembles, 1))
        states = train[which[:, None], first + torch.arange(FRAMES + 1)]
        past = states[:, :FRAMES].repeat_interleave(2, 0)
        draws = tuple(torch.randn(how.rows, *size) for size in sizes)
        one, other = network(past, draws, later=False).view(ensembles, 2, -1).unbind(1)
        target = scaling.residual(states[:, -2], states[:, -1]).flatten(1)
        # The fair CRPS of two members: the distance to the interval between them.
        loss = ((one - target).abs() + (other - target).abs() - (one - other).abs()).mean() / 2
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), how.clip)
        optimiser.step()


def engine(
    training: Training,
    how: Optimisation,
    validation: Validation | None = None,
    folder: Path | None = None,
) -> None:
    """The same by the engine; `validation` and `folder` turn the rest on."""
    network = made(training.task.spec)
    loss = EnsembleLoss(network, training, how, frames=FRAMES, members=2, objective=FGN().objective)
    watched: Forecaster | None = FGN()._forecaster(Networks([network])) if validation else None
    optimise(loss, how, Run(0, validation=validation, folder=folder), watched)


def main() -> None:
    """ResNet on the ring of Lorenz95, U-Net on the basin of the shallow water."""
    torch.set_num_threads(1)
    cases = [
        (grid(1, 40, periodic=True), 128, 200, (1000, 200)),
        (grid(3, 64, 64, periodic=False), 16, 120, (8, 100)),
    ]
    for spec, rows, steps, (trajectories, times) in cases:
        channels = len(spec.variables)
        train = torch.randn(trajectories, times, channels, *spec.grid)
        training = Training(Task(spec, timedelta(days=1)), train, train[:4])
        plain = Optimisation(passes=rows * steps, rows=rows, averaging=0, validations=0)
        # Validated and kept at the beginning and at the end: per pass more often than in a study.
        full = Optimisation(passes=rows * steps, rows=rows, averaging=0.999, validations=1)

        def whole(training: Training = training, full: Optimisation = full) -> None:
            validation = Validation.of(training)
            with tempfile.TemporaryDirectory() as folder:
                engine(training, full, validation, Path(folder))

        jobs: dict[str, Callable[[], object]] = {
            "bare": lambda: bare(made(spec), train, plain),  # noqa: B023 # called before they change
            "engine": lambda: engine(training, plain),  # noqa: B023
            "whole": whole,
        }
        best = interleaved(jobs, repeats=4, clock=time.process_time)
        tell(
            benchmark="training",
            grid=list(spec.grid),
            rows=rows,
            samples_a_second={k: round(rows * steps / seconds) for k, seconds in best.items()},
            engine_over_bare=best["bare"] / best["engine"],
            whole_over_bare=best["bare"] / best["whole"],
        )


if __name__ == "__main__":
    main()
