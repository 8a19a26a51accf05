"""How long the present says something about the future."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import areas_at_sea, by_area
from geobench.describe.draws import at_sea
from geobench.statistics.intervals import Array, Interval, bootstrap

SMALL = 1e-4  # initial error, in climatological standard deviations
_LARGE = 0.05  # beyond it, growth is no longer exponential
_SETTLED = 3.0  # times the initial error: by then it has turned into the growing directions


def error_growth(
    simulator: Simulator, states: Tensor, scale: Tensor, *, steps: int, seed: int = 0
) -> Array:
    """Size of small random errors `(init, step)`, steps 0…`steps`, in climatological std.

    From `states` `(init, channel, *grid)` and from the same states with normal errors of `SMALL`,
    the system is run with the same noise; the size is the root mean square over channels and
    cells, which count by their areas.
    """
    state = states.double()
    rows = Noise.rows(seed, "growth", len(state))
    unit = scale.double().reshape(-1, *[1] * len(simulator.spec.dims))
    sea = torch.from_numpy(simulator.spec.sea)
    kick = rows.use("error").normal(*state.shape[1:], dtype=torch.float64)
    other = state + SMALL * unit * kick * sea
    sizes = [_size(other - state, simulator, scale)]
    twice = Noise(seed, rows.stream, rows.init.repeat(2), rows.member.repeat(2))
    both = torch.cat([state, other])
    for step in range(1, steps + 1):
        both = simulator.advance(both, 1, twice.at(step))
        state, other = both.chunk(2)
        sizes.append(_size(other - state, simulator, scale))
    return torch.stack(sizes, 1).numpy()


def _size(error: Tensor, simulator: Simulator, scale: Tensor) -> Tensor:
    squares = (at_sea(error, simulator.spec) / scale).square()
    return by_area(squares, areas_at_sea(simulator.spec)).mean((1, 2)).sqrt()


@dataclass(frozen=True)
class Growth:
    """Exponential growth of small errors: rate per step, over steps `first`…`last`."""

    rate: Interval
    first: int
    last: int


def growth_rate(sizes: Array) -> Growth | None:
    """Mean logarithmic growth per step of `(init, step)` errors while they are small.

    Measured from when the typical (geometric mean) error has tripled until it is 5 % of the
    climatological standard deviation, at least three steps. None: there are not that many. The
    interval is a bootstrap over inits.
    """
    typical = np.exp(np.log(sizes).mean(0))
    grown = np.nonzero(typical >= _SETTLED * typical[0])[0]
    if not len(grown):
        return None
    first = int(grown[0])
    small = np.nonzero(typical[first:] > _LARGE)[0]
    last = first + int(small[0]) - 1 if len(small) else len(typical) - 1
    if last - first < 3:
        return None
    rates = (np.log(sizes[:, last]) - np.log(sizes[:, first])) / (last - first)
    return Growth(bootstrap(rates[:, None]), first, last)


def spread(members: Tensor, scale: Tensor, areas: Tensor | None = None) -> Tensor:
    """Variance of the law `(init, lead)` of draws at sea, in climatological variances.

    `members` is `(init, member, lead, channel, cell)`; unbiased for any number of members. `areas`
    `(cell,)`, over their mean, weigh the cells; None: all alike.
    """
    whitened: Tensor = (members / scale).var(1, correction=1)
    return by_area(whitened, areas).mean((2, 3))


def horizon(variances: Array, share: float) -> Interval | None:
    """Lead, in steps, at which the law's spread reaches `share` of the climatological one.

    `variances` are `(init, lead)` for leads 1, 2, …; None: not within them. An end of the interval
    (bootstrap over inits) that lies beyond the last lead is infinite.
    """
    count = variances.shape[1]

    def crossing(means: Array) -> Array:
        flat = np.sqrt(means.reshape(-1, count))
        curves = np.concatenate([np.zeros((len(flat), 1)), flat], 1)
        past = curves >= share
        at = np.where(past.any(1), past.argmax(1), count)
        index = np.arange(len(flat))
        before, after = curves[index, at - 1], curves[index, at]
        lead = at - 1 + (share - before) / np.where(after == before, np.inf, after - before)
        return np.where(past.any(1), lead, np.inf).reshape(means.shape[:-1])

    interval = bootstrap(variances, crossing)
    return interval if np.isfinite(interval.value) else None
