"""A classifier that is asked to tell members from draws of the law (C2ST: Lopez-Paz & Oquab, 2017).

The classifier is linear in products: values, their squares and cubes, products of two neighbours,
and of one place at two lead times. So it sees means, spreads, skewness and dependence in space and
time, and its best weights are had in closed form: labels can be exchanged, and it be trained again,
hundreds of times. It is trained on some cases and asked about others that share no valid time with
them: random folds leak, since the states of overlapping forecasts are nearly the same.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from geobench.interfaces.scorer import Context

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
    _Places = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

FOLDS = 5
_POINTS = 64  # cells of a variable
_RIDGE = 1e-2


def folds(
    trajectory: "_Places", position: "_Places", leads: int, count: int = FOLDS
) -> "Iterator[tuple[_Places, _Places]]":
    """Yield places of the cases to train on and to ask about, `count` times.

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
    """Of members and draws of the law of the same cases, by cases, `(init, lead, member, …)`."""

    def __init__(
        self, both: "xr.DataArray", context: "Context", inits: "xr.Dataset", members: int
    ) -> None:
        """`both`: members, then draws; `members`: how many; `inits`: where each case begins."""
        import numpy as np

        self.members, self.draws = members, both.sizes["member"] - members
        trajectory, position = (inits[name].to_numpy() for name in ("trajectory", "position"))
        self.folds = list(folds(trajectory, position, both.sizes["lead_time"]))
        self._features = [each.astype(np.float32) for each in _features(both, context)]
        self._solved = [
            [self._solve(each[trained].reshape(-1, each.shape[-1])) for trained, _ in self.folds]
            for each in self._features
        ]

    def _solve(self, seen: "_Array") -> "_Array":
        """Inverse of the covariance of features, which no label enters."""
        import numpy as np

        centred = seen.astype(float) - seen.mean(0, dtype=float)
        covariance = centred.T @ centred / len(seen)
        size = np.trace(covariance) / len(covariance)
        return np.linalg.inv(covariance + _RIDGE * size * np.eye(len(covariance)))

    def area(self, order: "_Places | None" = None) -> float:
        """Chance that it tells a member from a draw, of cases it has not seen: 1/2 is blind.

        Averaged over lead times and folds. `order`, `(init, member)`: which of members and draws
        are called members (the first ones), for each case.
        """
        import numpy as np

        called = np.zeros((self._features[0].shape[0], self.members + self.draws), bool)
        if order is None:
            called[:, : self.members] = True
        else:
            np.put_along_axis(called, order[:, : self.members], values=True, axis=1)
        weight = np.where(called, 1 / self.members, -1 / self.draws).astype(np.float32)
        areas = []
        for features, solved in zip(self._features, self._solved, strict=True):
            for (trained, asked), inverse in zip(self.folds, solved, strict=True):
                gap = np.einsum("imf,im->f", features[trained], weight[trained])
                told = features[asked] @ (inverse @ gap).astype(np.float32)
                areas.append(_area(told.ravel(), called[asked].ravel()))
        return float(np.mean(areas))


def _area(told: "_Array", called: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> float:
    """Chance that a member's number is above a draw's; ties count half."""
    from scipy import stats

    ranks = stats.rankdata(told)
    ones, zeros = int(called.sum()), int((~called).sum())
    return float((ranks[called].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _features(both: "xr.DataArray", context: "Context") -> "Iterator[_Array]":
    """Products `(init, member, feature)` of each lead time.

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
        own = x.isel(thin)
        parts = [own, own**2, own**3]
        for dim in grid:
            beside = (sea & sea.roll({dim: 1})).copy()
            if dim not in context.periodic:
                beside[{dim: 0}] = False
            parts.append((x * x.roll({dim: 1})).where(beside, 0.0).isel(thin))
        if x.sizes["variable"] > 1:
            parts.append(own.isel(variable=0, drop=True) * own.isel(variable=slice(1, None)))
        if before is not None:
            parts.append(own * before)
        before = own
        order = ("init_time", "member", "variable", *grid)
        flat = [each.transpose(*order).to_numpy() for each in parts]
        yield np.concatenate([each.reshape(*each.shape[:2], -1) for each in flat], -1)


def _standard(values: "xr.DataArray") -> "xr.DataArray":
    away = values - values.mean("member", skipna=False)
    spread = away.std("member", skipna=False)
    return (away / spread.where(spread > 0, 1.0)).transpose("init_time", "member", "variable", ...)
