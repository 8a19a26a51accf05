"""Models that were trained several times: their mean, and how sure it is over cases and seeds.

The excess of seed s on case c is taken as μ + a(s) + b(c) + e(s, c): seeds and cases are crossed,
and each is a sample. The means of S seeds spread by what the seeds do (a), and by what the cases
add, since no two seeds err alike (e). The bootstrap over cases tells the latter, and it is taken
off:

    sd² = max(0, var(mean of s) - Σ var*(mean of s - mean of all) / (S - 1))

The 95 % interval of the mean of all joins that of the cases (its bootstrap, which holds b and e)
with Student's of the seeds: its arms are √(arm of the cases² + (t sd)² / S), t with S - 1 degrees
of freedom. Two seeds make it wide (t is 12.7; 4.3 of three, 2.8 of five), as they should.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geobench.leaderboard.estimates import LEVEL, Estimate, estimate

if TYPE_CHECKING:
    from geobench.leaderboard.estimates import Draws


@dataclass(frozen=True)
class Summary:
    """A model over its seeds, of training and of members' noise alike. Lower is better.

    `excess`: mean over seeds, with an interval over cases and seeds; `over_cases`: with one that
    takes the seeds as given. `seed_sd`: standard deviation between seeds, without what the cases
    add. All are NaN where a seed failed.
    """

    label: str
    seeds: list[int]
    excess: Estimate
    over_cases: Estimate
    seed_sd: float


def summary(
    label: str, seeds: Sequence[int], excesses: "Sequence[Draws]", degrees: float
) -> Summary:
    """Summarise draws of the excess of several seeds, resampled alike; the first is the estimate.

    `degrees` of freedom: those of the bootstrap.
    """
    import numpy as np
    from scipy import special

    from geobench.resampling import error

    draws = np.stack(excesses)
    count, mean = len(draws), draws.mean(0)
    added = (error(draws - mean, degrees) ** 2).sum() / (count - 1)
    sd = float(np.sqrt(np.maximum(0, draws[:, 0].var(ddof=1) - added)))
    cases = estimate(mean)
    arm = float(special.stdtrit(count - 1, 0.5 + LEVEL / 2)) * sd / count**0.5
    low = cases.value - np.hypot(cases.value - cases.low, arm)
    high = cases.value + np.hypot(cases.high - cases.value, arm)
    excess = Estimate(cases.value, float(low), float(high))
    return Summary(label, list(seeds), excess, cases, sd)


def joined(excesses: "Draws", degrees: float, model: int) -> "Draws":
    """Draws `(draw, …)` of the mean over seeds, of those of each seed `(seed, draw, …)`.

    The first is the estimate. To the others is added what other seeds would do: normal noise, as
    wide as gives Student's interval of the seeds, another one for each `model` (a number), the same
    in every run. So whatever is made of the draws, an interval, a rank, the set of the best, is
    over cases and seeds.
    """
    import numpy as np
    from scipy import special

    from geobench.resampling import error

    count = len(excesses)
    found: Draws = excesses.mean(0)
    if count == 1:
        return found
    added = (error(np.moveaxis(excesses - found, 1, -1), degrees) ** 2).sum(0) / (count - 1)
    variance = np.maximum(0, excesses[:, 0].var(0, ddof=1) - added) / count
    half = 0.5 + LEVEL / 2
    wide = float(special.stdtrit(count - 1, half) / special.ndtri(half))
    generator = np.random.Generator(np.random.Philox(key=[20261126, model]))
    noise = generator.standard_normal(len(found) - 1)
    noise = (noise - noise.mean()) / noise.std()
    found[1:] += wide * np.sqrt(variance) * noise.reshape(-1, *[1] * (found.ndim - 1))
    return found


def summaries(
    labels: Sequence[str], seeds: Sequence[int], excesses: "Sequence[Draws]", degrees: float
) -> list[Summary]:
    """Summarise every model of several seeds; the rows are entries, best first in the answer."""
    found = []
    for label in dict.fromkeys(labels):
        own = [place for place, each in enumerate(labels) if each == label]
        if len(own) > 1:
            found.append(
                summary(label, [seeds[i] for i in own], [excesses[i] for i in own], degrees)
            )
    return sorted(
        found, key=lambda each: (each.excess.value != each.excess.value, each.excess.value)
    )
