"""Calibration: ranks of the outcome among the members, coverage, reliability of probabilities."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from geobench import Context, Curve, Scorer, Series
from geobench_plugins.scorers.discrimination import OfTable

if TYPE_CHECKING:
    import xarray as xr


class _OfRanks(Scorer):
    """A function of the rank histogram: how often so many members were below the outcome.

    Of members equal to the outcome a random number counts, drawn from the case's own times. A
    single member has no ranks worth the name: it is above or below.
    """

    units = "1"
    least_members = 2
    sitewise = True

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `ranks` `(…, rank)` of each case: shares of the cells."""
        from geobench_plugins.kernels.ensembles import marginals

        return marginals(forecast, truth, context)[["ranks"]]

    def curves(self) -> "Sequence[Curve]":
        """The rank histogram."""
        return (
            Curve(
                "ranks",
                "Rank histogram",
                "How often the outcome has each rank among the members, over what is right; 1 is "
                "calibrated. A cup: too little spread; a dome: too much; a slope: a bias.",
                "rank of the outcome among the members, 0 to 1",
                "frequency",
                _histogram,
                ideal=1.0,
            ),
        )


class RankHistogram(_OfRanks):
    """How far the rank histogram is from flat: sum over ranks of |share - 1 / (M + 1)|.

    Delle Monache et al. (2006, doi:10.1029/2005JD006917). A calibrated ensemble has 0 but for
    sampling, which the oracle's row shows; a flat histogram does not prove calibration (Hamill,
    2001). The score depends on the number of members; a single one has none.
    """

    name = "rank-histogram"
    family = "calibration"
    version = "2"

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the distance."""
        ranks = means["ranks"]
        away = abs(ranks - 1 / ranks.sizes["rank"])
        return away.sum("rank", skipna=False).to_dataset(name="rank deviation")


class Coverage(_OfRanks):
    """How often the outcome lies between the lowest and the highest member, over what is right.

    That is (M - 1) / (M + 1) for M members of the law, so 1 is best; below, outcomes fall outside
    too often. A single member has no inside.
    """

    name = "coverage"
    family = "calibration"
    better = "one"
    fair = True

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio; NaN for a single member, which has no inside."""
        ranks = means["ranks"]
        count = ranks.sizes["rank"] - 1
        inside = ranks.isel(rank=slice(1, count)).sum("rank", skipna=False)
        right = (count - 1) / (count + 1)
        ratio = inside / right if right else inside.where(False)
        return ratio.to_dataset(name="coverage")


class Reliability(OfTable):
    """Reliability term of the Brier score: mean of (k/M - share of events given k members)².

    Murphy (1973). The sampling of M members adds to it, p (1 - p) / M where they know nothing
    beyond p: compare with an oracle of as many members.
    """

    name = "reliability"
    family = "calibration"

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the term."""
        import numpy as np
        import xarray as xr

        cases, happened = _given(means["table"])
        count = cases.sizes["above"] - 1
        probability = xr.DataArray(np.arange(count + 1) / count, dims="above")
        term = (cases * (probability - happened) ** 2).sum("above", skipna=False)
        return term.to_dataset(name="reliability")


class Resolution(OfTable):
    """Resolution term of the Brier score: mean of (share of events given k members - of all)².

    Murphy (1973): the plain Brier score is reliability - resolution + r (1 - r), r the share of
    events. It is what the probabilities know, however they are labelled; a bias costs nothing.
    """

    name = "resolution"
    family = "calibration"
    better = "higher"

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the term."""
        cases, happened = _given(means["table"])
        rate = means["table"].isel(happened=1).sum("above", skipna=False)
        term = (cases * (happened - rate) ** 2).sum("above", skipna=False)
        return term.to_dataset(name="resolution")


def _histogram(means: "xr.Dataset") -> Iterator[Series]:
    import numpy as np

    shares = means["ranks"].to_numpy()
    yield Series((np.arange(len(shares)) + 0.5) / len(shares), shares * len(shares))


def _given(table: "xr.DataArray") -> "tuple[xr.DataArray, xr.DataArray]":
    """Share of the cases with k members above the threshold, and of events among them."""
    cases = table.sum("happened", skipna=False)
    return cases, table.isel(happened=1) / cases.where(cases != 0, 1)
