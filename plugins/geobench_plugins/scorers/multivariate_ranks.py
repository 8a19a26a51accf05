"""Ranks of the outcome among the members, as whole fields or whole paths."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class MultivariateRanks(Scorer):
    """How far a multivariate rank histogram is from flat: sum over ranks of |share - 1 / (M + 1)|.

    The outcome and the members are put in order by a number of each, found alike for all of them:
    `average`, the mean of its ranks over points (sees bias and too little spread);
    `band-depth`, the mean of r (M + 1 - r) over points, r the ranks from 0: how far inside it lies
    (Thorarinsdottir et al., 2016, doi:10.1080/10618600.2014.977447; sees spread and dependence);
    `energy`, its mean distance from the others (Knüppel et al., 2022, arXiv:2211.10299);
    `reference`, its distance from a random field, another for each case, drawn from the normal law
    with the mean and spread of all of them (as TARP: Lemos et al., 2023, arXiv:2302.03026).
    Means and distances weigh points by the areas of their cells.
    Under the law every rank is as likely as any other, exactly, whatever the dependence. A single
    member has no ranks worth the name.
    """

    name = "multivariate-ranks"
    family = "calibration"
    version = "2"
    units = "1"
    least_members = 2
    whole_paths = True
    cells_by_area = False  # of more points a random field is another

    by: Literal["average", "band-depth", "energy", "reference"] = Field(
        "band-depth", description="what puts fields in order"
    )
    paths: bool = Field(False, description="also over all lead times so far")
    points: int = Field(256, gt=0, description="cells of a variable at most, on a lattice")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `ranks` `(…, rank)` of each case: 1 at its rank."""
        import numpy as np
        import xarray as xr

        from geobench_plugins.kernels.ensembles import case_keys, joined, lattice, typical_size

        grid = tuple(str(dim) for dim in context.sea.dims)
        chosen = lattice(context.sea, self.points)
        every = joined(truth.expand_dims("member"), forecast)  # the outcome stands first
        unit = typical_size(context)
        every = (every / unit).transpose("init_time", "lead_time", "member", "variable", *grid)
        finite = every.where(context.sea, 0.0).notnull().all(("member", "variable", *grid))
        states = every.to_numpy().astype(np.float64)
        states = states.reshape(*states.shape[:4], -1)[..., chosen]
        keys = case_keys(forecast).reshape(states.shape[:2])
        areas = None if context.areas is None else context.areas.to_numpy().ravel()[chosen]
        orders = [
            self._order(
                states[:, slice(lead if not self.paths else 0, lead + 1)], keys[:, lead], areas
            )
            for lead in range(states.shape[1])
        ]
        ranks = np.stack(orders, 1)
        if self.paths:
            finite = finite.astype(int).cumprod("lead_time").astype(bool)
        one_hot = (ranks[..., None] == np.arange(states.shape[2])).astype(float)
        coords = {dim: forecast[dim] for dim in finite.dims if dim in forecast.coords}
        labelled = xr.DataArray(one_hot, coords, ("init_time", "lead_time", "rank"))
        return labelled.where(finite).to_dataset(name="ranks")

    def _order(
        self,
        states: "_Array",
        keys: "np.ndarray[tuple[int], np.dtype[np.int64]]",
        areas: "_Array | None",
    ) -> "_Array":
        """Rank of the first of `(init, lead, member, variable, point)`; ties at random."""
        import numpy as np

        fields = np.moveaxis(states, 2, 1).reshape(states.shape[0], states.shape[2], -1)
        drawn = [np.random.Generator(np.random.Philox(key=[int(key) % 2**63, 1])) for key in keys]
        weights = None
        if areas is not None:
            weights = np.tile(areas / areas.mean(), fields.shape[-1] // len(areas))
        number = _NUMBERS[self.by](fields, drawn, weights)
        first = number[:, :1]
        below, equal = (number[:, 1:] < first).sum(1), (number[:, 1:] == first).sum(1)
        at_random = np.array([generator.random() for generator in drawn])
        rank: _Array = below + (at_random * (equal + 1)).astype(np.int64)
        return rank

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the distance."""
        ranks = means["ranks"]
        away = abs(ranks - 1 / ranks.sizes["rank"]).sum("rank", skipna=False)
        return away.to_dataset(name=f"rank deviation by {self.by}" + ", paths" * self.paths)


def _pointwise_ranks(fields: "_Array") -> "_Array":
    from scipy import stats

    ranks: _Array = stats.rankdata(fields, axis=1) - 1  # ties share their mean
    return ranks


def _mean(values: "_Array", weights: "_Array | None") -> "_Array":
    """Mean over points, the same for equal fields: rounded."""
    mean: _Array = (values if weights is None else values * weights).mean(-1)
    return mean.round(9)


def _average(fields: "_Array", _: object, weights: "_Array | None") -> "_Array":
    return _mean(_pointwise_ranks(fields), weights)


def _band_depth(fields: "_Array", _: object, weights: "_Array | None") -> "_Array":
    ranks = _pointwise_ranks(fields)
    return _mean(ranks * (fields.shape[1] - 1 - ranks), weights)


def _energy(fields: "_Array", _: object, weights: "_Array | None") -> "_Array":
    import numpy as np

    from geobench_plugins.kernels.pairs import squared_distances

    # Less the distances of the outcome, the same for all: fields far away leave the order alone.
    away = fields - fields[:, :1]
    away = away if weights is None else away * np.sqrt(weights)
    products = away @ away.swapaxes(1, 2)
    squares = np.einsum("cmm->cm", products)
    sides = np.sqrt(squared_distances(away, away)) + np.sqrt(squares)[:, None]
    farther = (squares[..., None] - 2 * products) / np.where(sides > 0, sides, 1.0)
    energy: _Array = farther.sum(-1)
    return energy


def _reference(
    fields: "_Array", drawn: "list[np.random.Generator]", weights: "_Array | None"
) -> "_Array":
    import numpy as np

    noise = np.stack([generator.standard_normal(fields.shape[-1]) for generator in drawn])
    away = fields - fields[:, :1]
    reference = away.mean(1) + away.std(1) * noise
    # |x - r|² less that of the outcome, the same for all.
    farther = away * (away - 2 * reference[:, None])
    distance: _Array = (farther if weights is None else farther * weights).sum(-1)
    return distance


_NUMBERS = {
    "average": _average,
    "band-depth": _band_depth,
    "energy": _energy,
    "reference": _reference,
}
