"""A classifier that is asked to tell members from draws of the law (C2ST: Lopez-Paz & Oquab, 2017).

The classifier is linear in products: values, their squares and cubes, products of two neighbours,
and of one place at two lead times. So it sees means, spreads, skewness and dependence in space and
time, and its best weights are had in closed form: labels can be exchanged, and it be trained again,
hundreds of times. It is trained on some cases and asked about others that share no valid time with
them: random folds leak, since the states of overlapping forecasts are nearly the same.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from geobench.scoring import Piece

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from geobench.contracts.scorer import Context

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
    _Indices = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    Order = Callable[[int, tuple[int, int]], _Indices]

FOLDS = 5
_POINTS = 64  # cells of a variable
_RIDGE = 1e-2


def folds(
    trajectory: "_Indices", position: "_Indices", leads: int, count: int = FOLDS
) -> "Iterator[tuple[_Indices, _Indices]]":
    """Yield indices of the cases to train on and to ask about, `count` times.

    Cases, `(init,)` each, are cut into blocks of init times that follow one another; those of which
    a valid time is also one of the block are not trained on.
    """
    import numpy as np

    order = np.lexsort((position, trajectory))
    for asked in np.array_split(order, min(count, len(order))):
        near = np.zeros(len(order), bool)
        for one in asked:
            near |= (trajectory == trajectory[one]) & (abs(position - position[one]) < leads)
        trained = np.nonzero(~near)[0]
        if len(trained):
            yield trained, np.sort(asked)


class Classifier:
    """Of members and draws of the law of the same cases, read piece by piece.

    `both` gives those of a piece, members first: `(init, lead, member, variable, …)`. Lead times
    are looked at as many together as fit into `memory` (bytes): an eighth of it is for covariances,
    and an eighth for the numbers that members and draws are ranked by.
    """

    def __init__(
        self,
        both: "Callable[[Piece], xr.DataArray]",
        leads: int,
        context: "Context",
        inits: "xr.Dataset",
        members: int,
        draws: int,
        memory: int = 2**30,
    ) -> None:
        """`inits`: where each case begins."""
        self.members, self.draws = members, draws
        self._both, self._leads, self._context = both, leads, context
        self._memory = memory
        trajectory, position = (inits[name].to_numpy() for name in ("trajectory", "position"))
        self._cases = len(position)
        self.folds = list(folds(trajectory, position, leads))

    def areas(self, begin: "Callable[[], Order]", count: int) -> "_Array":
        """Chances that it tells a member from a draw, of cases it has not seen: 1/2 is blind.

        Averaged over lead times and folds, for each of `count` orders. An order, `(init, member)`,
        tells which of members and draws are called members (the first ones), for each case;
        `begin` is called before each pass through the cases.
        """
        import numpy as np

        areas = np.zeros(count)
        first = 0
        while first < self._leads:
            stop = min(self._leads, first + self._leads_together(first, count))
            weights = self._trained(first, stop, begin, count)
            order_bytes = self._cases * (self.members + self.draws) * (4 * (stop - first) + 1)
            together = max(1, min(count, self._memory // 8 // order_bytes))
            for begun in range(0, count, together):
                some = range(begun, min(begun + together, count))
                areas[some.start : some.stop] += self._asked(first, stop, begin, some, weights)
            first = stop
        return areas / (self._leads * len(self.folds))

    def _leads_together(self, first: int, count: int) -> int:
        """Lead times of which covariances and differences of means fit into an eighth."""
        probe = self._both(Piece((0, 1), (0, min(2, self._leads))))
        size = max(products.shape[-1] for _, products in _features(probe, self._context))
        lead_bytes = 8 * (2 * len(self.folds) + 1) * size * (size + count)
        one_case = probe.nbytes // probe.sizes["lead_time"]
        return max(1, min(self._memory // 8 // lead_bytes, self._memory // 64 // max(1, one_case)))

    def _pieces(
        self, first: int, stop: int
    ) -> "Iterator[tuple[slice, Iterator[tuple[int, _Array]]]]":
        """Inits of a piece, and the features `(init, member, feature)` of each lead time."""
        import numpy as np

        before = max(0, first - 1)
        one = self._both(Piece((0, 1), (before, stop))).nbytes
        block = max(1, self._memory // 64 // max(1, one))
        for begun in range(0, self._cases, block):
            inits = slice(begun, min(begun + block, self._cases))
            both = self._both(Piece((inits.start, inits.stop), (before, stop)))
            made = (
                (lead + before - first, products.astype(np.float32))
                for lead, products in _features(both, self._context)
                if lead + before >= first
            )
            yield inits, made

    def _trained(
        self, first: int, stop: int, begin: "Callable[[], Order]", count: int
    ) -> "list[list[_Array]]":
        """Train for every lead time and fold: weights of the features, `(feature, order)`."""
        import numpy as np

        near = np.ones((len(self.folds) + 1, self._cases), bool)  # the last: all cases
        for cases, (trained, _) in zip(near, self.folds, strict=False):
            cases[trained] = False
        sums: dict[int, list[_Moments]] = {}
        order = begin()
        for inits, features in self._pieces(first, stop):
            weights = np.stack(
                [self._weights(order(number, (inits.start, inits.stop))) for number in range(count)]
            )
            for lead, products in features:
                fold_moments = sums.setdefault(lead, [_Moments() for _ in near])
                for moments, cases in zip(fold_moments, near[:, inits], strict=True):
                    if cases.any():
                        moments.add(products[cases], weights[:, cases])
        return [
            [sums[lead][-1].weights_without(near) for near in sums[lead][:-1]]
            for lead in sorted(sums)
        ]

    def _weights(self, order: "_Indices") -> "_Array":
        """Weights that make a difference of means, `(init, member)`."""
        import numpy as np

        called = self._called(order)
        return np.where(called, 1 / self.members, -1 / self.draws).astype(np.float32)

    def _called(self, order: "_Indices") -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
        """Which are called members."""
        import numpy as np

        called = np.zeros(order.shape, bool)
        np.put_along_axis(called, order[:, : self.members], values=True, axis=1)
        return called

    def _asked(
        self,
        first: int,
        stop: int,
        begin: "Callable[[], Order]",
        some: range,
        weights: "Sequence[Sequence[_Array]]",
    ) -> "_Array":
        """Sums of the areas over lead times and folds, for some of the orders."""
        import numpy as np

        pool = self.members + self.draws
        outputs = np.empty((stop - first, len(some), self._cases, pool), np.float32)
        called = np.empty((len(some), self._cases, pool), bool)
        order = begin()
        for inits, features in self._pieces(first, stop):
            for row, number in enumerate(some):
                called[row, inits] = self._called(order(number, (inits.start, inits.stop)))
            for lead, products in features:
                for (_, asked), fold_weights in zip(self.folds, weights[lead], strict=True):
                    here = asked[(asked >= inits.start) & (asked < inits.stop)]
                    if len(here):
                        answers = (
                            products[here - inits.start] @ fold_weights[:, some.start : some.stop]
                        )
                        outputs[lead][:, here] = np.moveaxis(answers, -1, 0)
        return np.array(
            [
                sum(
                    _area(numbers[row, asked].ravel(), called[row, asked].ravel())
                    for numbers in outputs
                    for _, asked in self.folds
                )
                for row in range(len(some))
            ]
        )


class _Moments:
    """Sums over cases of features, of their products, and of features times weights."""

    def __init__(self) -> None:
        self.count: int = 0
        self.sum: Any = 0.0
        self.products: Any = 0.0
        self.weighted: Any = 0.0

    def add(self, features: "_Array", weights: "_Array") -> None:
        """`(init, member, feature)`, and weights `(order, init, member)`."""
        import numpy as np

        flat = features.reshape(-1, features.shape[-1])
        exact = flat.astype(np.float64)
        self.count += len(flat)
        self.sum = self.sum + exact.sum(0)
        self.products = self.products + exact.T @ exact
        self.weighted = self.weighted + weights.reshape(len(weights), -1) @ flat

    def weights_without(self, other: "_Moments") -> "_Array":
        """Weights that tell best, of the cases that `other` lacks: `(feature, order)`.

        Inverse of the covariance of features, which no label enters, times the weighted sums.
        """
        import numpy as np

        count = self.count - other.count
        mean = (self.sum - other.sum) / count
        covariance = (self.products - other.products) / count - np.outer(mean, mean)
        size = np.trace(covariance) / len(covariance)
        inverse = np.linalg.inv(covariance + _RIDGE * size * np.eye(len(covariance)))
        weights: _Array = (inverse @ (self.weighted - other.weighted).T).astype(np.float32)
        return weights


def _area(numbers: "_Array", called: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> float:
    """Chance that a member's number is above a draw's; ties count half."""
    from scipy import stats

    ranks = stats.rankdata(numbers)
    ones, zeros = int(called.sum()), int((~called).sum())
    return float((ranks[called].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _features(both: "xr.DataArray", context: "Context") -> "Iterator[tuple[int, _Array]]":
    """Products `(init, member, feature)` of each lead time, and which one it is.

    Values are less the mean of members and draws of the case, and over their spread: what members
    and draws have in common tells nothing. Exchanging labels does not change them. Of neighbours
    both must be at sea; of large grids every so many cells are looked at.
    """
    import numpy as np

    grid = [str(dim) for dim in context.sea.dims]
    step = 1
    while context.sea.isel({dim: slice(None, None, step) for dim in grid}).sum() > _POINTS:
        step += 1
    thin = {dim: slice(None, None, step) for dim in grid}
    sea = context.sea
    before: Any = None
    for lead in range(both.sizes["lead_time"]):
        x = _standard(both.isel(lead_time=lead).where(sea, 0.0))
        thinned = x.isel(thin)
        parts = [thinned, thinned**2, thinned**3]
        for dim in grid:
            beside = (sea & sea.roll({dim: 1})).copy()
            if dim not in context.periodic:
                beside[{dim: 0}] = False
            parts.append((x * x.roll({dim: 1})).where(beside, 0.0).isel(thin))
        if x.sizes["variable"] > 1:
            parts.append(
                thinned.isel(variable=0, drop=True) * thinned.isel(variable=slice(1, None))
            )
        if before is not None:
            parts.append(thinned * before)
        before = thinned
        order = ("init_time", "member", "variable", *grid)
        flat = [part.transpose(*order).to_numpy() for part in parts]
        yield lead, np.concatenate([array.reshape(*array.shape[:2], -1) for array in flat], -1)


def _standard(values: "xr.DataArray") -> "xr.DataArray":
    away = values - values.mean("member", skipna=False)
    spread = away.std("member", skipna=False)
    return (away / spread.where(spread > 0, 1.0)).transpose("init_time", "member", "variable", ...)
