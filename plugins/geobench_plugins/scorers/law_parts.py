"""What the excess CRPS is made of, by scale."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr

_PARTS = ("bias", "dispersion", "shape", "dependence")


class LawParts(Scorer):
    """Excess CRPS over the law of means over windows, attributed to what is wrong with the members.

    One thing after the other is mended at every site, with draws of the law set aside for it, and
    what the excess falls by is its part: the mean (`bias`), the spread (`dispersion`), the rest of
    the marginals, by giving the members draws of the law in their own order (`shape`); what is left
    is `dependence`, which windows of one cell have none of. The parts add up to the excess. What
    the same yields for draws of the law is taken off, so all are 0 for the law at any number of
    members. Parts may be below 0, where two faults hide one another. Windows are those of
    `pooled-crps`.
    """

    name = "law-parts"
    needs_law = True

    window: int = Field(4, gt=0, description="cells along each grid dim; 1: single sites")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return `excess` `(…, mended)` of members and of draws, after 0 to 3 things are mended."""
        import xarray as xr

        from geobench_plugins.kernels import ensembles

        forecast, (twin, spare, others) = ensembles.groups(self.name, forecast, context, 2)
        own = self._pooled(others, context)
        parts = {}
        for name, members in (("members", forecast), ("draws", twin)):
            excesses = [
                ensembles.excess_crps(self._pooled(each, context), own, self._context(context))
                for each in _mended(members.astype(float), spare.astype(float))
            ]
            parts[name] = xr.concat(excesses, "mended")
        finite = context.average(forecast).notnull().all("member")
        return xr.Dataset({name: each.where(finite) for name, each in parts.items()})

    def _pooled(self, values: "xr.DataArray", context: Context) -> "xr.DataArray":
        from geobench_plugins.kernels.windows import pooled

        return pooled(values, context.sea, self.window, "mean")

    def _context(self, context: Context) -> Context:
        from geobench_plugins.kernels.windows import kept

        return replace(context, sea=kept(context.sea, self.window))

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the parts `(…, part)`."""
        import xarray as xr

        excess = means["members"] - means["draws"]
        left = [excess.isel(mended=place, drop=True) for place in range(4)]
        parts = [*(left[place] - left[place + 1] for place in range(3)), left[3]]
        label = xr.DataArray(list(_PARTS), dims="part", name="part")
        return xr.concat(parts, label).to_dataset(name=f"excess CRPS over {self.window} from")


def _mended(members: "xr.DataArray", spare: "xr.DataArray") -> "list[xr.DataArray]":
    """The members; with the mean of the draws; with their spread, too; with their values."""
    import numpy as np

    from geobench_plugins.kernels.ensembles import reordered

    means = [each.mean("member", skipna=False) for each in (members, spare)]
    away = members - means[0]
    spreads = [each.std("member", ddof=1, skipna=False) for each in (members, spare)]
    factor = (spreads[1] / spreads[0].where(spreads[0] > 0)).where(spreads[0] > 0, 0.0)
    axis = members.get_axis_num("member")
    ordered = reordered(*(np.moveaxis(e.to_numpy(), axis, 1) for e in (spare, members)))
    exact = members.copy(data=np.moveaxis(ordered, 1, axis))
    return [members, means[1] + away, means[1] + factor * away, exact]
