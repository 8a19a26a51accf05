"""All measurements of an experiment, one after the other, on one control run."""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.experiment import Event, Experiment
from geobench.contracts.law import Law
from geobench.contracts.model import Progress
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import StateSpec, areas_at_sea, by_area
from geobench.describe import climate, difficulty, lyapunov, predictability
from geobench.describe.difficulty import Difficulty
from geobench.describe.draws import at_sea, draw
from geobench.describe.effort import Effort
from geobench.errors import GeobenchError
from geobench.statistics import extremes
from geobench.statistics.extremes import ReturnLevels
from geobench.statistics.intervals import Array, Interval
from geobench.twin import events
from geobench.twin.events import Probabilities
from geobench.twin.simulating import trajectories

EDGES = np.linspace(-6, 6, 97)
HORIZONS = (0.5, 0.95)
PERIODS = (30.0, 365.0, 3650.0, 36500.0)  # days
_SAMPLE = 80  # steps of the trajectory that is shown


class Watch(Protocol):
    """Told what is about to be measured; gives the progress to report to."""

    def __call__(self, title: str, /) -> AbstractContextManager[Progress]:
        """Watch one measurement."""


@dataclass(frozen=True)
class Extreme:
    """What is known of one event: thresholds, probabilities over cases, return levels.

    `limits` `(quantile, place)`; `seen` counts the states of the control run behind them. Return
    levels are those of one place, the middle one.
    """

    event: Event
    units: str
    limits: Array
    seen: int
    probabilities: Probabilities
    levels: ReturnLevels
    location: str


@dataclass(frozen=True)
class Description:
    """Everything that was measured. Times are in output steps of `days` days."""

    name: str
    title: str
    simulator: Simulator
    spec: StateSpec
    days: float
    spin_up: int
    seed: int
    effort: Effort
    moments: list[climate.Moments]
    density: Array
    autocorrelation: Array
    noise_to_increment: list[Interval]
    exponents: lyapunov.Spectrum
    errors: Array
    growth: predictability.Growth | None
    variances: Array
    horizons: dict[float, Interval | None]
    cards: list[Difficulty]
    extremes: list[Extreme]
    named_events: bool
    given_less: bool
    sample: Tensor


def describe(
    name: str,
    experiment: Experiment,
    simulator: Simulator,
    effort: Effort,
    *,
    watch: Watch,
    seed: int = 0,
    known: tuple[Law, Tensor] | None = None,
) -> Description:
    """Measure an experiment's simulator, and the experiment itself.

    `known`: the law, and the last frames `(init, channel, *grid)` that models are given, for the
    difficulty card and the events; default: exact states of the control run.
    """
    spec, channels = shown(simulator.spec, experiment)
    control = _control_run(experiment, simulator, effort, seed, watch)
    whole, areas = at_sea(control, simulator.spec), areas_at_sea(simulator.spec)
    run = _Run(simulator, effort, seed, watch, control[:, -1], _unit(whole, areas))
    sea, unit = whole[:, :, channels], run.unit[channels]
    exponents = run.exponents()
    errors, variances, ratios = run.growth(known, channels, unit)
    draws = run.draws(known)
    with watch("difficulty"):
        cards = _cards(draws, channels, spec, unit, seed)
    with watch("extremes"):
        wanted = experiment.events or default_events(spec)
        measured = [_extreme(event, run, control, draws) for event in wanted]
    hidden = experiment.given != "state" or len(channels) < len(simulator.spec.variables)
    return Description(
        name=name,
        title=experiment.title or name,
        simulator=simulator,
        spec=spec,
        days=simulator.output_step.total_seconds() / 86400,
        spin_up=experiment.spin_up,
        seed=seed,
        effort=effort,
        moments=climate.moments(sea, areas),
        density=climate.density(sea, EDGES, areas),
        autocorrelation=climate.autocorrelation(sea, min(60, effort.steps // 2), areas),
        noise_to_increment=ratios,
        exponents=exponents,
        errors=errors,
        growth=predictability.growth_rate(errors),
        variances=variances,
        horizons={share: predictability.horizon(variances, share) for share in HORIZONS},
        cards=cards,
        extremes=measured,
        named_events=bool(experiment.events),
        given_less=known is None and hidden,
        sample=control[0, -_SAMPLE:][:, channels].clone(),
    )


Known = tuple[Law, Tensor] | None


def _control_run(
    experiment: Experiment, simulator: Simulator, effort: Effort, seed: int, watch: Watch
) -> Tensor:
    """States `(trajectory, step, channel, *grid)`."""
    noise = Noise.rows(seed, "describe/control", effort.trajectories)
    with watch(f"control run of {effort.trajectories} x {effort.steps} steps") as progress:
        return trajectories(
            simulator, noise, spin_up=experiment.spin_up, steps=effort.steps, progress=progress
        )


def _unit(states: Tensor, areas: Tensor | None) -> Tensor:
    """Climatological standard deviations; 1 of what never changes."""
    unit = climate.scale(states, areas)
    return torch.where(unit > 0, unit, 1.0)


@dataclass(frozen=True)
class _Run:
    """Measurements that begin at the last states `(trajectory, channel, *grid)` of a control run.

    `unit` are the climatological standard deviations of all channels.
    """

    simulator: Simulator
    effort: Effort
    seed: int
    watch: Watch
    last: Tensor
    unit: Tensor

    def exponents(self) -> lyapunov.Spectrum:
        """Lyapunov exponents."""
        effort = self.effort
        with self.watch(f"{effort.exponents} Lyapunov exponents"):
            return lyapunov.spectrum(
                self.simulator,
                self.last[: effort.exponent_rows],
                self.unit,
                count=effort.exponents,
                steps=effort.exponent_steps,
                settle=max(20, effort.exponent_steps // 8),
                seed=self.seed,
            )

    def growth(
        self, known: Known, channels: list[int], unit: Tensor
    ) -> tuple[Array, Array, list[Interval]]:
        """Sizes of small errors, variances of the law, and noise over increment of a step."""
        effort = self.effort
        with self.watch("error growth and spread"):
            start = self.last[: effort.horizon_inits]
            errors = predictability.error_growth(
                self.simulator, start, self.unit, steps=effort.horizon_steps, seed=self.seed
            )
            if known is None:
                law = Law(self.simulator, tuple(channels))
                now = law.show(start)
            else:
                law, start = known[0], known[1][: effort.horizon_inits]
                now = start
            cells = at_sea(now, self.simulator.spec).double()
            return errors, *_spread(law, start, cells, unit, effort, self.seed)

    def draws(self, known: Known) -> list[Tensor]:
        """Draws of the law `(init, member, lead, channel, *grid)`, all channels, in blocks."""
        effort = self.effort
        law, start = known or (Law(self.simulator), self.last)
        with self.watch(f"{effort.members} draws of the law at {effort.inits} inits"):
            blocks = draw(
                law,
                start[: effort.inits],
                members=effort.members,
                leads=range(1, effort.leads + 1),
                seed=self.seed,
                whole=True,
            )
            return list(blocks)


def _cards(
    draws: list[Tensor], channels: list[int], spec: StateSpec, unit: Tensor, seed: int
) -> list[Difficulty]:
    """Difficulty at some leads of draws `(init, member, lead, channel, *grid)`."""
    return [
        difficulty.card(
            (block[:, :, lead - 1][:, :, channels] for block in draws),
            spec,
            unit,
            lead=lead,
            seed=seed,
        )
        for lead in card_leads(draws[0].shape[2])
    ]


def shown(spec: StateSpec, experiment: Experiment) -> tuple[StateSpec, list[int]]:
    """Return the part of the state that models see, and its channels."""
    channels = spec.channels(experiment.shown)
    indices = list(range(len(spec.variables))) if channels is None else list(channels)
    return spec.select(experiment.shown), indices


def card_leads(leads: int) -> list[int]:
    """Leads that have a difficulty card: the first, the last, and about their geometric mean."""
    return sorted({1, round(math.sqrt(leads)), leads})


def default_events(spec: StateSpec) -> tuple[Event, ...]:
    """Events for an experiment that names none: high values of the first variable."""
    first = spec.variables[0].name
    return (
        Event(name="high-at-a-cell", of=first),
        Event(name="domain-maximum", of=first, reduce="max"),
    )


def _spread(
    law: Law, given: Tensor, now: Tensor, unit: Tensor, effort: Effort, seed: int
) -> tuple[Array, list[Interval]]:
    """Variance of the law `(init, lead)`, and noise over increment of its first step."""
    spec = law.simulator.spec
    areas = areas_at_sea(spec)
    variances: list[Tensor] = []
    first: list[Tensor] = []
    change: list[Tensor] = []
    for block in draw(
        law,
        given,
        members=effort.horizon_members,
        leads=range(1, effort.horizon_steps + 1),
        seed=seed,
        stream="spread",
    ):
        cells = at_sea(block, spec)
        variances.append(predictability.spread(cells, unit, areas))
        one_step, done = cells[:, :, 0].double(), sum(len(part) for part in first)
        first.append(by_area(one_step.var(1), areas).mean(2))
        squares = (one_step - now[done : done + len(block), None]).square()
        change.append(by_area(squares, areas).mean((1, 3)))
    ratios = climate.noise_to_increment(torch.cat(first), torch.cat(change))
    return torch.cat(variances).numpy(), ratios


def _extreme(event: Event, run: "_Run", control: Tensor, draws: list[Tensor]) -> Extreme:
    simulator = run.simulator
    values = torch.stack([events.measure(event, simulator, row) for row in control])
    if not bool(values.isfinite().all()):
        raise GeobenchError(f"event '{event.name}': '{event.of}' is not finite on the control run.")
    limits = events.thresholds(event, values)
    middle = values.shape[2] // 2
    sign = 1 if event.side == "above" else -1
    variables = {v.name: v.units for v in simulator.spec.variables}
    return Extreme(
        event,
        variables.get(event.of, ""),
        limits.numpy(),
        values.shape[0] * values.shape[1],
        events.probabilities(event, simulator, iter(draws), limits),
        _levels(sign * values[:, :, middle].double(), simulator, run.effort.resamples),
        _location(event, simulator, middle, values.shape[2]),
    )


def _levels(series: Tensor, simulator: Simulator, resamples: int) -> ReturnLevels:
    """Return levels of `(row, time)`, declustered at the series' own decorrelation time."""
    days = simulator.output_step.total_seconds() / 86400
    rows, steps = series.shape
    curve = climate.autocorrelation(series[:, :, None, None], min(60, steps // 2))[0]
    gap = math.ceil(climate.decorrelation(curve) or len(curve))
    # A hundred decorrelation times make a block; every row should hold four.
    block = max(2, min(100 * gap, steps // 4))
    periods = [period / days for period in PERIODS if block <= period / days <= rows * steps]
    return extremes.return_levels(
        series.numpy(), periods=periods, gap=gap, block=block, resamples=resamples
    )


def _location(event: Event, simulator: Simulator, middle: int, count: int) -> str:
    if count == 1:
        return "The whole region"
    cell = int(events.first_cells(event, simulator)[middle])
    index = np.unravel_index(cell, simulator.spec.grid)
    dims = zip(simulator.spec.grid_dims, index, strict=True)
    return ("At the cell " if event.window is None else "In the window from ") + ", ".join(
        f"{dim} = {position}" for dim, position in dims
    )
