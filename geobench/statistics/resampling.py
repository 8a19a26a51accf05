"""Resampling of dependent cases: whole trajectories if there are many, blocks of inits if few.

Inits of one trajectory depend on one another. Of many independent trajectories whole ones are
drawn, with replacement (a cluster bootstrap). A few long ones are cut into blocks of consecutive
inits, which may begin at any init and go round within their trajectory (Politis & Romano, 1992). A
block is never shorter than the span in which lead times of two inits overlap in valid time.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

FEW = 20
"""Trajectories below which blocks are drawn, and blocks below which a board warns."""
_KEY = 20240101
_Z = 1.959964
_SHORTEST_SERIES = 16  # inits, from which a length of dependence can be read
_DRAWS = 2000  # of fewer, standard errors differ enough by chance to be seen among many pairs


class Resampling:
    """Bootstrap weights over blocks of dependent inits: one row of weights per resample.

    `trajectories` names the trajectory of each init, in order of time within each. Without `block`
    whole trajectories are drawn, else blocks of so many inits. The first row is the sample itself.
    The draw is fixed by the inits and the block: entries that are compared are resampled alike, and
    a build can be repeated.

    Percentiles of a bootstrap are too narrow where blocks are few: by √((n - 1) / n), and because
    the spread is itself estimated. `spread` mends both: the 95 % interval of a mean of n normal
    blocks is Student's. (For blocks of a long series n - 1 degrees of freedom are close to what
    Kiefer & Vogelsang, 2005, find at such a bandwidth.)
    """

    def __init__(self, trajectories: Whole, draws: int = 1000, *, block: int | None = None) -> None:
        blocks = _blocks(trajectories, block)
        candidates, inits = blocks.shape
        self.block, self._blocks = block, blocks
        self.trajectories = len(np.unique(trajectories))
        self.blocks = float(inits * candidates / blocks.sum())
        """Independent blocks that the inits are worth."""
        drawn_blocks = max(1, round(self.blocks))
        generator = np.random.Generator(np.random.Philox(key=_KEY))
        shares = np.full(candidates, 1 / candidates)
        drawn = generator.multinomial(drawn_blocks, shares, size=draws)
        weights = np.vstack([np.ones(inits), (blocks.T @ drawn.T).T]).astype(float)
        self.weights: Array = weights / weights.sum(1, keepdims=True)
        self._size = (drawn_blocks / self.blocks) ** 0.5

    @property
    def degrees(self) -> float:
        """Degrees of freedom of a spread between blocks."""
        return self.blocks - 1

    def means(self, statistics: "Sequence[xr.Dataset]", part: slice = slice(None)) -> "xr.Dataset":
        """Mean statistics with a last dim `draw` in place of `init_time`.

        Of several datasets with equal coordinates: the draws of one after those of another.
        `part`: of some of the resamples.
        """
        weights = self.weights[part].T
        # One product for all: of many small ones each would read the weights anew.
        return draws_of(statistics, lambda cases: cases.reshape(-1, cases.shape[-1]) @ weights)

    def variance(self, values: Array) -> Array:
        """Variance of the mean of the inits' values, by blocks: what many resamples would give.

        The inits are along the first axis.
        """
        flat = values.reshape(len(values), -1)
        if self.degrees <= 0:
            return np.full(values.shape[1:], np.nan)
        sums = self._blocks @ (flat - flat.mean(0))
        length = len(values) / self.blocks
        variance: Array = (sums**2).mean(0) / length**2 / self.degrees
        return variance.reshape(values.shape[1:])

    def spread(self, draws: Array) -> Array:
        """Widen draws along the first axis, of which the first is the estimate."""
        if self.degrees <= 0:  # one block says nothing of how sure a mean is
            return np.concatenate([draws[:1], np.full_like(draws[1:], np.nan)])
        factor = self._size * (self.blocks / self.degrees) ** 0.5 * student(self.degrees)
        with np.errstate(invalid="ignore"):  # scores may be infinite in a resample
            return np.concatenate([draws[:1], draws[:1] + factor * (draws[1:] - draws[:1])])

    def errors(self, normal: float) -> float:
        """Standard errors of widened draws that are as improbable as so many of a normal law."""
        from scipy import special

        if self.degrees <= 0:
            return float("inf")
        return -float(special.stdtrit(self.degrees, special.ndtr(-normal))) / student(self.degrees)

    def described(self) -> str:
        """What is drawn, in words."""
        if self.block is None:
            return f"{self.trajectories} independent test trajectories"
        return f"blocks of {self.block} consecutive inits of {self.trajectories} test trajectories"


def draws_of(statistics: "Sequence[xr.Dataset]", of: Callable[[Array], Array]) -> "xr.Dataset":
    """Make draws, along a last dim `draw`, of the statistics of cases of several forecasts.

    Of each statistic `of` is given the values `(…, forecast, case)`, and returns `(…, draw)`: those
    of one forecast after those of another. Coordinates are those of the first.
    """
    cases = statistics[0].sizes["init_time"]
    first = statistics[0].drop_vars("init_time", errors="ignore").assign_attrs(cases=cases)
    made = {}
    for name, statistic in first.data_vars.items():
        dims = tuple(dim for dim in statistic.dims if dim != "init_time")
        values = [one[name].transpose(*dims, "init_time").to_numpy() for one in statistics]
        sizes = [statistic.sizes[dim] for dim in dims]
        made[name] = (*dims, "draw"), of(np.stack(values, -2)).reshape(*sizes, -1)
    return first.drop_dims("init_time").assign(made)


def student(degrees: float) -> float:
    """Student's 97.5 % quantile over the normal one: by how much few blocks widen an interval."""
    from scipy import special

    return float(special.stdtrit(degrees, 0.975)) / _Z if np.isfinite(degrees) else 1.0


def error(draws: Array, degrees: float) -> Array:
    """Standard error of an estimate, from its widened draws along the last axis."""
    errors: Array = draws[..., 1:].std(-1) / student(degrees)
    return errors


def fitting(
    trajectories: Whole, positions: Whole, leads: int, series: Callable[[], Array]
) -> Resampling:
    """Resample whole trajectories if there are many or short ones, else blocks of their inits.

    `positions` are the inits' output steps within the trajectory, `leads` how many are forecast.
    `series`, `(row, init)`, is what shall be resampled, such as paired differences of scores: it
    tells how long the dependence is, and is asked for only then.
    """
    _, counts = np.unique(trajectories, return_counts=True)
    shortest, longest = overlap(trajectories, positions, leads), int(counts.max())
    if len(counts) >= FEW or longest <= shortest or len(positions) < _SHORTEST_SERIES:
        return Resampling(trajectories, _DRAWS)
    block = max(shortest, block_length(series()))
    return Resampling(trajectories, _DRAWS, block=block if block < longest else None)


def overlap(trajectories: Whole, positions: Whole, leads: int) -> int:
    """Inits from one to the first whose lead times, steps 1 to `leads`, share no valid time."""
    same = trajectories[1:] == trajectories[:-1]
    steps = np.diff(positions)[same]
    return -(-leads // int(steps.min())) if len(steps) else 1


def block_length(series: Array) -> int:
    """Inits in a block, for the series `(row, init)` that depends for longest.

    Twice the length that has the least error of the variance of a mean (Politis & White, 2004;
    corrected by Patton, Politis & White, 2009), if that leaves eight blocks: intervals cover better
    with longer ones (Sun, Phillips & Jin, 2008), which Student's widening pays for. Trajectories
    stand one after another: the seams are few. Rows that are constant or not finite say nothing.
    """
    from arch.bootstrap import optimal_block_length

    rows = [row for row in series if np.isfinite(row).all() and np.ptp(row) > 1e-9 * abs(row).max()]
    lengths = [float(optimal_block_length(row)["circular"].iloc[0]) for row in rows]
    longest = max([1.0, *(length for length in lengths if np.isfinite(length))])
    return int(np.ceil(max(longest, min(2 * longest, series.shape[1] / 8))))


def _blocks(trajectories: Whole, length: int | None) -> Any:
    """Blocks that may be drawn, as a sparse matrix `(block, init)` of ones."""
    from scipy import sparse

    _, numbers = np.unique(trajectories, return_inverse=True)
    inits = np.arange(len(numbers))
    if length is None:
        return sparse.csr_array((np.ones(len(inits)), (numbers, inits)))
    rows, columns = [], []
    for which in range(int(numbers.max()) + 1):
        segment = inits[numbers == which]
        size = min(length, len(segment))
        rows.append(np.repeat(segment, size))
        columns.append(
            segment[(np.arange(len(segment))[:, None] + np.arange(size)) % len(segment)].ravel()
        )
    joined = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_array((np.ones(len(joined[0])), joined))
