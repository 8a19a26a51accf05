"""Boards of equal models: how often a difference is claimed that is not there.

`python benchmarks/equal_boards.py` prints a line of JSON for each setting; some minutes. In each,
150 boards are simulated (`--boards` for more) whose models are all equal, with one seed or three.
`wrong` is the share of boards on which any two models are called significantly different; it should
be 5 %. `covered` is the share of boards on which every rank range holds every rank, since equal
models may have any rank; it should be 95 %. `bounds` are the central 99 % of so many boards at 5 %.
Then one model is made worse by two and by four standard errors of a difference. `found` is the
share of its pairs with the others that are called significantly different.

A case has a difficulty, common to all models, that multiplies their excess. It is log-normal where
tails are heavy, as those of a score against the true distribution are. Lead times are correlated by
0.8 from one to the next. Seeds of training shift the level of a model on all cases.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from geobench.statistics import pairs
from geobench.statistics.rank_ranges import rank_ranges
from geobench.statistics.resampling import Resampling
from geobench.statistics.seeds import Mean, means

Array = npt.NDArray[np.float64]
LEADS, MEMORY, DRAWS = 5, 0.8, 1000


@dataclass(frozen=True)
class Setting:
    """What is simulated. Deviations are relative to the mean excess of a model.

    tail: standard deviation of the logarithm of a case's difficulty; 0: none, and Gaussian excess.
    between: of the level of a training; `by_model`: of a model on a case, for all its seeds;
    `by_seed`: of a seed on a case. unlike: how many times more seeds of every other model differ.
    """

    models: int = 8
    seeds: int = 1
    cases: int = 64
    tail: float = 0.0
    between: float = 0.0
    by_model: float = 0.5
    by_seed: float = 0.5
    unlike: float = 1.0

    @property
    def error(self) -> float:
        """Standard error of a difference of two models' means over cases, seeds and lead times."""
        lag = abs(np.subtract.outer(np.arange(LEADS), np.arange(LEADS)))
        over_leads = (MEMORY**lag).mean()
        # Lead times share the size of their difficulties: E[D D'] of two log-normals.
        crossed = (MEMORY**lag * np.exp(self.tail**2 * MEMORY**lag)).mean()
        cases = (self.by_model**2 + self.by_seed**2 / self.seeds) * crossed / self.cases
        levels = (1 + self.unlike**2) / 2 * self.between**2 * over_leads / self.seeds
        return float(np.sqrt(2 * (cases + levels)))


SETTINGS = (
    *(Setting(cases=cases, tail=tail) for cases in (64, 256) for tail in (0.0, 1.0)),
    Setting(seeds=3, cases=64),
    Setting(seeds=3, cases=64, between=0.3),
    Setting(seeds=3, cases=64, tail=1.0, between=0.05),
    Setting(seeds=3, cases=256, tail=1.0),
    Setting(seeds=3, cases=256, tail=1.0, between=0.05),
    Setting(seeds=3, cases=256, between=0.3),
    Setting(seeds=3, cases=256, tail=1.0, between=0.05, unlike=5.0),
    Setting(models=3, seeds=3, cases=64, tail=1.0, between=0.05),
    Setting(models=17, cases=256, tail=1.0),
)


def boards(setting: Setting, count: int, key: int) -> Iterator[Array]:
    """Excess of equal models `(model, seed, case, lead)`, one board after another."""
    generator = np.random.Generator(np.random.Philox(key=key))
    lag = abs(np.subtract.outer(np.arange(LEADS), np.arange(LEADS)))
    mix = np.linalg.cholesky(MEMORY**lag).T
    models, seeds, cases = setting.models, setting.seeds, setting.cases

    def drawn(*sizes: int) -> Array:
        found: Array = generator.standard_normal((*sizes, LEADS)) @ mix
        return found

    for _ in range(count):
        hard = np.exp(setting.tail * drawn(1, 1, cases) - setting.tail**2 / 2)
        own = setting.by_model * drawn(models, 1, cases) + setting.by_seed * drawn(
            models, seeds, cases
        )
        between = np.where(np.arange(models) % 2, setting.unlike, 1) * setting.between
        yield hard * (1 + own) + between[:, None, None, None] * drawn(models, seeds, 1)


@cache
def resampling(cases: int) -> Resampling:
    """One way of resampling for all boards of a size, as a board has one."""
    return Resampling(np.arange(cases), DRAWS)


def placing(excess: Array) -> list[Mean]:
    """Means over lead times and seeds of the models of a board, as the board makes them."""
    own = resampling(excess.shape[2])
    cases = np.moveaxis(excess.mean(-1), -1, 0).reshape(excess.shape[2], -1)
    draws = own.spread(own.weights @ cases)
    shape = (*excess.shape[:2], len(draws))
    return means(list(draws.T.reshape(shape)), own.degrees)


def worsened(mean: Mean, shift: float) -> Mean:
    """The same model with a larger excess."""
    return replace(mean, draws=mean.draws + shift, over_cases=mean.over_cases + shift)


def measured(setting: Setting, count: int, key: int) -> dict[str, object]:
    """Shares of boards, and of pairs of the model that is worse."""
    from scipy import stats

    own = resampling(setting.cases)
    wrong = covered = 0
    shifts = (2.0, 4.0)
    found = dict.fromkeys(shifts, 0.0)
    for number, excess in enumerate(boards(setting, count, key)):
        placed = placing(excess)
        ranks = rank_ranges(placed, [False] * setting.models, own.degrees)
        ends = [(each.low, each.high) for each in ranks if each]
        wrong += any(each != (1, setting.models) for each in ends)
        covered += all(each == (1, setting.models) for each in ends)
        for shift in shifts if number % 3 == 0 else ():  # each board has several such pairs
            moved = [worsened(placed[0], shift * setting.error), *placed[1:]]
            worse = pairs.significantly_worse(pairs.differences(moved, own.degrees))
            found[shift] += float(worse[0, 1:].mean())
    bounds = [float(each) / count for each in stats.binom.ppf([0.005, 0.995], count, 0.05)]
    return {
        **asdict(setting),
        "boards": count,
        "wrong": round(wrong / count, 4),
        "bounds": [round(each, 4) for each in bounds],
        "covered": round(covered / count, 4),
        "found": {
            f"{shift:g} errors": round(found[shift] / len(range(0, count, 3)), 3)
            for shift in shifts
        },
    }


def main() -> None:
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, default=150, help="how many of each setting")
    parser.add_argument("--key", type=int, default=18, help="of the random numbers")
    parser.add_argument("--first", type=int, default=0, help="setting to begin with")
    parser.add_argument("--last", type=int, default=len(SETTINGS) - 1, help="and to end with")
    chosen = parser.parse_args()
    for setting in SETTINGS[chosen.first : chosen.last + 1]:
        print(json.dumps(measured(setting, chosen.boards, chosen.key)), flush=True)


if __name__ == "__main__":
    main()
