"""Coverage of intervals, by simulation: `python benchmarks/how_sure.py`; some minutes.

Prints how often 95 % intervals cover the truth: of series of dependent cases with overlapping
lead times, by blocks of the length that is chosen, of half of that (Politis & White's), and drawn
one by one; and of means over seeds, as a board gives them, by Satterthwaite's degrees of freedom,
and by the cases alone. How often equal models differ significantly is in equal_boards.py.
"""

from functools import cache
from math import ceil

import numpy as np
import numpy.typing as npt

from geobench.statistics.estimates import estimate
from geobench.statistics.resampling import Resampling, block_length, error
from geobench.statistics.seeds import means, summary

Array = npt.NDArray[np.float64]
REPEATS = 1000
SERIES = (  # inits, trajectories, leads, autoregression
    (300, 1, 5, 0.5),
    (300, 1, 10, 0.8),
    (600, 1, 10, 0.8),
    (256, 4, 5, 0.5),
    (100, 2, 5, 0.5),
    (1000, 1, 5, 0.5),
)
SEEDS = (  # standard deviations: between seeds, between cases, of a seed on a case
    (0.0, 1.0, 0.0),
    (0.0, 1.0, 1.0),
    (0.0, 0.2, 1.0),
    (0.05, 1.0, 0.5),
    (0.1, 1.0, 0.5),
    (0.2, 1.0, 0.5),
    (1.0, 0.1, 0.1),
)


def _draws(resampling: Resampling, cases: Array) -> Array:
    return resampling.spread(resampling.weights @ cases.T).T


@cache
def _resampling(inits: int, trajectories: int, block: int | None) -> Resampling:
    if block is None:
        return Resampling(np.arange(inits), 500)
    own = inits // trajectories
    which = np.repeat(np.arange(trajectories), own)
    return Resampling(which, 500, block=block if block < own else None)


def _series(
    generator: np.random.Generator, inits: int, trajectories: int, leads: int, memory: float
) -> Array:
    """Cases of one or more long series, each the mean error over its valid times."""
    from scipy.signal import lfilter

    own = inits // trajectories
    noise = generator.standard_normal((trajectories, 200 + own + leads))
    errors = lfilter([1.0], [1.0, -memory], noise)[:, 200:]
    kernel = np.ones(leads) / leads
    return np.concatenate([np.convolve(each, kernel, "valid")[1:] for each in errors])


def blocks() -> None:
    """Print the coverage of dependent cases."""
    print("inits trajectories leads memory   chosen  half  one by one")
    for inits, trajectories, leads, memory in SERIES:
        generator, covered = np.random.default_rng(1), np.zeros(3)
        for _ in range(REPEATS):
            cases = _series(generator, inits, trajectories, leads, memory)
            chosen = block_length(cases[None])
            for place, block in enumerate((chosen, ceil(chosen / 2), None)):
                block = block and max(leads, block)
                found = estimate(_draws(_resampling(inits, trajectories, block), cases))
                covered[place] += found.low < 0 < found.high
        told = "  ".join(f"{each:6.1%}" for each in covered / REPEATS)
        print(f"{inits:5} {trajectories:12} {leads:5} {memory:6}   {told}", flush=True)


def seeds(inits: int = 100) -> None:
    """Print the coverage of means over seeds."""
    from scipy import stats

    resampling = Resampling(np.arange(inits), 500)
    print("seeds between cases own   board  Satterthwaite  cases alone")
    for count in (2, 3, 5):
        for between, hard, own in SEEDS:
            generator, covered = np.random.default_rng(2), np.zeros(3)
            for _ in range(REPEATS):
                losses = between * generator.standard_normal((count, 1))
                losses = losses + hard * generator.standard_normal((1, inits))
                losses = losses + own * generator.standard_normal((count, inits))
                draws = _draws(resampling, losses)
                found = summary("", range(count), *means([draws], resampling.degrees))
                covered[0] += found.excess.low < 0 < found.excess.high
                covered[2] += found.over_cases.low < 0 < found.over_cases.high
                by_seeds = draws[:, 0].var(ddof=1) / count
                deviations = (error(draws - draws.mean(0), resampling.degrees) ** 2).sum()
                by_cases = error(draws.mean(0), resampling.degrees) ** 2
                by_cases = max(0, by_cases - deviations / (count - 1) / count)
                freedom = (by_seeds + by_cases) ** 2 / (
                    by_seeds**2 / (count - 1) + by_cases**2 / resampling.degrees
                )
                arm = stats.t.ppf(0.975, freedom) * (by_seeds + by_cases) ** 0.5
                covered[1] += abs(draws[:, 0].mean()) < arm
            told = "  ".join(f"{each:6.1%}" for each in covered / REPEATS)
            print(f"{count:5} {between:7} {hard:5} {own:3}   {told}", flush=True)


if __name__ == "__main__":
    blocks()
    seeds()
