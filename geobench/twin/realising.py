"""Twin experiments realised: what models are given, what really happened, where the law starts.

Without an assimilation, models are given the exact state. With one, the truth is observed with
errors, and a filter follows it: models are given its analysis, or the exact state of the variables
that are shown, and the law starts from the filter's ensemble.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geobench.contracts.assimilation import Assimilation, Filter, Network
from geobench.contracts.experiment import Experiment
from geobench.contracts.model import Progress, silent
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.errors import GeobenchError
from geobench.twin import events
from geobench.twin.assimilating import Skill, cycles, measure
from geobench.twin.observing import network
from geobench.twin.simulating import as_dataset, check_dates, gathered, splits, states

if TYPE_CHECKING:
    import xarray as xr

BLOCK_BYTES = 2**26  # of truth, kept in memory at once
RUN_BYTES = 2**33  # of one run that a filter follows
CLIMATE = 1000  # states of the train truth that a filter learns the climate from
_CLIMATE_BYTES = 2**28  # of the first runs of train, over which these are spread


@dataclass(frozen=True)
class _Timeline:
    """A run, and the pieces of it that are stored."""

    runs: int
    pieces: int
    steps: int
    gap: int
    before: int

    @property
    def length(self) -> int:
        return self.before + self.pieces * (self.steps + self.gap) - self.gap

    def start(self, piece: int) -> int:
        return self.before + piece * (self.steps + self.gap)

    def cut(self, run: Tensor) -> Tensor:
        """`(run, time, …)` to `(run * piece, step, …)`."""
        parts = [run[:, self.start(p) : self.start(p) + self.steps] for p in range(self.pieces)]
        return torch.stack(parts, 1).flatten(0, 1)

    def taken(self, run: Iterator[Tensor], most: int) -> Iterator[Tensor]:
        """`(run * piece, step, …)` of runs that go on, `most` pieces of each at a time."""
        for first in range(0, self.pieces, most):
            parts = []
            for piece in range(first, min(first + most, self.pieces)):
                between = self.gap if piece else self.before
                deque(islice(run, between), maxlen=0)
                parts.append(gathered(run, self.steps))
            yield parts[0] if len(parts) == 1 else torch.stack(parts, 1).flatten(0, 1)


class Twin:
    """An experiment that is being realised, split by split; train comes first."""

    def __init__(
        self, experiment: Experiment, simulator: Simulator, assimilation: Assimilation | None
    ) -> None:
        check_dates(experiment, simulator)
        check(experiment, simulator)
        if assimilation and assimilation.members < 2:
            raise GeobenchError(
                f"the law starts from the filter's ensemble, and {assimilation.name} carries one "
                f"state. Give it members: 2 or more."
            )
        self.experiment, self.simulator, self.assimilation = experiment, simulator, assimilation
        self.spec = simulator.spec.select(experiment.shown)
        self._shown = simulator.spec.channels(experiment.shown)
        self._network: Network | None = None
        if experiment.observation:
            self._network = network(experiment.observation, simulator.spec)
        self._filter: Filter | None = None
        self.skill: dict[str, float] = {}
        self._climate: Tensor | None = None

    def realise(
        self, split: str, progress: Progress = silent
    ) -> Iterator[tuple[str, str, "xr.Dataset"]]:
        """Make one split, block by block: (group, the dim to append along, the data).

        The group named like the split holds what models are given, `…_truth` what happened (where
        that differs), `law` whole states at the init times from which the law starts (where the
        history does not give them). Dims: `(trajectory, time, *grid)`, `(init_time, sample, *grid)`
        """
        line = self._timeline(split)
        per_run = line.length * prod(self.simulator.spec.shape) * 4
        if per_run > RUN_BYTES and self.assimilation:
            raise GeobenchError(
                f"a run of {split} is {line.length} output steps long, {per_run / 1e9:.0f} GB at "
                f"once. Use more runs, smaller gaps or fewer steps."
            )
        block = max(1, min(1024, BLOCK_BYTES // per_run))
        for first in range(0, line.runs, block):
            which = torch.arange(first, min(first + block, line.runs))
            noise, run = self._run(split, line, which, progress)
            first_piece = first * line.pieces
            if self.assimilation:
                truth = gathered(run, line.length)
                yield from self._assimilated(split, line, first_piece, truth, noise, progress)
                continue
            size = 4 * line.steps * prod(self.simulator.spec.shape)
            most = line.pieces if block > 1 else max(1, BLOCK_BYTES // size)
            for pieces in line.taken(run, most):
                yield from self._exact(split, first_piece, pieces)
                first_piece += len(pieces)

    def _run(
        self, split: str, line: _Timeline, which: Tensor, progress: Progress = silent
    ) -> tuple[Noise, Iterator[Tensor]]:
        """The noise of these runs, and their states `(run, channel, *grid)` after the spin-up."""
        noise = Noise(self.experiment.seed, f"truth/{split}", which, torch.zeros_like(which))
        first = self.experiment.spin_up
        run = states(self.simulator, noise, first=first, count=line.length, progress=progress)
        return noise, run

    def _timeline(self, split: str) -> _Timeline:
        settings = getattr(self.experiment, split)
        steps = splits(self.experiment)[split][1]
        before = self.experiment.filter_spin_up
        return _Timeline(
            settings.runs or settings.trajectories, settings.pieces, steps, settings.gap, before
        )

    def _exact(
        self, split: str, first: int, pieces: Tensor
    ) -> Iterator[tuple[str, str, "xr.Dataset"]]:
        """What is stored of pieces `(piece, step, channel, *grid)`, whose states are given."""
        dated = split == "test"
        yield split, "trajectory", self._dataset(pieces, first, dated=dated)
        if dated and self._shown is not None:
            test, history = self.experiment.test, self.experiment.history
            whole = pieces[:, history - 1 :: test.every][:, : test.inits].flatten(0, 1)
            yield "law", "init_time", self._law(whole[:, None])

    def _assimilated(
        self,
        split: str,
        line: _Timeline,
        first: int,
        truth: Tensor,
        noise: Noise,
        progress: Progress,
    ) -> Iterator[tuple[str, str, "xr.Dataset"]]:
        """What is stored of runs `(run, time, channel, *grid)` that a filter follows."""
        dated = split == "test"
        seen = self._dataset(line.cut(truth), first, dated=dated)
        analysed = self.experiment.given == "analysis"
        if self._climate is None:
            self._climate = self._spread_out(split, line, truth)
        if not (analysed or dated):
            yield split, "trajectory", seen
            return
        wanted = self._init_times(line) if dated else []
        estimates, ensembles = self._follow(truth, noise, wanted, progress, keep=analysed)
        if analysed:
            given = self._dataset(line.cut(estimates), first, dated=dated)
            yield split, "trajectory", given
            yield f"{split}_truth", "trajectory", seen
        else:
            yield split, "trajectory", seen
        if dated:
            yield "law", "init_time", self._law(ensembles)

    def _dataset(self, pieces: Tensor, first: int, *, dated: bool) -> "xr.Dataset":
        step = self.simulator.output_step
        return as_dataset(self.spec, self._show(pieces), first, step, dated=dated)

    def _spread_out(self, split: str, line: _Timeline, truth: Tensor) -> Tensor:
        """States of the first runs, at equal distances: the climate, for the filter."""
        per_run = 4 * truth[0].numel()
        runs = min(line.runs, max(1, min(1024, _CLIMATE_BYTES // per_run)))
        count = runs * line.length
        places = torch.arange(0, count, max(1, count // CLIMATE))[:CLIMATE]
        which, times = places // line.length, places % line.length
        if runs <= len(truth):
            return truth[which, times]
        states = torch.empty(len(places), *truth.shape[2:])
        for time, state in enumerate(self._run(split, line, torch.arange(runs))[1]):
            states[times == time] = state[which[times == time]].to(torch.float32)
        return states

    def _show(self, states: Tensor) -> Tensor:
        return states if self._shown is None else states[:, :, list(self._shown)]

    def _seen(self, states: Tensor) -> Tensor:
        return states if self._shown is None else states[:, list(self._shown)]

    def _init_times(self, line: _Timeline) -> list[int]:
        """Places of the init times in a test run, in the order of the dataset's inits."""
        test, history = self.experiment.test, self.experiment.history
        return [
            line.start(piece) + history - 1 + init * test.every
            for piece in range(line.pieces)
            for init in range(test.inits)
        ]

    def _law(self, states: Tensor) -> "xr.Dataset":
        """Whole states `(init, sample, channel, *grid)`, hidden variables included."""
        return self.simulator.spec.dataset(states.numpy(), ("init_time", "sample"))

    def _follow(
        self, truth: Tensor, noise: Noise, wanted: list[int], progress: Progress, *, keep: bool
    ) -> tuple[Tensor, Tensor]:
        """Estimates `(run, time, …)` if `keep`, and ensembles `(run * init, member, …)`."""
        assert self.assimilation  # noqa: S101 # for the type checker
        assert self.experiment.observation  # noqa: S101
        estimates, ensembles, moments = [], {}, []
        climate, network, prepared_filter = self._prepared()
        for time, cycle in enumerate(
            cycles(
                self.simulator,
                prepared_filter,
                network,
                truth,
                climate,
                noise,
                members=self.assimilation.members,
                every=self.experiment.observation.every,
            )
        ):
            if keep:
                estimates.append(cycle.estimate)
            if time in wanted:
                mean = cycle.ensemble.mean(1, keepdim=True)
                ensembles[time] = cycle.ensemble - mean + cycle.estimate[:, None]
            if time >= self.experiment.filter_spin_up:
                shown = cycle._replace(
                    ensemble=self._show(cycle.ensemble), estimate=self._seen(cycle.estimate)
                )
                moments.append(measure(shown, self._seen(truth[:, time]), self.spec))
            progress(time + 1, truth.shape[1], "assimilate")
        self._judge(Skill.of(moments, self._seen(climate), self.spec))
        states = torch.stack([ensembles[time] for time in wanted], 1) if wanted else truth[:0]
        return torch.stack(estimates, 1) if keep else truth[:0], states.flatten(0, 1)

    def _prepared(self) -> tuple[Tensor, Network, Filter]:
        """The climate, from the first truth that is seen (that of train); network and filter."""
        assert self.assimilation and self._network  # noqa: S101, PT018 # for the type checker
        assert self._climate is not None  # noqa: S101
        if self._filter is None:
            self._filter = self.assimilation.filter(
                self._network, self.simulator.spec, self._climate
            )
        return self._climate, self._network, self._filter

    def _judge(self, skill: Skill) -> None:
        """Keep how good the analyses are; raise if the filter lost the truth in any run."""
        assert self.assimilation  # noqa: S101 # for the type checker
        lost = int(skill.diverged.sum())
        rmse, spread = float(skill.rmse.mean()), float(skill.spread.mean())
        if lost:
            raise GeobenchError(
                f"the assimilation {self.assimilation.name} lost the truth in {lost} of "
                f"{len(skill.rmse)} runs (mean error {rmse:.3g}, spread {spread:.3g}, climate "
                f"{float(skill.climate.mean()):.3g}). Use more members, more "
                f"inflation, a smaller radius or more observations."
            )
        relative = float(skill.relative.mean())
        self.skill = {"rmse": rmse, "spread": spread, "rmse_over_climate": relative}


def check(experiment: Experiment, simulator: Simulator) -> None:
    """Raise unless the network is possible and every event can be measured; quick."""
    if experiment.observation:
        network(experiment.observation, simulator.spec)
    state = simulator.initial(Noise.rows(0, "events", 1))
    simulator.spec.check(state, 1, f"the simulator {simulator.name}")
    for event in experiment.events:
        events.measure(event, simulator, state)
