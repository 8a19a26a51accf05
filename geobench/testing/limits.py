"""Thresholds of any event."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts.experiment import Control, Event


class AnyLimit(dict[Any, "xr.DataArray"]):
    """Thresholds for whatever events a scorer asks for: `size` times half the quantile."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self._size = size

    def __missing__(self, key: "tuple[Event, Control | None]") -> "xr.DataArray":
        """Make them."""
        import xarray as xr

        quantiles = list(key[0].quantiles)
        return xr.DataArray([self._size * q / 2 for q in quantiles], {"quantile": quantiles})
