"""The kernel score of whole fields."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


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

    widths: tuple[float, ...] = Field((0.1, 0.3, 1.0), min_length=1, description="w")

    def law_form(self) -> Scorer:
        """Name `law-kernel-score`: the excess over draws of the true distribution."""
        from geobench_plugins.scorers.law_fields import LawKernelScore

        return LawKernelScore(within=self.within, widths=self.widths)

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `score` of each case."""
        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.gaussian_kernel import from_zero, within

        members = ensembles.scaled(forecast, truth, context)  # less the outcome
        score = 0.5 + within(self.widths, members) / 2 - from_zero(self.widths, members)
        return ensembles.cases(forecast, score=score)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(score="kernel score")
