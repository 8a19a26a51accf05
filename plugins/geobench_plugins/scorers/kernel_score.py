"""The kernel score of whole fields, and the discrepancy from the law that belongs to it."""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_WIDTHS = (0.1, 0.3, 1.0)


class KernelScore(Scorer):
    """Fair kernel score: 1/2 + E k(x, x') / 2 - E k(x, y), k(x, y) the mean of exp(-|x-y|²/2w²).

    |·| is that of `energy`, so a width w of 1 is the climate's. Unlike distances, kernels do not
    weigh far outliers, and small widths look at the law near its middle. Proper for the joint law
    (Gneiting & Raftery, 2007, section 5.1, doi:10.1198/016214506000001437); bounded by 1. That of a
    single member is 1 - k(x, y).
    """

    name = "kernel-score"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    units = "1"

    widths: tuple[float, ...] = Field(_WIDTHS, min_length=1, description="w")

    def law_form(self) -> Scorer:
        """Name `law-kernel-score`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_fields import LawKernelScore

        return LawKernelScore(within=self.within, widths=self.widths)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `score` of each case."""
        from geobench_plugins.kernels import ensembles, pairs

        members = ensembles.scaled(forecast, truth, context)  # less the outcome
        within = pairs.of_cases(partial(_within, self.widths), members)
        across = _kernel((members**2).sum(-1), self.widths).mean(-1)
        return ensembles.cases(forecast, score=0.5 + within / 2 - across)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(score="kernel score")


class LawMMD(Scorer):
    """Squared maximum mean discrepancy: E k(x, x') + E k(y, y') - 2 E k(x, y), draws y of the law.

    Twice the excess of `kernel-score` over the law, without the noise of one outcome: 0 for the law
    alone (Gretton et al., 2012). By all pairs, so unbiased: it may come out a little below 0.
    """

    name = "law-mmd"
    family = "fields"
    version = "2"
    fair = True
    proper = True
    needs_law = True
    units = "1"

    widths: tuple[float, ...] = Field(_WIDTHS, min_length=1, description="w, as of kernel-score")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `discrepancy` of each case."""
        from geobench_plugins.kernels import ensembles, pairs

        law = ensembles.law_of(forecast, context)
        x, y = (ensembles.scaled(each, truth, context) for each in (forecast, law))
        found = pairs.of_cases(partial(_discrepancy, self.widths), x, y)
        return ensembles.cases(forecast, discrepancy=found)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(discrepancy="squared MMD")


def _within(widths: tuple[float, ...], x: "_Array") -> "_Array":
    from geobench_plugins.kernels.pairs import among, squared_distances

    apart = _kernel(squared_distances(x, x), widths)
    if x.shape[1] == 1:  # a point mass: x' is x
        itself: _Array = apart[:, 0, 0]
        return itself
    return among(apart)


def _discrepancy(widths: tuple[float, ...], x: "_Array", y: "_Array") -> "_Array":
    from geobench_plugins.kernels.pairs import squared_distances

    across: _Array = _kernel(squared_distances(x, y), widths).mean((1, 2))
    return _within(widths, x) + _within(widths, y) - 2 * across


def _kernel(squared: "_Array", widths: tuple[float, ...]) -> "_Array":
    import numpy as np

    found: _Array = np.mean([np.exp(squared / (-2 * width**2)) for width in widths], 0)
    return found
