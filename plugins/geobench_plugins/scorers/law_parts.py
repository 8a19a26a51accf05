"""What the excess CRPS is made of, by scale."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import xarray as xr

    from geobench_plugins.kernels.ensembles import Unlabelled

    _Keys = np.ndarray[tuple[int], np.dtype[np.int64]]
    _Pair = tuple[xr.DataArray, xr.DataArray]
    _Known = dict[int, tuple[xr.DataArray, xr.DataArray, Unlabelled]]

_PARTS = ("bias", "dispersion", "shape", "dependence")


class LawParts(Scorer):
    """Excess CRPS over the law of means over windows, attributed to what is wrong with the members.

    One thing after the other is mended at every site, and what the excess falls by is its part: the
    mean (`bias`), the spread (`dispersion`), the rest of the marginals, by giving the members draws
    of the law in their own order (`shape`); what is left is `dependence`, which windows of one cell
    have none of. The parts add up to the excess. What the same yields for draws of the law is taken
    off, so all are 0 for the law at any number of members. Parts may be below 0, where two faults
    hide one another, and with few members parts mix: of 16 members without any dependence between
    sites 114 % of the excess is told as dependence, -30 % as dispersion and 17 % as shape; of 64,
    105, -7 and 5 %. Windows are those of `pooled-crps`.

    It takes 3 M of K draws, 6 at the least. With fewer it is the mean over the fewest equal groups
    of members that the draws suffice for, each with other draws: 16 members and 32 draws are two
    groups of 8. Every member and every draw is read, and their order does not matter.
    """

    name = "law-parts"
    family = "fields"
    version = "2"
    needs_law = True
    cells_by_area = False
    least_members = 2

    window: int = Field(4, gt=0, description="cells along each grid dim; 1: single sites")

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the excess `(…, mended)` of `members` and of `draws`, after 0 to 3 are mended."""
        from geobench_plugins.kernels.splits import over_splits

        def of(group: "xr.DataArray", drawn: "list[xr.DataArray]") -> "xr.Dataset":
            return self._of(group, drawn, context)

        return over_splits(self.name, forecast, context, 2, of)

    def _of(
        self, group: "xr.DataArray", drawn: "list[xr.DataArray]", context: Context
    ) -> "xr.Dataset":
        import xarray as xr

        from geobench_plugins.kernels.ensembles import case_keys, stacked

        keys = case_keys(group)
        # Without labels, which need not be compared again and again.
        members, twin, spare, others = (
            xr.DataArray(array.variable.astype(float)) for array in (group, *drawn)
        )
        parts: dict[str, Unlabelled] = {}
        known: _Known = {}
        centred, windows = _centred(others), self._windows(context)
        for name, ensemble in (("members", members), ("draws", twin)):
            excesses = [
                self._excess(*pair, context, windows, known)
                for pair in _mended(ensemble, spare, others, centred, keys)
            ]
            parts[name] = stacked(excesses, "mended")
        finite = context.average(group).notnull().all("member")
        return xr.Dataset(parts, finite.coords).where(finite)

    def _excess(
        self,
        apart: "_Pair",
        within: "_Pair",
        context: Context,
        windows: Context,
        known: "_Known",
    ) -> "Unlabelled":
        """E|x - y| of one pair of ensembles, less half the E|x - x'| and E|y - y'| of another."""
        from geobench_plugins.kernels import ensembles

        one, other = (self._pooled(sample, context, windows, known) for sample in apart)
        both = ensembles.spread(ensembles.joined(one[1], other[1]), windows).variable
        counts = one[1].sizes["member"], other[1].sizes["member"]
        excess = ensembles.across([one[2], other[2], both], counts)
        for sample in within:
            excess = excess - self._pooled(sample, context, windows, known)[2]
        return excess

    def _pooled(
        self, values: "xr.DataArray", context: Context, windows: Context, known: "_Known"
    ) -> "tuple[xr.DataArray, xr.DataArray, Unlabelled]":
        """The values, their means over windows and the spread of these; made once."""
        from geobench_plugins.kernels import ensembles
        from geobench_plugins.kernels.windows import pooled

        if id(values) not in known:
            means = pooled(values, context, self.window, "mean")
            spread = ensembles.spread(means, windows).variable
            known[id(values)] = values, means, spread
        return known[id(values)]

    def _windows(self, context: Context) -> Context:
        from geobench_plugins.kernels.windows import coarse

        return coarse(context, self.window)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the parts `(…, part)`."""
        import xarray as xr

        excess = means["members"] - means["draws"]
        left = [excess.isel(mended=index, drop=True) for index in range(4)]
        parts = [*(left[index] - left[index + 1] for index in range(3)), left[3]]
        label = xr.DataArray(list(_PARTS), dims="part", name="part")
        return xr.concat(parts, label).to_dataset(name=f"excess CRPS over {self.window} from")


def _mended(
    x: "xr.DataArray",
    spare: "xr.DataArray",
    y: "xr.DataArray",
    drawn: "xr.DataArray",
    keys: "_Keys",
) -> "Iterator[tuple[_Pair, _Pair]]":
    """Members and draws as they are; with equal means; equal spreads, too; equal marginals.

    Of each what E|x - y|, and what the spreads are taken of. Less its own mean a sample of M has
    the variance (M - 1) / M too small, which is put right (`drawn`: y so); spreads are those about
    no mean.
    """
    yield (x, y), (x, y)
    yield (_centred(x), drawn), (x, y)
    size = [sample.std("member", ddof=1, skipna=False) for sample in (x, y)]
    # The mean of a ratio of spreads of normal samples is larger than 1: to first order by this.
    larger = (1 + 0.75 / (x.sizes["member"] - 1)) * (1 - 0.25 / (y.sizes["member"] - 1))
    factor = (size[1] / size[0].where(size[0] > 0)).where(size[0] > 0, 0.0) / larger
    scaled = x * factor
    yield (_centred(scaled), drawn), (scaled, y)
    exact = _in_order_of(x, spare, keys)
    yield (_centred(exact), drawn), (exact, y)


def _centred(x: "xr.DataArray") -> "xr.DataArray":
    count = x.sizes["member"]
    centred: xr.DataArray = (x - x.mean("member", skipna=False)) * (count / (count - 1)) ** 0.5
    return centred


def _in_order_of(x: "xr.DataArray", values: "xr.DataArray", keys: "_Keys") -> "xr.DataArray":
    from geobench_plugins.kernels.ensembles import reordered

    ordered = x.transpose("init_time", "lead_time", "member", ...)
    shape = ordered.sizes["init_time"] * ordered.sizes["lead_time"], ordered.sizes["member"], -1
    drawn, order = (
        array.transpose(*ordered.dims).to_numpy().reshape(shape) for array in (values, ordered)
    )
    return ordered.copy(data=reordered(drawn, order, keys).reshape(ordered.shape))
