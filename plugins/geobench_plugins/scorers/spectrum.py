"""Power by wavenumber: of members, and of what they differ by."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from geobench import Context, Curve, Scorer, Series

if TYPE_CHECKING:
    import xarray as xr


class Spectrum(Scorer):
    """Power of the members over that of the outcome, by bands of wavenumber; 1 is best.

    Bands are octaves: 1, 2-3, 4-7, … waves along the domain, sines where it is periodic and cosines
    where it is not. Power is averaged over members and cases *before* the ratio is taken. It is the
    power of single members: their mean has less, and should. Waves are counted in cells: every cell
    of the grid counts alike in the power, whatever its area.
    """

    name = "spectrum"
    family = "fields"
    better = "one"
    fair = True
    units = "1"
    cells_by_area = False

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the power `(…, band)` of the `members` and of the `outcome`."""
        import xarray as xr

        from geobench_plugins.kernels.spectra import power

        members = power(forecast, context).mean("member", skipna=False)
        outcome = power(truth, context)
        return xr.Dataset({"members": members, "outcome": outcome.where(members.notnull())})

    def curves(self) -> "Sequence[Curve]":
        """Power by wavenumber."""
        return (
            _power(
                "spectra",
                "Power by wavenumber",
                "Power of single members by octaves of wavenumber, beside that of the outcome "
                "(dashed): small scales that are missing, or too many.",
                "outcome",
            ),
        )

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio."""
        return (means["members"] / means["outcome"]).to_dataset(name="power")


class LawSpectrum(Scorer):
    """Power of what members differ by, over that of draws of the law, less 1; 0 is best.

    The power of differences from the mean, times M / (M - 1), by the bands of `spectrum`. The
    spectrum of members may be right where the conditional law is not: what is known at the init
    time has power, too. Only this one tells at which scales the spread is missing. Cells count
    alike, as there. A single member has none.
    """

    name = "law-spectrum"
    family = "fields"
    better = "zero"
    fair = True
    needs_law = True
    units = "1"
    cells_by_area = False
    least_members = 2

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the power `(…, band)` of the differences of `members` and of the `law`."""
        import xarray as xr

        from geobench_plugins.kernels.ensembles import law_of
        from geobench_plugins.kernels.spectra import power

        powers = []
        for sample in (forecast, law_of(forecast, context)):
            away = sample - sample.mean("member", skipna=False, dtype=float)
            count = sample.sizes["member"]
            powers.append(power(away, context).sum("member", skipna=False) / (count - 1))
        return xr.Dataset({"members": powers[0], "law": powers[1].where(powers[0].notnull())})

    def curves(self) -> "Sequence[Curve]":
        """Power of the spread by wavenumber."""
        return (
            _power(
                "spread-spectra",
                "Power of the spread by wavenumber",
                "Power of what members differ by, beside that of draws of the law (dashed): at "
                "which scales the ensemble has too little spread. Only a known law can tell.",
                "law",
            ),
        )

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio less 1."""
        from geobench_plugins.kernels.ensembles import ratio

        excess = ratio(means["members"] - means["law"], means["law"])
        return excess.to_dataset(name="power of the spread over the law's")


def _power(key: str, title: str, caption: str, other: str) -> Curve:
    axes = "waves along the domain, from", "power"
    members = partial(_bands, of="members")
    against = partial(_bands, of=other, name=f"the {other}")
    return Curve(key, title, caption, *axes, members, against=against, x_log=True, y_log=True)


def _bands(means: "xr.Dataset", of: str, name: str = "") -> Iterator[Series]:
    yield Series([2.0**band for band in range(means.sizes["band"])], means[of].to_numpy(), name)
