"""Cycles of forecast and analysis, and how well they follow the truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from geobench.contracts.assimilation import Filter, Network
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import StateSpec, areas_at_sea, by_area
from geobench.errors import GeobenchError

LOST = 5.0  # error over spread at which a filter has lost the truth; reliable is 1


class Cycle(NamedTuple):
    """What is known at one time: all members `(row, member, channel, *grid)`, the best estimate.

    The estimate is `(row, channel, *grid)`. Where `observed` is false they are the forecast's.
    """

    ensemble: Tensor
    estimate: Tensor
    observed: bool


def cycles(
    simulator: Simulator,
    filter: Filter,
    network: Network,
    truth: Tensor,
    climate: Tensor,
    noise: Noise,
    *,
    members: int,
    every: int = 1,
    start: Tensor | None = None,
    first: Filter | None = None,
) -> Iterator[Cycle]:
    """Follow `truth` `(row, time, channel, *grid)` through its times by observations of it.

    A row is an experiment of its own, with its own truth, observations and ensemble; `noise` has
    one row for each. The first ensemble is `start` `(row, member, channel, *grid)`, or different
    states drawn from `climate` `(sample, channel, *grid)`: nothing is known but the climate. The
    times 0, `every`, 2 `every`, … are observed and analysed; in between, states are forecasts.
    Forecast noise, observation errors and the filter have a stream each, apart from the truth's.
    `first` makes the first analysis in place of `filter`: a small ensemble may never find the truth
    from the climate alone, and optimal interpolation starts it near.
    """
    spec = simulator.spec
    _check(spec, network, truth, noise, every)
    rows, times = truth.shape[:2]
    noise = noise.to(truth.device)
    forecast_noise = _member_noise(noise.use("forecast"), members)
    ensemble = first_guess(climate, noise, members) if start is None else start
    ensemble = ensemble.to(truth)
    for time in range(times):
        if time:
            moved = simulator.advance(ensemble.flatten(0, 1), 1, forecast_noise.at(time))
            spec.check(moved, rows * members, f"the simulator {simulator.name}")
            ensemble = moved.reshape(rows, members, *spec.shape)
            _check_finite(ensemble, "forecast", time)
        observed = time % every == 0
        if observed:
            now = noise.at(time)
            observations = network.observe(truth[:, time], now.use("observation error"))
            at_work = filter if time or first is None else first
            with _one_thread():
                ensemble = _analyse(at_work, ensemble, observations, now.use("filter"))
            _check_finite(ensemble, "analysis", time)
        yield Cycle(ensemble, filter.estimate(ensemble), observed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep LAPACK from sharing out matrices as small as an ensemble: that is seven times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _analyse(filter: Filter, ensemble: Tensor, observed: Tensor, noise: Noise) -> Tensor:
    try:
        return filter.analyse(ensemble, observed, noise)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined] # not listed
        raise GeobenchError(
            f"the filter diverged: its linear algebra failed after {noise.lead} output steps "
            f"({' '.join(str(error).split())}). Use more members, more inflation or float64."
        ) from error


def first_guess(climate: Tensor, noise: Noise, members: int) -> Tensor:
    """Draw `members` different states of `climate` for each row of `noise`."""
    if len(climate) < members:
        raise GeobenchError(
            f"{members} members are to start from different states of the climate, and there are "
            f"{len(climate)}. Use fewer members or a longer climate."
        )
    order = noise.at(0).use("first guess").uniform(len(climate), dtype=torch.float64)
    chosen = order.argsort(stable=True, dim=1)[:, :members]
    drawn: Tensor = climate[chosen.to(climate.device)]
    return drawn


def near_truth(truth: Tensor, climate: Tensor, noise: Noise, members: int, share: float) -> Tensor:
    """Draw members near the truth `(row, channel, *grid)`: a start as published studies make it.

    Truth and members are draws of one normal law. Its standard deviation is `share` of the
    climatological one of each number; its centre is one draw away from the truth.
    """
    start_noise, shape = noise.at(0).use("near truth"), truth.shape[1:]
    size = share * climate.std(0).to(truth)
    centre = truth + size * start_noise.normal(*shape, dtype=truth.dtype)
    kicks = _member_noise(start_noise.use("member"), members).normal(*shape, dtype=truth.dtype)
    return centre[:, None] + size * kicks.view(len(truth), members, *shape)


def _member_noise(noise: Noise, members: int) -> Noise:
    """Noise for rows x members; members of one row differ, whichever member the row was."""
    init = noise.init.repeat_interleave(members)
    member = noise.member[:, None] * members + torch.arange(members, device=noise.member.device)
    return Noise(noise.seed, noise.stream, init, member.flatten(), noise.lead)


def _check(spec: StateSpec, network: Network, truth: Tensor, noise: Noise, every: int) -> None:
    spec.check(truth[:, 0], len(noise), "the truth")
    if every < 1:
        raise GeobenchError(f"observations every {every} steps: use 1 or more.")
    size = truth[0, 0].numel()
    if not len(network) or int(network.places.min()) < 0 or int(network.places.max()) >= size:
        raise GeobenchError(
            f"the network observes no number, or numbers outside the {size} of a state. "
            f"Make it for this simulator."
        )


def _check_finite(ensemble: Tensor, what: str, time: int) -> None:
    lost = ~ensemble.isfinite().flatten(1).all(1)
    if bool(lost.any()):
        raise GeobenchError(
            f"the filter diverged: the {what} of {int(lost.sum())} of {len(lost)} experiments is "
            f"not finite after {time} output steps. Use more members, more inflation, a smaller "
            f"radius or more observations; or the simulator's time step is too long."
        )


@dataclass(frozen=True)
class Skill:
    """How well analyses follow the truth: series `(row, time, channel)`, in each variable's units.

    `rmse` is the root of the spatial mean of the squared error of the best estimate; `spread` is
    the same of the members' standard deviation (0 for one member). Both are over sea cells.
    `climate` is the climatological standard deviation `(channel,)`.
    """

    rmse: Tensor
    spread: Tensor
    climate: Tensor

    @classmethod
    def of(cls, moments: list[tuple[Tensor, Tensor]], climate: Tensor, spec: StateSpec) -> "Skill":
        """Gather what `measure` gave, time by time."""
        rmse, spread = (torch.stack(series, 1) for series in zip(*moments, strict=True))
        anomalies = climate - climate.mean(0)
        return cls(rmse, spread, _spatial(anomalies.square().mean(0, keepdim=True), spec)[0])

    @property
    def relative(self) -> Tensor:
        """Error as a share of the climatological standard deviation `(row, time)`.

        The root of the mean of its square over the variables that vary.
        """
        return self._shares(self.rmse).sqrt()

    @property
    def diverged(self) -> Tensor:
        """Which experiments lost the truth `(row,)`, for a tenth of the times or longer.

        Over some tenth, the mean square of `relative` is 1 or more (the climatological mean would
        have done as well), or the squared error is `LOST`² times what the members' spread claims.
        The mean over all times would hide a filter that is lost halfway.
        """
        tenths = min(10, self.rmse.shape[1])
        lost = torch.zeros(len(self.rmse), dtype=torch.bool, device=self.rmse.device)
        errors, spreads = (self._shares(series) for series in (self.rmse, self.spread))
        for error, spread in zip(
            errors.tensor_split(tenths, 1), spreads.tensor_split(tenths, 1), strict=True
        ):
            actual, claimed = error.mean(1), spread.mean(1)
            # Written so that NaN is lost.
            lost |= ~(actual < 1) | ((claimed > 0) & ~(actual < LOST**2 * claimed))
        return lost

    def _shares(self, series: Tensor) -> Tensor:
        """Mean square over variables `(row, time)`, in climatological variances."""
        climate = self.climate.to(series)
        varies = climate > 0
        return (series[..., varies] / climate[varies]).square().mean(-1)


def measure(cycle: Cycle, truth: Tensor, spec: StateSpec) -> tuple[Tensor, Tensor]:
    """Spatial RMS error of the estimate and RMS spread of the members `(row, channel)`.

    `truth` `(row, channel, *grid)` is the state at the time of `cycle`.
    """
    error = (cycle.estimate - truth).square()
    several = cycle.ensemble.shape[1] > 1
    return _spatial(error, spec), _spatial(cycle.ensemble.var(1, correction=int(several)), spec)


def _spatial(squares: Tensor, spec: StateSpec) -> Tensor:
    """Root of the average over sea cells of `(row, channel, *grid)`."""
    sea = torch.from_numpy(spec.sea).to(squares.device).flatten()
    cells = squares.flatten(2)[..., sea].double()
    return by_area(cells, areas_at_sea(spec)).mean(-1).sqrt()
