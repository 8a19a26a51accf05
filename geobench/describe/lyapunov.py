"""Lyapunov exponents under common noise, and what follows from them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.model import Progress, silent
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.errors import GeobenchError
from geobench.statistics.intervals import Array, Interval, jackknife

_SIZE = 1e-6  # of a perturbation, in climatological standard deviations


@dataclass(frozen=True)
class Spectrum:
    """Exponents per day, the largest first, in independent blocks `(block, exponent)`.

    `complete`: there are as many as the state has numbers.
    """

    blocks: Array
    complete: bool

    @property
    def exponents(self) -> Array:
        """Mean over blocks, `(exponent,)`."""
        mean: Array = self.blocks.mean(0)
        return mean

    @property
    def errors(self) -> Array:
        """Standard errors of the exponents."""
        error: Array = self.blocks.std(0, ddof=1) / np.sqrt(len(self.blocks))
        return error

    @property
    def reach(self) -> Array:
        """Half the 99.9 % interval of each exponent, by Student's t.

        So wide because many are looked at, and because of equal exponents the first in order is
        found too large and the last too small, by about a standard error.
        """
        from scipy import stats

        reach: Array = stats.t.ppf(0.9995, len(self.blocks) - 1) * self.errors
        return reach

    @property
    def positive(self) -> int:
        """How many have an interval above zero."""
        return int((self.exponents > self.reach).sum())

    @property
    def neutral(self) -> int:
        """How many have an interval that holds zero: there may be none, one or several."""
        return int(self._neutral().sum())

    def _neutral(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
        neutral: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (
            np.abs(self.exponents) <= self.reach
        )
        return neutral

    def _settled(self, means: Array) -> Array:
        """Means `(…, exponent)` with zero for those that cannot be told from it."""
        return np.where(self._neutral(), 0.0, means)

    @property
    def leading(self) -> Interval:
        """The largest exponent."""
        return jackknife(self.blocks, lambda means: means[..., 0])

    @property
    def total(self) -> Interval | None:
        """Sum of all exponents, the mean divergence of the flow; None: they are not all there."""
        return jackknife(self.blocks, lambda m: m.sum(-1)) if self.complete else None

    @property
    def entropy(self) -> Interval | None:
        """Kolmogorov-Sinai entropy, by Pesin's formula: the sum of the positive exponents.

        Neutral ones add nothing.
        """
        if self.exponents[-1] > 0 and not self.complete:
            return None
        return jackknife(self.blocks, lambda means: np.maximum(self._settled(means), 0).sum(-1))

    @property
    def dimension(self) -> Interval | None:
        """Kaplan-Yorke dimension; None: the partial sums of what was measured stay positive.

        Neutral exponents count as zero: it is 1 on a cycle, 2 on a torus, 0 where all are negative.
        """
        if self._settled(self.exponents).sum() >= 0 and not self.complete:
            return None
        dimension = _per_row(kaplan_yorke)
        return jackknife(self.blocks, lambda means: dimension(self._settled(means)))


def kaplan_yorke(exponents: Array) -> float:
    """J + (λ_1 + … + λ_J) / |λ_{J+1}|, J the last place where the partial sum is not negative."""
    sums = np.cumsum(exponents)
    last = int(np.nonzero(sums >= 0)[0].max(initial=-1))
    if last < 0:
        return 0.0
    if last + 1 == len(exponents):
        return float(len(exponents))
    return float(last + 1 + sums[last] / abs(exponents[last + 1]))


def _per_row(function: Callable[[Array], float]) -> Callable[[Array], Array]:
    def rows(means: Array) -> Array:
        flat = means.reshape(-1, means.shape[-1])
        return np.array([function(row) for row in flat]).reshape(means.shape[:-1])

    return rows


def spectrum(
    simulator: Simulator,
    states: Tensor,
    scale: Tensor,
    *,
    count: int,
    steps: int,
    settle: int,
    blocks: int = 4,
    seed: int = 0,
    progress: Progress = silent,
) -> Spectrum:
    """The `count` largest exponents along trajectories from `states` `(row, channel, *grid)`.

    Benettin et al. (1980): tangent vectors are carried one output step, by differences of size 1e-6
    (in units of `scale`, one number per channel) between runs with the same noise, in float64;
    then made orthonormal by QR. The logarithms of the diagonal of R, averaged over `steps` steps
    after `settle` ones in which the vectors turn into place, are the exponents. Each row gives
    `blocks` blocks, which are taken to be independent: make them longer than the memory.
    """
    simulator.spec.check(states, len(states), "spectrum")
    state = states.double()
    rows, numbers = len(state), state[0].numel()
    count = min(count, numbers)
    unit = scale.double().reshape(-1, *[1] * len(simulator.spec.dims)).expand(state.shape[1:])
    unit = unit.reshape(-1)
    tangent = _orthonormal(
        Noise.rows(seed, "lyapunov/tangent", rows).normal(numbers, count, dtype=torch.float64)
    )[0]
    noise = Noise.rows(seed, "lyapunov", rows)
    growth = []
    for step in range(1, settle + steps + 1):
        state, tangent = _carry(simulator, state, tangent, unit, noise.at(step))
        tangent, stretch = _orthonormal(tangent)
        if step > settle:
            growth.append(stretch)
        progress(step, settle + steps, "")
    days = simulator.output_step.total_seconds() / 86400
    steps -= steps % blocks
    logs = torch.stack(growth[:steps]).log() / days
    means = logs.reshape(blocks, -1, rows, count).mean(1).flatten(0, 1)
    if not bool(means.isfinite().all()):
        raise GeobenchError(
            f"{simulator.name}: only {int(means.isfinite().all(0).sum())} of {count} exponents "
            f"are finite; the rest of the directions vanish in one step. Ask for fewer."
        )
    order = means.mean(0).argsort(descending=True)
    return Spectrum(means[:, order].numpy(), complete=count == numbers)


def _orthonormal(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Q and |diagonal of R| of `(row, number, vector)`."""
    q, r = torch.linalg.qr(vectors)
    return q, r.diagonal(dim1=-2, dim2=-1).abs()


def _carry(
    simulator: Simulator, state: Tensor, tangent: Tensor, unit: Tensor, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Advance states and tangent vectors `(row, number, vector)` by one output step."""
    rows, count = len(state), tangent.shape[-1]
    around = state.flatten(1)[:, None] + _SIZE * unit * tangent.transpose(1, 2)
    all_of_them = torch.cat([state.flatten(1)[:, None], around], 1)
    same = Noise(
        noise.seed,
        noise.stream,
        noise.init.repeat_interleave(count + 1),
        noise.member.repeat_interleave(count + 1),
        noise.lead,
    )
    ahead = simulator.advance(all_of_them.reshape(-1, *state.shape[1:]), 1, same)
    if ahead.dtype != torch.float64:
        raise GeobenchError(
            f"{simulator.name}: advance turned a float64 state into {ahead.dtype}; exponents need "
            f"float64 throughout. Keep the state's dtype."
        )
    ahead = ahead.reshape(rows, count + 1, -1)
    carried = (ahead[:, 1:] - ahead[:, :1]) / (_SIZE * unit)
    return ahead[:, 0].reshape(state.shape), carried.transpose(1, 2)
