"""Exact tests of whether a forecast is drawn from the law, as far as a score can see.

If it is, its members and draws of the law are exchangeable, case by case and whatever the outcome.
So the null distribution of any score is had by exchanging whole trajectories of members between the
two at random, init by init: a permutation test, exact at any number of members and of cases, with
dependence between sites, lead times and inits (Phipson & Smyth, 2010, for the p-value).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.interfaces.model import Progress, silent
from geobench.interfaces.scorer import IDEALS, Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

_KEY = 20240104


@dataclass(frozen=True)
class Verdict:
    """One score, averaged over lead times, beside what the law itself scores.

    `p` is one-sided, for a score worse than the law's (two-sided where the best value is one or
    zero); `q` is the share of false alarms that are to be expected among all scores of the same
    test with a `q` as small (Benjamini & Yekutieli, 2001, valid under any dependence).
    """

    score: str
    value: float
    law: float
    p: float
    q: float


def verdicts(
    scorers: Sequence[Scorer],
    forecast: "xr.Dataset",
    law: "xr.Dataset",
    truth: "xr.Dataset",
    context: Context,
    *,
    exchanges: int = 199,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Verdict]:
    """Test a forecast against draws of the law of the same cases.

    Scorers that need the law compare with the draws that are left, after each exchange too.
    """
    import numpy as np
    from scipy import stats

    members, draws = forecast.sizes["member"], law.sizes["member"]
    names = [str(name) for name in truth.data_vars]
    pooled = {
        name: np.concatenate([_members_second(each[name]) for each in (forecast, law)], 1)
        for name in names
    }
    generator = np.random.Generator(np.random.Philox(key=[_KEY, seed]))
    inits = forecast.sizes["init_time"]
    found: dict[tuple[str, str], list[float]] = {}
    for exchange in range(exchanges + 1):
        order = np.broadcast_to(np.arange(members + draws), (inits, members + draws))
        if exchange:
            order = generator.permuted(order, axis=1)
        one, other = (
            _chosen(like, pooled, part)
            for like, part in ((forecast, order[:, :members]), (law, order[:, members:]))
        )
        for name, better, value in _scores(scorers, one, other, truth, context):
            found.setdefault((name, better), []).append(value)
        progress(exchange, exchanges, "")
    told = []
    for (name, better), values in found.items():
        told.append((name, values[0], float(np.mean(values[1:])), _p(better, np.array(values))))
    # A score that failed says nothing: NaN, and the others are judged without it.
    p = np.array([each[-1] for each in told])
    q = np.full(len(p), np.nan)
    finite = np.isfinite(p)
    if finite.any():
        q[finite] = stats.false_discovery_control(p[finite], method="by")
    return [Verdict(*each, float(own)) for each, own in zip(told, q, strict=True)]


def _members_second(values: "xr.DataArray") -> "np.ndarray[Any, Any]":
    return values.transpose("init_time", "member", ...).to_numpy()


def _chosen(
    like: "xr.Dataset",
    pooled: "dict[str, np.ndarray[Any, Any]]",
    order: "np.ndarray[Any, Any]",
) -> "xr.Dataset":
    """Put members of the pool, `(init, member)`, in the place of those of a dataset."""
    import numpy as np

    rows = np.arange(len(order))[:, None]
    changed = {}
    for name, values in pooled.items():
        own = like[name].transpose("init_time", "member", ...)
        changed[name] = own.copy(data=values[rows, order]).transpose(*like[name].dims)
    return like.assign(changed)


def _scores(
    scorers: Sequence[Scorer],
    forecast: "xr.Dataset",
    law: "xr.Dataset",
    truth: "xr.Dataset",
    context: Context,
) -> list[tuple[str, str, float]]:
    from geobench import scoring

    found = scoring.statistics(
        scorers, forecast, truth, context, block=truth.sizes["init_time"], law=law
    )
    return [
        (name, scorer.better, float(values.mean("lead_time", skipna=False)[0]))
        for scorer, each in zip(scorers, found, strict=True)
        for name, values in scoring.columns(
            scorer.metric(each.mean("init_time", skipna=False)).expand_dims("draw")
        )
    ]


def _p(better: str, values: "np.ndarray[Any, Any]") -> float:
    """Share of exchanges, the forecast itself among them, at least as bad: the first is it."""
    import numpy as np

    bad = -values if better == "higher" else values
    if better in IDEALS:
        bad = abs(values - values.mean())
    if not np.isfinite(bad).all():
        return float("nan")
    return float((bad >= bad[0] - 1e-12 * abs(bad[0])).mean())
