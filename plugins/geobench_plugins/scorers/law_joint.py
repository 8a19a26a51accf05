"""The joint law against the true one: covariance, distances of distributions, dependence."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class LawCovariance(Scorer):
    """Squared error of the conditional covariance, |C_members - C_law|² / |C_law|² (Frobenius).

    Of whole fields, all variables in units of the climate. tr(C²) of each is estimated without bias
    (Himeno & Yamada, 2014, doi:10.1016/j.jmva.2014.05.008), so the numerator is, and may come out a
    little below 0. NaN with fewer than four members.
    """

    name = "law-covariance"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return tr(C²) of `members` and `law`, and tr(C C') `across` them, of each case."""
        import numpy as np

        from geobench_plugins.kernels import ensembles

        both = (forecast, ensembles.law_of(forecast, context))
        away = [ensembles.scaled(each, truth, context) for each in both]
        x, y = (each - each.mean(1, keepdims=True) for each in away)
        freedom = (x.shape[1] - 1) * (y.shape[1] - 1)
        across = ((x @ y.swapaxes(1, 2)) ** 2).sum((1, 2)) / freedom
        members, law = (_squared(*each) for each in zip(away, (x, y), strict=True))
        law = np.where(np.isfinite(members), law, np.nan)
        return ensembles.cases(forecast, across=across, members=members, law=law)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio."""
        from geobench_plugins.kernels.ensembles import ratio

        error = means["members"] + means["law"] - 2 * means["across"]
        return ratio(error, means["law"]).to_dataset(name="error of the covariance")


class LawWasserstein(Scorer):
    """Wasserstein-1 distance of each site's members from the law, less what sampling adds.

    The mean |x_(i) - y_(i)| of sorted members and as many draws of the law, less that of two groups
    of draws times (1 + s_x / s_y) / 2, s the mean spreads: about what samples of either law are
    apart from one another. 0 for the law at any number of members (it may come out a little below
    0), and the full distance for many; small faults of few members show less than in `law-crps`.
    """

    name = "law-wasserstein"
    needs_law = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `distance`, that of another group of `draws`, and mean spreads of both."""
        import xarray as xr

        from geobench_plugins.kernels.ensembles import groups

        forecast, (one, other, _) = groups(self.name, forecast, context, 2)
        found = {
            "distance": _sorted_apart(forecast, other),
            "draws": _sorted_apart(one, other),
            "spread": forecast.astype(float).std("member", ddof=1, skipna=False),
            "law_spread": other.astype(float).std("member", ddof=1, skipna=False),
        }
        told = xr.Dataset({name: context.average(each) for name, each in found.items()})
        return told.where(told["distance"].notnull())

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the difference."""
        return _less_sampling(means).to_dataset(name="Wasserstein distance")


class LawSlicedWasserstein(Scorer):
    """Sliced Wasserstein-1 distance of whole fields from the law, less what sampling adds.

    As `law-wasserstein`, of projections on random directions, in units of `energy` times the root
    of the number of points (Bonneel et al., 2015, doi:10.1007/s10851-014-0506-3): of independent
    points a projection is as large as one of them. Directions are the same in all cases.
    """

    name = "law-sliced-wasserstein"
    version = "2"
    needs_law = True
    units = "1"

    directions: int = Field(64, gt=0, description="random directions")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `distance`, that of another group of `draws`, and mean spreads of both."""
        import numpy as np

        from geobench_plugins.kernels import ensembles

        forecast, (one, other, _) = ensembles.groups(self.name, forecast, context, 2)
        fields = [ensembles.scaled(each, truth, context) for each in (forecast, one, other)]
        points = fields[0].shape[-1]
        drawn = np.random.Generator(np.random.Philox(key=20240105))
        normal = drawn.standard_normal((points, self.directions))
        normal *= points**0.5 / np.sqrt((normal**2).sum(0))
        x, y, other_y = (np.sort(each @ normal, 1) for each in fields)
        found = {
            "distance": abs(x - other_y).mean((1, 2)),
            "draws": abs(y - other_y).mean((1, 2)),
            "spread": x.std(1, ddof=1).mean(-1),
            "law_spread": other_y.std(1, ddof=1).mean(-1),
        }
        told = ensembles.cases(forecast, **found)
        return told.where(told["distance"].notnull())

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the difference."""
        return _less_sampling(means).to_dataset(name="sliced Wasserstein distance")


def _less_sampling(means: "xr.Dataset") -> "xr.DataArray":
    from geobench_plugins.kernels.ensembles import ratio

    sampled = (1 + ratio(means["spread"], means["law_spread"])) / 2
    return means["distance"] - means["draws"] * sampled


class LawDependence(Scorer):
    """Share of the dependence between points that is lost: 0 for the law, 1 for shuffled members.

    Draws of the law are put in the order that the members have at every point, so that their
    marginals are the law's and their dependence is the members' (as in the Schaake shuffle: Clark
    et al., 2004, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2). Their excess energy score
    over other draws, less what the same yields with the law's own order, over what it yields with
    no order at all. 1 less this is the copula score J of the members. Where that is below 0.2 % of
    the energy score the law's points hardly depend on one another, and there is nothing to lose:
    NaN.
    """

    name = "law-dependence"
    version = "2"
    needs_law = True
    units = "1"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the excess in the order of `members`, `law`, `shuffled`, and the law's `score`."""
        import numpy as np

        from geobench_plugins.kernels import ensembles, pairs

        forecast, drawn = ensembles.groups(self.name, forecast, context, 2)
        members, values, order, others = (
            ensembles.scaled(each, truth, context) for each in (forecast, *drawn)
        )
        keys = ensembles.case_keys(forecast)
        none = ensembles.at_random(keys, members.shape[1:])
        found = {
            name: pairs.excess_energy(ensembles.reordered(values, of, keys), others)
            for name, of in (("members", members), ("law", order), ("shuffled", none))
        }
        found["score"] = pairs.of_cases(pairs.half_apart, others)
        finite = np.isfinite(members).all((1, 2))
        return ensembles.cases(
            forecast, **{name: np.where(finite, each, np.nan) for name, each in found.items()}
        )

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
    own = (centred**2).sum(2)
    of_square = (smaller**2).sum((1, 2)) / (n - 1) ** 2
    of_fourth = (own**2).sum(1) / (n - 1)
    total = (n - 1) * (n - 2) * of_square + (own.sum(1) / (n - 1)) ** 2 - n * of_fourth
    found: _Array = total * (n - 1) / (n * (n - 2) * (n - 3))
    sizes = (fields**2).sum(2)
    for case in np.nonzero(sizes.max(1) > 1e6 * np.median(sizes, 1))[0]:
        found[case] = _far_squared(fields[case])
    return found


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
    found = pairs - 2 * (chains - pairs) / (n - 2) + fours / ((n - 2) * (n - 3))
    return float(found / (n * (n - 1)))


def _sorted_apart(one: "xr.DataArray", other: "xr.DataArray") -> "xr.DataArray":
    """Mean distance of members in order, `(…)` without `member`; NaN where one is."""
    import numpy as np

    axis = one.get_axis_num("member")
    finite = one.notnull().all("member")
    ordered = [np.sort(each.to_numpy().astype(float), axis) for each in (one, other)]
    apart: xr.DataArray = one.copy(data=abs(ordered[0] - ordered[1])).mean("member", skipna=False)
    return apart.where(finite)
