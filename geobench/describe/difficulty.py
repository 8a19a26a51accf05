"""How hard an experiment is: what a forecaster loses that gets only part of the law right.

Two rivals are made of draws of the law itself, so that nothing has to be trained or estimated:

- *Gaussian*: the law's mean and covariance, and otherwise normal. With draws x_1…x_K and an
  orthogonal matrix Q whose rows sum to one, the rotated draws Qx have exactly the mean and the
  covariance of the law and are uncorrelated; if the law is normal they are K fresh draws of it, for
  any K and any dimension (K below the dimension included); if it is not, they are normal up to 1/K.
- *shuffled*: each channel and cell has its own permutation of the members: every marginal law is
  exact, all dependence is gone up to 1/K.

Rivals made of half as many draws show how much that 1/K matters, and it is extrapolated away.

Both are judged against other draws y of the law, so the outcome's noise is not in it: the excess
is E|x-y| - E|x-x'|/2 - E|y-y'|/2, all means over pairs of different draws (Székely and Rizzo,
2013). The unrotated draws, whose excess is zero in expectation, are judged alike and subtracted:
they share the errors of mean and covariance with the rivals.

Cells count by their areas: in means over cells, in distances of states (squares of differences are
weighed), in means over patches and in the direction in which draws vary most.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from geobench.contracts.noise import Noise
from geobench.contracts.state import StateSpec, areas_at_sea, by_area
from geobench.describe.draws import at_sea
from geobench.errors import GeobenchError
from geobench.statistics.distances import View, by_root
from geobench.statistics.intervals import Array, Interval, bootstrap, ratio

RIVALS = ("gaussian", "shuffled")
SCORES = ("crps", "energy", "pooled", "leading")
# CRPS of each number; energy score of the state; CRPS of means over patches, and of the projection
# on the direction in which the draws vary most. All of numbers in climatological units.
CALLED = {
    "crps": "CRPS",
    "energy": "energy score",
    "pooled": "patch means",
    "leading": "leading direction",
}
_NOTHING = 1e-9
ENOUGH = 0.01  # a rival that loses less than this share of a score passes for the truth


@dataclass(frozen=True)
class Shape:
    """How far the law at one lead is from a normal one; all are zero if it is normal.

    Means over inits, channels and cells (those that vary), freed of what `members` draws of a
    normal law would show. `skewness2` is the squared skewness, `negentropy` (nats) the Edgeworth
    approximation skewness²/12 + kurtosis²/48.
    """

    skewness2: Interval
    excess_kurtosis: Interval
    negentropy: Interval


@dataclass(frozen=True)
class Difficulty:
    """The card of one lead. Excesses are shares of the oracle's own score, by rival and score."""

    lead: int
    members: int
    inits: int
    shape: Shape
    oracle: dict[str, float]
    excess: dict[str, dict[str, Interval]] = field(default_factory=dict)

    def seen(self, rival: str) -> list[str]:
        """Scores that tell a rival from the truth: it loses something, and `ENOUGH` at a guess."""
        excesses = self.excess[rival].items()
        return [score for score, excess in excesses if excess.low > 0 and excess.value >= ENOUGH]

    def passes(self, rival: str) -> bool | None:
        """Whether a rival passes for the truth in every score; None: not enough draws to say.

        The leading direction, one noisy number an init, can tell that it does not.
        """
        if self.seen(rival):
            return False
        excesses = self.excess[rival].items()
        sharp = all(excess.high < ENOUGH for score, excess in excesses if score != "leading")
        return True if sharp else None

    @property
    def verdict(self) -> str:
        """What the card says, in words."""
        if self.oracle["crps"] < _NOTHING:
            return "is deterministic: the law is a single state, and any spread is too much"
        gaussian, shuffled = (self.passes(rival) for rival in RIVALS)
        if gaussian is None or shuffled is None:
            return f"undecided at {100 * ENOUGH:g} %: use more members or inits"
        by_shape, by_dependence = (
            ", ".join(CALLED[score] for score in self.seen(rival)) for rival in RIVALS
        )
        return {
            (True, True): "cannot tell generative models apart: a Gaussian with the right mean and "
            "covariance, and members shuffled site by site, both score like the truth",
            (True, False): "needs the right dependence between sites (shuffled members lose in: "
            f"{by_dependence}), but a Gaussian scores like the truth",
            (False, True): "needs the right shape of each law (a Gaussian loses in: "
            f"{by_shape}), but dependence between sites does not show",
            (False, False): f"tells generative models apart: a Gaussian loses in {by_shape}, "
            f"shuffled members in {by_dependence}",
        }[gaussian, shuffled]


def card(
    blocks: Iterable[Tensor], spec: StateSpec, scale: Tensor, *, lead: int, seed: int = 0
) -> Difficulty:
    """Card of one lead, from draws of the law in blocks `(init, member, channel, *grid)`.

    An even number of members, at least 16; the first half makes the rivals, the other half is the
    truth, then the other way round. `scale` `(channel, 1)` are climatological standard deviations.
    """
    shapes: list[tuple[float, ...]] = []
    scores: list[Array] = []
    members = 0
    for block in blocks:
        members = block.shape[1]
        if members < 16 or members % 2:
            raise GeobenchError(
                f"a difficulty card needs an even number of members, at least 16; got {members}."
            )
        for draws in block.double():
            case = torch.tensor([len(shapes)])
            noise = Noise(seed, "difficulty", case, torch.zeros_like(case))
            shapes.append(_shape(at_sea(draws, spec).flatten(1), _of_numbers(spec)))
            scores.append(_compare(draws, spec, scale, noise))
    return _summed(np.array(shapes), np.array(scores), lead=lead, members=members)


def _summed(shapes: Array, scores: Array, *, lead: int, members: int) -> Difficulty:
    """`shapes` `(init, number)`, `scores` `(init, oracle and rivals, score)`."""
    scores[:, 0] = np.where(scores[:, 0] < _NOTHING, 0, scores[:, 0])  # rounding is no spread
    oracle = scores[:, 0].mean(0)
    excess = {
        rival: {
            score: bootstrap(np.stack([scores[:, 1 + row, column], scores[:, 0, column]], 1), ratio)
            for column, score in enumerate(SCORES)
            if np.isfinite(oracle[column])
        }
        for row, rival in enumerate(RIVALS)
    }
    return Difficulty(
        lead,
        members,
        len(shapes),
        Shape(*(bootstrap(column[:, None]) for column in shapes.T)),
        {s: float(o) for s, o in zip(SCORES, oracle, strict=True) if np.isfinite(o)},
        excess,
    )


# -- shape


def _of_numbers(spec: StateSpec) -> Tensor | None:
    """Areas of the cells of all channels `(number,)`, over their mean; None: they are equal."""
    areas = areas_at_sea(spec)
    return None if areas is None else areas.repeat(len(spec.variables))


def _shape(draws: Tensor, areas: Tensor | None) -> tuple[float, ...]:
    """Numbers of `Shape` for one init, `draws` being `(member, number)`."""
    varies = draws.std(0) > 1e-9 * draws.std()
    weights = None if areas is None else areas[varies] / areas[varies].mean()
    moments = standardised(draws[:, varies])
    skewness2, kurtosis, kurtosis2 = (float(by_area(moment, weights).mean()) for moment in moments)
    return skewness2, kurtosis, skewness2 / 12 + kurtosis2 / 48


def standardised(draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared skewness, excess kurtosis and its square of each column of `(member, column)`.

    Ratios of k-statistics, less what they are on average for n normal draws: their variances
    6n(n-1) / ((n-2)(n+1)(n+3)) and 24n(n-1)² / ((n-3)(n-2)(n+3)(n+5)) (Fisher, 1930), exact.
    """
    n = len(draws)
    anomaly = draws - draws.mean(0)
    s2, s3, s4 = (anomaly.pow(power).sum(0) for power in (2, 3, 4))
    k2 = s2 / (n - 1)
    k3 = n * s3 / ((n - 1) * (n - 2))
    k4 = (n * (n + 1) * s4 - 3 * (n - 1) * s2**2) / ((n - 1) * (n - 2) * (n - 3))
    skewness, kurtosis = k3 / k2**1.5, k4 / k2**2
    of_skewness = 6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3))
    of_kurtosis = 24 * n * (n - 1) ** 2 / ((n - 3) * (n - 2) * (n + 3) * (n + 5))
    return skewness**2 - of_skewness, kurtosis, kurtosis**2 - of_kurtosis


# -- rivals and scores


def _compare(draws: Tensor, spec: StateSpec, scale: Tensor, noise: Noise) -> Array:
    """The oracle's scores, then each rival's excesses, for draws `(member, channel, *grid)`."""
    sea = torch.from_numpy(spec.sea)
    weights = None if spec.weights is None else torch.from_numpy(spec.weights)
    whitened = draws / scale.reshape(-1, *[1] * len(spec.dims)) * sea
    first, second = whitened.chunk(2)
    turns = []
    for x, y, source in ((first, second, noise.use("1")), (second, first, noise.use("2"))):
        view = View(sea, weights, _leading(by_root(y, weights).flatten(1)))
        halves = [
            _losses(half, y, view, source.use(str(index))) for index, half in enumerate(x.chunk(2))
        ]
        # What is left of a rival made of n draws is wrong by 1/n: extrapolate it away.
        losses = 2 * _losses(x, y, view, source) - torch.stack(halves).mean(0)
        turns.append(torch.cat([view.distances(x, None)[None] / 2, losses]))
    mean: Array = torch.stack(turns).mean(0).numpy()
    return mean


def _losses(x: Tensor, y: Tensor, view: "View", noise: Noise) -> Tensor:
    """Excess of each rival made of `x` over `x` itself, judged by `y`: `(rival, score)`."""

    def score(members: Tensor) -> Tensor:
        return view.distances(members, y) - view.distances(members, None) / 2

    unchanged = score(x)
    return torch.stack([score(rival(x, noise)) - unchanged for rival in (gaussian, shuffled)])


def _leading(draws: Tensor) -> Tensor:
    """Direction `(number,)` of length one in which draws `(member, number)` vary most."""
    anomaly = draws - draws.mean(0)
    # By the Gram matrix of the members: they are fewer than the numbers of a large state.
    direction = torch.linalg.eigh(anomaly @ anomaly.T).eigenvectors[:, -1] @ anomaly
    unit: Tensor = direction / direction.norm().clamp(min=1e-300)
    return unit


def gaussian(draws: Tensor, noise: Noise) -> Tensor:
    """Rotate draws `(member, …)` by a random orthogonal matrix whose rows sum to one."""
    count = len(draws)
    square = noise.use("rotation").normal(count, count, dtype=torch.float64)[0]
    # The first vector is along (1, …, 1); the others are any orthonormal ones beside it.
    square[:, 0] = 1
    basis = torch.linalg.qr(square).Q
    turn = torch.linalg.qr(noise.use("turn").normal(count - 1, count - 1, dtype=torch.float64)[0])
    turned = torch.cat([basis[:, :1], basis[:, 1:] @ turn.Q], 1)
    rotated: Tensor = turned @ (basis.T @ draws.flatten(1))
    return rotated.reshape(draws.shape)


def shuffled(draws: Tensor, noise: Noise) -> Tensor:
    """Give each channel and cell of draws `(member, …)` its own permutation of the members."""
    flat = draws.flatten(1)
    order = noise.use("order").words(*flat.shape)[0].argsort(0)
    return flat.gather(0, order).reshape(draws.shape)
