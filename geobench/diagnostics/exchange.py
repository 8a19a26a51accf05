"""Exact tests of whether a forecast is drawn from the law, as far as a score can see.

If it is, its members and draws of the law are exchangeable, case by case and whatever the outcome.
So the null distribution of any score is had by exchanging whole trajectories of members between the
two at random, init by init: a permutation test, exact at any number of members and of cases, with
dependence between sites, lead times and inits (Phipson & Smyth, 2010, for the p-value).
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.contracts.model import Progress, silent
from geobench.contracts.scorer import IDEALS, Blaming, Context, Scorer, unblamed
from geobench.scoring import Piece
from geobench.scoring.passes import Mean, Source, scored

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

_KEY = 20240104
_CLASSIFIER = -1, "area of the classifier"
_LAW = -1  # what is scored is the law, as it is


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


class Exchanges:
    """Orders of the members and draws of each init, `(init, member)`; number 0 is as they are.

    Only states of the generator are kept: a pass draws the orders of one init after the other.
    """

    def __init__(self, cases: int, pool: int, count: int, seed: int) -> None:
        import numpy as np

        self.count, self._pool = count, pool
        generator = np.random.Generator(np.random.Philox(key=[_KEY, seed]))
        self._starts = []
        block = max(1, 2**20 // pool)
        for _ in range(count):
            self._starts.append(copy.deepcopy(generator))
            for first in range(0, cases, block):
                generator.permuted(_as_they_are(min(block, cases - first), pool), axis=1)

    def begin(self) -> "Callable[[int, tuple[int, int]], np.ndarray[Any, Any]]":
        """Begin a pass: a function that gives the order of an exchange, of inits that follow."""
        generators = copy.deepcopy(self._starts)
        kept: dict[int, tuple[tuple[int, int], np.ndarray[Any, Any]]] = {}

        def order(exchange: int, inits: tuple[int, int]) -> "np.ndarray[Any, Any]":
            rows = _as_they_are(inits[1] - inits[0], self._pool)
            if exchange == 0:
                return rows
            if exchange not in kept or kept[exchange][0] != inits:
                shuffled = generators[exchange - 1].permuted(rows, axis=1)
                if len(shuffled) > 1:
                    return shuffled
                kept[exchange] = inits, shuffled  # its lead times may be pieces of their own
            return kept[exchange][1]

        return order


def _as_they_are(inits: int, pool: int) -> "np.ndarray[Any, Any]":
    import numpy as np

    return np.broadcast_to(np.arange(pool), (inits, pool))


def verdicts(
    scorers: Sequence[Scorer],
    source: Source,
    context: Context,
    *,
    exchanges: int = 199,
    seed: int = 0,
    inits: "xr.Dataset | None" = None,
    blaming: Blaming = unblamed,
    progress: Progress = silent,
) -> list[Verdict]:
    """Test a forecast against draws of the law: the two of `source`, in this order.

    Scorers that need the law compare with the draws that are left, after each exchange too.
    `inits`: the trajectory and position of each case; with them a classifier is asked, too, to tell
    members from draws (`geobench.diagnostics.classifier`).
    """
    import numpy as np
    from scipy import stats

    pool = sum(forecast.sizes["member"] for forecast in source.forecasts)
    orders = Exchanges(source.cases["init_time"], pool, exchanges, seed)
    by_score = _exchanged(scorers, source, orders, context, blaming, progress)
    if inits is not None:
        areas = _areas(source, orders, context, inits)
        if areas is not None:
            by_score[_CLASSIFIER] = {number: float(area) for number, area in enumerate(areas)}
    rows = []
    for (index, name), by_number in by_score.items():
        values = np.array([by_number[number] for number in range(exchanges + 1)])
        if (index, name) == _CLASSIFIER:
            rows.append((name, float(values[0]), 0.5, _p("lower", values)))
            continue
        scorer = scorers[index]
        better = scorer.orientation(name)
        of_law = float(IDEALS.get(better, 0)) if scorer.needs_law else by_number[_LAW]
        rows.append((name, float(values[0]), of_law, _p(better, values)))
    # A score that failed says nothing: NaN, and the others are judged without it.
    p = np.array([row[-1] for row in rows])
    q = np.full(len(p), np.nan)
    finite = np.isfinite(p)
    if finite.any():
        q[finite] = stats.false_discovery_control(p[finite], method="bh")
    return [Verdict(*row, float(adjusted)) for row, adjusted in zip(rows, q, strict=True)]


def _exchanged(
    scorers: Sequence[Scorer],
    source: Source,
    orders: Exchanges,
    context: Context,
    blaming: Blaming,
    progress: Progress,
) -> dict[tuple[int, str], dict[int, float]]:
    """Score every exchange: by the index of the scorer and the name of the column, by number.

    As many exchanges are scored in one pass as have mean statistics in a quarter of the memory.
    """
    if not scorers:
        return {}
    one = _Pass(scorers, source, orders, context, blaming, [0])
    one.add(Piece((0, 1), (0, source.cases["lead_time"])))
    together = max(1, source.memory // 4 // max(1, one.size()))
    numbers = [_LAW, *range(orders.count + 1)]
    scores: dict[tuple[int, str], dict[int, float]] = {}
    for first in range(0, len(numbers), together):
        batch = _Pass(scorers, source, orders, context, blaming, numbers[first : first + together])
        for piece in source.pieces(scorers):
            batch.add(piece)
            share = piece.inits[1] / source.cases["init_time"] * len(batch.numbers)
            progress(min(orders.count, int(first + share)), orders.count, "")
        for number, key, value in batch.values():
            scores.setdefault(key, {})[number] = value
    return dict(sorted(scores.items(), key=lambda item: item[0][0]))  # names stay in their order


class _Pass:
    """Some exchanges of all cases: their mean statistics, added up piece by piece."""

    def __init__(
        self,
        scorers: Sequence[Scorer],
        source: Source,
        orders: Exchanges,
        context: Context,
        blaming: Blaming,
        numbers: Sequence[int],
    ) -> None:
        self.scorers, self.numbers = scorers, numbers
        self._source, self._context, self._blaming = source, context, blaming
        self._order = orders.begin()
        # What compares with the law is zero at the law: there is nothing to score.
        self._indices = {
            number: [
                index
                for index, scorer in enumerate(scorers)
                if number != _LAW or not scorer.needs_law
            ]
            for number in numbers
        }
        self._means = {
            (number, index): Mean() for number in numbers for index in self._indices[number]
        }

    def add(self, piece: Piece) -> None:
        """Read a piece once, and score all exchanges of it."""
        from geobench import scoring

        forecast, law = self._source.members(piece)
        truth = self._source.outcome(piece)
        scoring.check(self.scorers, forecast, truth, law)
        members = forecast.sizes["member"]
        pooled = _pooled(forecast, law)
        lawful = any(scorer.needs_law for scorer in self.scorers)
        for number in self.numbers:
            if number == _LAW:
                one, other = law.isel(member=slice(members)), None
            else:
                order = self._order(number, piece.inits)
                one = _chosen(forecast, pooled, order[:, :members])
                other = _chosen(law, pooled, order[:, members:]) if lawful else None
            indices = self._indices[number]
            if not indices:
                continue
            by_scorer = scored(
                [self.scorers[index] for index in indices],
                piece,
                one,
                truth,
                self._context,
                law=other,
                blaming=self._blaming,
            )
            for index, parts in zip(indices, by_scorer, strict=True):
                self._means[number, index].add(parts)

    def size(self) -> int:
        """Bytes of the mean statistics of an exchange."""
        every = sum(mean.dataset().nbytes for mean in self._means.values())
        return every // len(self.numbers)

    def values(self) -> Iterator[tuple[int, tuple[int, str], float]]:
        """Each score, averaged over lead times: the exchange, the scorer's index and name."""
        from geobench import scoring

        for (number, index), mean in self._means.items():
            scorer = self.scorers[index]
            with self._blaming(f"the scorer {scorer.name}"):
                scores = scoring.checked_metric(scorer, mean.dataset()).expand_dims("draw")
            for name, values in scoring.columns(scores):
                value = float(values.mean("lead_time", skipna=False)[0])
                yield number, (index, name), value


def _areas(
    source: Source, orders: Exchanges, context: Context, inits: "xr.Dataset"
) -> "np.ndarray[Any, Any] | None":
    """Areas of a classifier of members and draws, for each exchange.

    None where cases are so few that all share valid times.
    """
    import xarray as xr

    from geobench.diagnostics.classifier import Classifier

    def both(piece: Piece) -> "xr.DataArray":
        forecast, law = source.members(piece)
        pooled = _pooled(forecast, law)
        dims = {name: forecast[name].transpose("init_time", "member", ...).dims for name in pooled}
        joint = xr.Dataset({name: (dims[name], values) for name, values in pooled.items()})
        return joint.to_dataarray("variable")

    members, draws = (dataset.sizes["member"] for dataset in source.forecasts)
    classifier = Classifier(
        both, source.cases["lead_time"], context, inits, members, draws, source.memory
    )
    return classifier.areas(orders.begin, orders.count + 1).tolist() if classifier.folds else None


def _pooled(forecast: "xr.Dataset", law: "xr.Dataset") -> "dict[str, np.ndarray[Any, Any]]":
    """Members and draws, one after the other: `(init, member, …)`."""
    import numpy as np

    return {
        str(name): np.concatenate(
            [_members_second(dataset[name]) for dataset in (forecast, law)], 1
        )
        for name in forecast.data_vars
    }


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
        array = like[name].transpose("init_time", "member", ...)
        changed[name] = array.copy(data=values[rows, order]).transpose(*like[name].dims)
    return like.assign(changed)


def _p(better: str, values: "np.ndarray[Any, Any]") -> float:
    """Share of exchanges, the forecast itself among them, at least as bad: the first is it."""
    import numpy as np

    bad = -values if better == "higher" else values
    if better in IDEALS:
        bad = abs(values - values.mean())
    if not np.isfinite(bad).all():
        return float("nan")
    return float((bad >= bad[0] - 1e-12 * abs(bad[0])).mean())
