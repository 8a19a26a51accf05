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
from geobench.interfaces.scorer import IDEALS, Blaming, Context, Scorer, unblamed

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from geobench.classifier import Classifier

_KEY = 20240104
_CLASSIFIER = -1, "area of the classifier"


@dataclass(frozen=True)
class Verdict:
    """One score, averaged over lead times, beside what as many draws of the law score.

    `p` is one-sided, for a score worse than the law's (two-sided where the best value is one or
    zero); `q` is the share of false alarms to be expected among all scores of the same test with a
    `q` as small (Benjamini & Hochberg, 1995; for scores that err together, as these do).
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
    inits: "xr.Dataset | None" = None,
    blaming: Blaming = unblamed,
    progress: Progress = silent,
) -> list[Verdict]:
    """Test a forecast against draws of the law of the same cases.

    Scorers that need the law compare with the draws that are left, after each exchange too.
    `inits`: the trajectory and position of each case; with them a classifier is asked, too, to tell
    members from draws (`geobench.classifier`).
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
    cases = forecast.sizes["init_time"]
    classifier = inits and _classifier(pooled, forecast, context, inits)
    found: dict[tuple[int, str], list[float]] = {}
    for exchange in range(exchanges + 1):
        order = np.broadcast_to(np.arange(members + draws), (cases, members + draws))
        if exchange:
            order = generator.permuted(order, axis=1)
        one, other = (
            _chosen(like, pooled, part)
            for like, part in ((forecast, order[:, :members]), (law, order[:, members:]))
        )
        for key, value in _scores(scorers, one, other, truth, context, blaming).items():
            found.setdefault(key, []).append(value)
        if classifier:
            found.setdefault(_CLASSIFIER, []).append(classifier.area(order))
        progress(exchange, exchanges, "")
    some = law.isel(member=slice(members))
    lawful = _scores(scorers, some, law, truth, context, blaming)
    told = []
    for (place, name), values in found.items():
        if (place, name) == _CLASSIFIER:
            told.append((name, values[0], 0.5, _p("lower", np.array(values))))
            continue
        scorer = scorers[place]
        better = scorer.orientation(name)
        of_law = float(IDEALS.get(better, 0)) if scorer.needs_law else lawful[place, name]
        told.append((name, values[0], of_law, _p(better, np.array(values))))
    # A score that failed says nothing: NaN, and the others are judged without it.
    p = np.array([each[-1] for each in told])
    q = np.full(len(p), np.nan)
    finite = np.isfinite(p)
    if finite.any():
        q[finite] = stats.false_discovery_control(p[finite], method="bh")
    return [Verdict(*each, float(own)) for each, own in zip(told, q, strict=True)]


def _classifier(
    pooled: "dict[str, np.ndarray[Any, Any]]",
    forecast: "xr.Dataset",
    context: Context,
    inits: "xr.Dataset",
) -> "Classifier | None":
    """Of members and draws, as they stand one after the other in the pool.

    None where cases are so few that all share valid times.
    """
    import xarray as xr

    from geobench.classifier import Classifier

    dims = {name: forecast[name].transpose("init_time", "member", ...).dims for name in pooled}
    both = xr.Dataset({name: (dims[name], values) for name, values in pooled.items()})
    classifier = Classifier(both.to_dataarray("variable"), context, inits, forecast.sizes["member"])
    return classifier if classifier.folds else None


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
    blaming: Blaming,
) -> dict[tuple[int, str], float]:
    """By the place of the scorer and the name of the column."""
    from geobench import scoring

    inits = truth.sizes["init_time"]
    found = scoring.statistics(
        scorers, forecast, truth, context, block=inits, law=law, blaming=blaming
    )
    return {
        (place, name): float(values.mean("lead_time", skipna=False)[0])
        for place, (scorer, each) in enumerate(zip(scorers, found, strict=True))
        for name, values in scoring.columns(scorer.metric(scoring.means(each)).expand_dims("draw"))
    }


def _p(better: str, values: "np.ndarray[Any, Any]") -> float:
    """Share of exchanges, the forecast itself among them, at least as bad: the first is it."""
    import numpy as np

    bad = -values if better == "higher" else values
    if better in IDEALS:
        bad = abs(values - values.mean())
    if not np.isfinite(bad).all():
        return float("nan")
    return float((bad >= bad[0] - 1e-12 * abs(bad[0])).mean())
