"""Hersbach's parts of the CRPS: reliability, and the CRPS that would be left with it."""

from typing import TYPE_CHECKING

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr

    from geobench_plugins.kernels.ensembles import Unlabelled


class CRPSParts(Scorer):
    """Reliability and potential part of the CRPS, which add up to the plain one.

    Hersbach (2000, doi:10.1175/1520-0434(2000)015<0559:DOTCRP>2.0.CO;2): between the sorted members
    i and i + 1 the outcome should be below as often as i/M says; the reliability is the mean gap
    times the square of the difference. The potential CRPS is what is left, the members' sharpness
    where they are right. Both depend on the number of members, as the plain CRPS does: compare with
    an oracle of as many, and do not take the lowest for the best, for a spread that is a little too
    large makes the reliability of few members lower, and one too small the potential. What members
    lack of the law is told by `law-parts`.
    """

    name = "crps-parts"
    family = "calibration"
    version = "2"

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return how far the outcome is `above` and `below` within each gap `(…, gap)`.

        Gaps 0 and M are those outside the members; of these also how often the outcome is `out`.
        """
        import numpy as np
        import xarray as xr

        from geobench_plugins.kernels.ensembles import stacked

        count = forecast.sizes["member"]
        ordered: Unlabelled = forecast.variable.astype(float).transpose(..., "member")
        ordered = ordered.copy(data=np.sort(ordered.to_numpy(), -1))  # NaN stands last
        finite = (
            context.average(forecast).notnull().all("member") & context.average(truth).notnull()
        )
        outcome: Unlabelled = truth.variable
        nothing = outcome * 0.0
        parts: dict[str, list[Unlabelled]] = {"above": [], "below": [], "out": []}
        for gap in range(count + 1):
            low = ordered.isel(member=max(0, gap - 1))
            high = ordered.isel(member=min(gap, count - 1))
            if 0 < gap < count:
                within = outcome.clip(low, high)
                above, below, out = within - low, high - within, nothing
            elif gap:
                above, below, out = (outcome - high).clip(0), nothing, outcome > high
            else:
                above, below, out = nothing, (low - outcome).clip(0), outcome < low
            for name, part in (("above", above), ("below", below), ("out", out)):
                mean = context.average(xr.DataArray(part)).variable
                parts[name].append(mean.transpose(*(parts[name] or [mean])[0].dims))
        fields = {name: stacked(by_gap, "gap") for name, by_gap in parts.items()}
        return xr.Dataset(fields, finite.coords).where(finite)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return both parts."""
        import numpy as np
        import xarray as xr

        above, below, out = means["above"], means["below"], means["out"]
        count = above.sizes["gap"] - 1
        gap = xr.DataArray(np.arange(count + 1), dims="gap")
        inside = (gap > 0) & (gap < count)
        # Inside, the share of the gap that the outcome is below; outside, how often it is there,
        # and a gap as wide as it is far out when it is.
        width = (above + below) / xr.ones_like(out).where(inside, out.where(out > 0, 1.0))
        some = width.where(width > 0, 1.0)
        share = (below / some).where(inside, out.where(gap == 0, 1 - out))
        rest = (above / some).where(inside, out.where(gap > 0, 1 - out))  # 1 - share, as exact
        terms = {
            "CRPS reliability": width * (share - gap / count) ** 2,
            "potential CRPS": width * share * rest,
        }
        return xr.Dataset({name: term.sum("gap", skipna=False) for name, term in terms.items()})
