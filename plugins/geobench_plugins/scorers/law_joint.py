"""The joint law against the true one: covariance, distances of distributions, dependence."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, GeobenchError, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class LawCovariance(Scorer):
    """Squared error of the conditional covariance, |C_members - C_law|² / |C_law|² (Frobenius).

    Of whole fields, all variables in units of the climate. tr(C²) of each is estimated without bias
    (Himeno & Yamada, 2014, doi:10.1016/j.jmva.2014.05.008), so the numerator is, and may come out a
    little below 0. Every member and every draw is read; it takes four of each.
    """

    name = "law-covariance"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"
    least_members = 4

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return tr(C²) of `members` and `law`, and tr(C C') `across` them, of each case."""
        import numpy as np

        from geobench_plugins.kernels import ensembles

        both = (forecast, ensembles.law_of(forecast, context))
        away = [ensembles.scaled(sample, truth, context) for sample in both]
        x, y = (field - field.mean(1, keepdims=True) for field in away)
        freedom = (x.shape[1] - 1) * (y.shape[1] - 1)
        across = ((x @ y.swapaxes(1, 2)) ** 2).sum((1, 2)) / freedom
        members, law = (_squared(*pair) for pair in zip(away, (x, y), strict=True))
        law = np.where(np.isfinite(members), law, np.nan)
        return ensembles.cases(forecast, across=across, members=members, law=law)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio."""
        from geobench_plugins.kernels.ensembles import ratio

        error = means["members"] + means["law"] - 2 * means["across"]
        return ratio(error, means["law"]).to_dataset(name="error of the covariance")


class LawWasserstein(Scorer):
    """Wasserstein-1 distance of each site's members from the law, less what sampling adds.

    E W(X, Y) - E W(X, X') / 2 - E W(Y, Y') / 2: X and X' are groups of n members, Y and Y' of n
    draws of the law, W their mean |x_(i) - y_(i)|, n half of the M members or K draws, whichever
    are fewer. The means are over all groups there are, so every member and every draw counts
    equally. That is the energy distance of two distribution functions, in place of two values: 0
    for the law, nothing is below 0 in expectation, n = 1 is `law-crps`, and many members have the
    full distance. It depends on n: compare equal numbers of members. A single member is a point
    mass, with n = K / 2.
    """

    name = "law-wasserstein"
    family = "sites"
    version = "2"
    proper = True
    needs_law = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `distance` of each case."""
        import numpy as np
        import xarray as xr

        from geobench_plugins.kernels import wasserstein

        grid = [str(dim) for dim in context.sea.dims]
        sea = context.sea.to_numpy().ravel()
        law = _enough(self.name, forecast, context)
        distances = []
        for name in forecast["variable"].to_numpy():
            x, y = (
                sample.sel(variable=name)
                .transpose("init_time", "lead_time", "member", *grid)
                .to_numpy()
                .reshape(-1, sample.sizes["member"], sea.size)[..., sea]
                for sample in (forecast, law)
            )
            apart = np.zeros((len(x), sea.size))
            apart[:, sea] = wasserstein.excess(x, y)
            cells = forecast.isel(member=0, variable=0, drop=True)
            cells = cells.transpose("init_time", "lead_time", *grid)
            distances.append(context.average(cells.copy(data=apart.reshape(cells.shape))))
        return xr.concat(distances, forecast["variable"]).to_dataset(name="distance")

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(distance="Wasserstein distance")


class LawSlicedWasserstein(Scorer):
    """Sliced Wasserstein-1 distance of whole fields from the law, less what sampling adds.

    As `law-wasserstein`, of projections on random directions, in units of `energy` times the root
    of the number of points (Bonneel et al., 2015, doi:10.1007/s10851-014-0506-3): of independent
    points a projection is as large as one of them. Directions are the same in all cases. Every
    member and every draw counts equally.
    """

    name = "law-sliced-wasserstein"
    family = "fields"
    version = "2"
    proper = True
    needs_law = True
    units = "1"
    cells_by_area = False  # of more cells the random directions are others

    directions: int = Field(64, gt=0, description="random directions")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `distance` of each case."""
        import numpy as np

        from geobench_plugins.kernels import ensembles, wasserstein

        law = _enough(self.name, forecast, context)
        fields = [ensembles.scaled(sample, truth, context) for sample in (forecast, law)]
        points = fields[0].shape[-1]
        drawn = np.random.Generator(np.random.Philox(key=20240105))
        normal = drawn.standard_normal((points, self.directions))
        normal *= points**0.5 / np.sqrt((normal**2).sum(0))
        distances = wasserstein.excess(*(field @ normal for field in fields))
        return ensembles.cases(forecast, distance=distances.mean(-1))

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(distance="sliced Wasserstein distance")


def _enough(scorer: str, forecast: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Draws of the law, two at the least."""
    from geobench_plugins.kernels.ensembles import law_of

    law = law_of(forecast, context)
    if law.sizes["member"] < 2:
        raise GeobenchError(
            f"{scorer} needs 2 draws of the law at the least, and there is one. Use a forecast of "
            f"the law with more members."
        )
    return law


class LawDependence(Scorer):
    """Share of the dependence between points that is lost: 0 for the law, 1 for shuffled members.

    Draws of the law are put in the order that the members have at every point, so that their
    marginals are the law's and their dependence is the members' (as in the Schaake shuffle: Clark
    et al., 2004, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2). Their excess energy score
    over other draws, less what the same yields with the law's own order, over what it yields with
    no order at all. 1 less this is the copula score J of the members. Where that is below 0.2 % of
    the energy score the law's points hardly depend on one another, and there is nothing to lose:
    NaN.

    Groups of as many draws as members take 3 M of K draws, 6 at the least. With fewer draws it is
    the mean over the fewest equal groups of members that the draws suffice for, each with other
    draws: 16 members and 32 draws are two groups of 8. Every member and every draw is read, and
    their order does not matter.
    """

    name = "law-dependence"
    family = "fields"
    version = "2"
    needs_law = True
    units = "1"
    cells_by_area = False  # two halves of a cell are shuffled independently
    least_members = 2

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the excess in the order of `members`, `law`, `shuffled`, and the law's `score`."""
        import numpy as np

        from geobench_plugins.kernels import ensembles, pairs
        from geobench_plugins.kernels.splits import over_splits

        keys = ensembles.case_keys(forecast)

        def of(group: "xr.DataArray", drawn: "list[xr.DataArray]") -> "xr.Dataset":
            members, values, order, others = (
                ensembles.scaled(sample, truth, context) for sample in (group, *drawn)
            )
            none = ensembles.at_random(keys, members.shape[1:])
            statistics = {
                name: pairs.excess_energy(ensembles.reordered(values, of, keys), others)
                for name, of in (("members", members), ("law", order), ("shuffled", none))
            }
            statistics["score"] = pairs.of_cases(pairs.half_apart, others)
            finite = np.isfinite(members).all((1, 2))
            return ensembles.cases(
                forecast,
                **{name: np.where(finite, numbers, np.nan) for name, numbers in statistics.items()},
            )

        return over_splits(self.name, forecast, context, 2, of)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the share."""
        from geobench_plugins.kernels.ensembles import ratio

        all_of_it = means["shuffled"] - means["law"]
        lost = ratio(means["members"] - means["law"], all_of_it)
        enough = (all_of_it > 0.002 * means["score"]) | (means["score"] == 0)
        return lost.where(enough).to_dataset(name="dependence lost")


def _squared(fields: "_Array", centred: "_Array") -> "_Array":
    """Estimate tr(C²) without bias from fields `(case, member, point)`, and from them centred."""
    import numpy as np

    n = centred.shape[1]
    if n < 4:
        return np.full(len(centred), np.nan)
    turned = centred.swapaxes(1, 2)
    smaller = centred @ turned if n <= centred.shape[2] else turned @ centred  # of equal norm
    norms = (centred**2).sum(2)
    of_square = (smaller**2).sum((1, 2)) / (n - 1) ** 2
    of_fourth = (norms**2).sum(1) / (n - 1)
    total = (n - 1) * (n - 2) * of_square + (norms.sum(1) / (n - 1)) ** 2 - n * of_fourth
    squared: _Array = total * (n - 1) / (n * (n - 2) * (n - 3))
    sizes = (fields**2).sum(2)
    for case in np.nonzero(sizes.max(1) > 1e6 * sizes.min(1))[0]:
        squared[case] = _far_squared(fields[case])
    return squared


def _far_squared(fields: "_Array") -> float:
    """The same for fields `(member, point)` of which few are far away: no fourth powers of them.

    By products of different members less one of them, over pairs, chains of three and two pairs:
    mean (x_j·x_k)² - 2 mean (x_j·x_k)(x_k·x_l) + mean (x_j·x_k)(x_l·x_m), all indices different.
    """
    import numpy as np

    from geobench_plugins.kernels.pairs import middle_of

    n = len(fields)
    away = fields - fields[middle_of(fields[None])[0]]
    products = away @ away.T
    np.fill_diagonal(products, 0.0)
    sums = products.sum(1)
    pairs, chains = (products**2).sum(), (sums**2).sum()
    fours = sums.sum() ** 2 - 4 * chains + 2 * pairs
    total = pairs - 2 * (chains - pairs) / (n - 2) + fours / ((n - 2) * (n - 3))
    return float(total / (n * (n - 1)))
