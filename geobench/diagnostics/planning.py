"""How many cases and members it takes to notice a difference between a forecast and the law.

The difference d of their scores on a case, averaged over lead times, varies for two reasons. Of N
cases, with M members each,

    var(mean d) = (C + V(M) + W(M)) / N,    V(M) = a / M + b / (M (M - 1))

C is what the cases do: N times the variance of the mean by blocks of dependent cases, less the
members' part. V, of the forecast, and W, of the law, are what drawing members adds. A fair score is
a U-statistic of pairs of members (Hoeffding, 1948), which has a variance of this form; a and b are
read from the scores of disjoint parts of the ensembles. Members are drawn anew for every case, so
dependence between cases does not touch V and W.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any

from geobench.contracts.model import Progress, silent
from geobench.contracts.scorer import IDEALS, Blaming, Context, Scorer, unblamed
from geobench.errors import GeobenchError
from geobench.scoring.passes import Source, View, of_views

if TYPE_CHECKING:
    import xarray as xr

    from geobench.statistics.resampling import Array, Resampling


@dataclass(frozen=True)
class Aim:
    """What is to be noticed: a difference of `share` of the law's score.

    With probability `power`, by a two-sided test that sees what is not there with `level`.
    """

    share: float = 0.01
    power: float = 0.8
    level: float = 0.05

    @property
    def errors(self) -> float:
        """Standard errors that the difference must be away from zero."""
        from scipy import stats

        return float(stats.norm.isf(self.level / 2) + stats.norm.ppf(self.power))

    def cases(self, variance: float, difference: float, dependence: float) -> int:
        """Cases that are needed, `variance` being that of one; with Guenther's (1981) for a t-test.

        `dependence`: how many cases are worth an independent one.
        """
        from scipy import stats

        few = float(stats.norm.isf(self.level / 2)) ** 2 / 2 * dependence
        return max(2, ceil(self.errors**2 * variance / difference**2 + few))


@dataclass(frozen=True)
class Need:
    """Cases that are needed with so many members, and the members' share of the variance."""

    members: int
    cases: int
    member_share: float


@dataclass(frozen=True)
class Plan:
    """Needs of one score.

    `law`: its score. `seen`: the mean difference from it in the forecasts at hand, and `noticed`
    what those can notice, as shares of the law's score. `case_variance`: C, and `member_variance`:
    (a, b) of V and of W. `dependence`: how many cases at hand are worth an independent one.
    `precision`: relative standard error of the needs, at the least.
    """

    score: str
    law: float
    seen: float
    noticed: float
    cases: int
    members: int
    law_members: int
    resampled: str
    case_variance: float
    member_variance: list[list[float]]
    dependence: float
    precision: float
    needs: list[Need]


def plan(
    scorer: Scorer,
    forecast: Source,
    law: Source,
    context: Context,
    inits: "xr.Dataset",
    *,
    aim: Aim,
    members: Sequence[int],
    law_members: int | None = None,
    blaming: Blaming = unblamed,
    progress: Progress = silent,
) -> list[Plan]:
    """Plan each score of a scorer, from a forecast and one of the law on the same cases.

    Each is the one forecast of its source.
    `inits` tells their trajectories and positions. `law_members`: of the law in what is planned;
    default: as many as of the forecast.
    """
    _check(scorer, members)
    sources = (forecast, law)
    counts = [source.forecasts[0].sizes["member"] for source in sources]
    parts = [
        _parts(owner, count)
        for owner, count in zip(("the forecast", "the law"), counts, strict=True)
    ]
    done, total = 0, sum(len(views) for of_source in parts for _, views in of_source) + 2
    split: list[list[tuple[int, list[dict[str, Array]]]]] = []
    whole: list[dict[str, Array]] = []
    for source, of_source in zip(sources, parts, strict=True):
        views = [_all, *(view for _, group in of_source for view in group)]
        contributions: list[dict[str, Array]] = []
        for (statistics,) in of_views([scorer], source, views, context, blaming=blaming):
            contributions.append(_contributions(scorer, statistics, blaming))
            done += 1
            progress(done, total, "")
        whole.append(contributions[0])
        rest = iter(contributions[1:])
        split.append([(size, list(islice(rest, len(group)))) for size, group in of_source])
    plans = []
    for column in whole[0]:
        curves = [
            _curve([(m, _stack(column, scored)) for m, scored in of_source]) for of_source in split
        ]
        pair = whole[0][column], whole[1][column]
        leads = forecast.cases["lead_time"]
        plans.append(
            _planned(column, pair, curves, counts, inits, leads, aim, members, law_members)
        )
    return plans


def _check(scorer: Scorer, members: Sequence[int]) -> None:
    if min(members) < 2:
        raise GeobenchError("a fair score needs pairs of members. Plan with 2 members or more.")
    if not scorer.fair or scorer.better in IDEALS or scorer.needs_law:
        raise GeobenchError(
            f"{scorer.name} does not rank: it is not fair in the number of members, has an ideal "
            f"value, or compares with the law itself. Plan with another scorer, such as crps."
        )


def _parts(owner: str, members: int) -> list[tuple[int, list[View]]]:
    """Cut into disjoint parts of 2, 4, 8, … members, of each size two or more."""
    if members < 4:
        raise GeobenchError(
            f"{owner} has {members} members: what members add is read from two parts of two "
            f"members each. Draw 4 or more; 16 tell it well."
        )
    sizes = [2**power for power in range(1, members.bit_length()) if 2 * 2**power <= members]
    return [
        (size, [_part(first, size) for first in range(0, members - size + 1, size)])
        for size in sizes
    ]


def _part(first: int, size: int) -> View:
    return lambda members: members.isel(member=slice(first, first + size))


def _all(members: "xr.Dataset") -> "xr.Dataset":
    return members


def _contributions(
    scorer: Scorer, statistics: "xr.Dataset", blaming: Blaming
) -> "dict[str, Array]":
    """What each case adds to each score, averaged over lead times."""
    from geobench import scoring

    with blaming(f"the scorer {scorer.name}"):
        return {
            name: values[0].mean(-1)
            for name, values in scoring.contributions(scorer, [statistics]).items()
        }


def _stack(column: str, scored: "Sequence[dict[str, Array]]") -> "Array":
    import numpy as np

    return np.stack([scores[column] for scores in scored])


def _curve(scored: "Sequence[tuple[int, Array]]") -> "Array":
    """Fit a and b to the variances within cases of parts `(part, case)` of several sizes."""
    import numpy as np
    from scipy import optimize

    sizes = np.array([size for size, _ in scored], float)
    variances = np.array([parts.var(0, ddof=1).mean() for _, parts in scored])
    _check_finite(variances)
    freedom = np.array([len(parts) - 1 for _, parts in scored], float)
    weights = freedom**0.5 / np.where(variances > 0, variances, 1)  # a variance errs in proportion
    fitted, _ = optimize.nnls(_basis(sizes) * weights[:, None], variances * weights)
    coefficients: Array = fitted
    return coefficients


def _check_finite(variances: "Array") -> None:
    import numpy as np

    if not np.isfinite(variances).all():
        raise GeobenchError(
            "the score is not a number in some case: a member failed, or the score needs more "
            "cases. Plan with forecasts that finish, and another scorer."
        )


def _basis(members: Any) -> "Array":
    import numpy as np

    size = np.asarray(members, float)
    return np.stack([1 / size, 1 / (size * (size - 1))], -1)


def _planned(
    column: str,
    pair: "tuple[Array, Array]",
    curves: "Sequence[Array]",
    counts: Sequence[int],
    inits: "xr.Dataset",
    leads: int,
    aim: Aim,
    members: Sequence[int],
    law_members: int | None,
) -> Plan:
    import numpy as np

    gaps, level = pair[0] - pair[1], abs(float(pair[1].mean()))
    if level == 0:
        raise GeobenchError(f"{column} of the law is 0, and a share of it nothing. Take another.")
    resampling = _resampling(inits, leads, gaps)
    count, dependent = len(gaps), float(len(gaps) * resampling.variance(gaps))

    def added(size: int, laws: int) -> float:
        return float(_basis(size) @ curves[0] + _basis(laws) @ curves[1])

    by_cases = max(0.0, dependent - added(*counts))
    alone = gaps.var(ddof=1)
    dependence = max(1.0, float(dependent / alone)) if alone else 1.0
    needs = []
    for size in members:
        by_members = added(size, law_members or size)
        variance = by_cases + by_members
        cases = aim.cases(variance, aim.share * level, dependence)
        needs.append(Need(size, cases, by_members / variance if variance else 0.0))
    error = (max(dependent, by_cases + added(*counts)) / count) ** 0.5
    return Plan(
        score=column,
        law=float(pair[1].mean()),
        seen=float(gaps.mean()) / level,
        noticed=aim.errors * error / level,
        cases=count,
        members=counts[0],
        law_members=counts[1],
        resampled=resampling.described(),
        case_variance=by_cases,
        member_variance=[curve.tolist() for curve in curves],
        dependence=dependence,
        precision=float(np.sqrt(2 / resampling.degrees)) if resampling.degrees > 0 else np.inf,
        needs=needs,
    )


def _resampling(inits: "xr.Dataset", leads: int, gaps: "Array") -> "Resampling":
    from geobench.statistics import resampling

    trajectory, position = (inits[key].to_numpy() for key in ("trajectory", "position"))
    return resampling.fitting(trajectory, position, leads, lambda: gaps[None])
