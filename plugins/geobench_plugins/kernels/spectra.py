"""Power of fields by octaves of wavenumber."""

from typing import TYPE_CHECKING

from geobench import Context

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    _Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def power(values: "xr.DataArray", context: Context) -> "xr.DataArray":
    """Variance over the grid that lies in each octave: dims of `values`, with `band` for the grid.

    Periodic dims are taken apart into sines, others into cosines (Denis et al., 2002,
    doi:10.1175/1520-0493(2002)130<1812:SDOTDA>2.0.CO;2). A band is named by the fewest waves along
    the domain that it holds (a cosine may have half a wave); waves along several dims add up as the
    sides of a triangle. The bands sum to the variance; the mean has none. Land is at the sea's
    mean.
    """
    import numpy as np
    import xarray as xr
    from scipy import fft

    dims = [str(dim) for dim in context.sea.dims]
    field = values.astype(float)
    field = (field - context.average(field)).where(context.sea, 0.0).transpose(..., *dims)
    kept = [dim for dim in field.dims if dim not in dims]
    coefficients = field.to_numpy()
    walls = [axis - len(dims) for axis, dim in enumerate(dims) if dim not in context.periodic]
    rings = [axis - len(dims) for axis, dim in enumerate(dims) if dim in context.periodic]
    coefficients = fft.dctn(coefficients, axes=walls, norm="ortho") if walls else coefficients
    coefficients = abs(fft.fftn(coefficients, axes=rings, norm="ortho")) if rings else coefficients
    cells = coefficients[(0,) * len(kept)].size
    variance = (coefficients**2).reshape(*coefficients.shape[: len(kept)], -1) / cells
    waves = _waves(context.sea, context.periodic)
    edges = _octaves(waves)
    band = np.searchsorted(edges, waves, side="right") - 1  # of the mean: -1
    summed = np.stack([variance[..., band == octave].sum(-1) for octave in range(len(edges))], -1)
    coords = {dim: field[dim] for dim in kept if dim in field.coords}
    return xr.DataArray(summed, {**coords, "band": edges}, (*kept, "band"))


def _waves(grid: "xr.DataArray", periodic: tuple[str, ...]) -> "_Array":
    """Waves along the domain of each coefficient, flat in C order."""
    import numpy as np

    waves = np.zeros(())
    for dim, size in grid.sizes.items():
        whole = abs(np.fft.fftfreq(size, 1 / size))
        along = whole if dim in periodic else np.arange(size) / 2
        waves = np.hypot(waves[..., None], along)
    return waves.ravel()


def _octaves(waves: "_Array") -> list[float]:
    """The lowest of each octave: 1, 2, 4, …, and a half where there are half waves."""
    import numpy as np

    lowest = waves[waves > 0].min(initial=1.0)
    first, last = (int(np.floor(np.log2(number))) for number in (lowest, max(waves.max(), 1.0)))
    return [2.0**exponent for exponent in range(first, last + 1)]
