"""The state of a system: variables on a grid, as one tensor `(row, channel, *grid)`."""

import math
from functools import cached_property
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench.errors import GeobenchError
from geobench.interfaces.plugin import Fields

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from torch import Tensor

_TAKEN = ("init_time", "lead_time", "member", "trajectory", "time", "variable", "quantile")


class Variable(Fields):
    """One channel of the state."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    units: str = "1"
    long_name: str = ""
    stagger: tuple[str, ...] = Field(
        (), description="dims along which it lies half a cell off the centres (C-grid faces)"
    )


class Dimension(Fields):
    """One axis of the grid, evenly spaced."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    size: int = Field(gt=0)
    spacing: float = Field(1.0, gt=0, description="distance between neighbours, in `units`")
    units: str = "1"
    periodic: bool = False
    homogeneous: bool = Field(
        False, description="whether all its cells have the same climate, so that they may be pooled"
    )


class StateSpec(Fields):
    """What a state holds. Rows of a state are independent."""

    variables: tuple[Variable, ...] = Field(min_length=1)
    dims: tuple[Dimension, ...] = Field(min_length=1)
    land: tuple[int, ...] = Field(
        (), description="flat (C order) indices of the cells that do not count; zeros stand there"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [v.name for v in self.variables] + [dim.name for dim in self.dims]
        if len({*names, *_TAKEN}) != len(names) + len(_TAKEN):
            raise ValueError(
                f"names of variables and dims must differ, also from {_TAKEN}: {names}"
            )
        cells = math.prod(dim.size for dim in self.dims)
        if any(not 0 <= cell < cells for cell in self.land):
            raise ValueError(f"land cells must lie in 0..{cells - 1}")
        return self

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Lengths of the grid dims."""
        return tuple(dim.size for dim in self.dims)

    @cached_property
    def grid_dims(self) -> tuple[str, ...]:
        """Names of the grid dims."""
        return tuple(dim.name for dim in self.dims)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row of a state: `(channel, *grid)`."""
        return (len(self.variables), *self.grid)

    @cached_property
    def sea(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
        """Whether a grid cell holds values, `(*grid)`."""
        import numpy as np

        sea = np.ones(self.grid, dtype=bool)
        sea.ravel()[list(self.land)] = False
        return sea

    def channels(self, names: tuple[str, ...] | None) -> tuple[int, ...] | None:
        """Places of the variables `names`, in their order; None where that is all of them."""
        known = [variable.name for variable in self.variables]
        unknown = sorted(set(names or ()) - set(known))
        if unknown:
            raise GeobenchError(
                f"there is no variable '{unknown[0]}'. There are: {', '.join(known)}."
            )
        if names is None or list(names) == known:
            return None
        return tuple(known.index(name) for name in names)

    def select(self, names: tuple[str, ...] | None) -> "StateSpec":
        """Return the same grid with these variables only (None: all)."""
        channels = self.channels(names)
        if channels is None:
            return self
        variables = tuple(self.variables[channel] for channel in channels)
        return StateSpec(variables=variables, dims=self.dims, land=self.land)

    def check(self, state: "Tensor", rows: int, owner: str) -> None:
        """Raise `GeobenchError` unless `state` is a floating `(rows, channel, *grid)` tensor."""
        wanted = (rows, *self.shape)
        if tuple(state.shape) != wanted or not state.is_floating_point():
            raise GeobenchError(
                f"{owner} returned a state of shape {tuple(state.shape)} and type {state.dtype}; "
                f"expected floating point of shape {wanted} "
                f"(row, channel, {', '.join(self.grid_dims)})."
            )

    def dataset(
        self,
        values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
        dims: tuple[str, ...],
        coords: "dict[str, object] | None" = None,
    ) -> "xr.Dataset":
        """Turn `(*dims, channel, *grid)` into an xarray dataset with CF attributes."""
        import xarray as xr

        axis = len(dims)
        fields = {
            variable.name: xr.Variable(
                (*dims, *self.grid_dims),
                values.take(channel, axis=axis),
                {
                    "units": variable.units,
                    "long_name": variable.long_name or variable.name,
                    **({"stagger": " ".join(variable.stagger)} if variable.stagger else {}),
                },
            )
            for channel, variable in enumerate(self.variables)
        }
        return xr.Dataset(fields, {**self._coordinates(), **(coords or {})})

    def _coordinates(self) -> "dict[str, xr.Variable]":
        import numpy as np
        import xarray as xr

        return {
            dim.name: xr.Variable(
                dim.name,
                np.arange(dim.size) * dim.spacing,
                {"units": dim.units, "periodic": int(dim.periodic)},
            )
            for dim in self.dims
        }

    def values(self, dataset: "xr.Dataset") -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        """Turn a dataset `(*dims, *grid)` into one array `(*dims, channel, *grid)`: the inverse."""
        import numpy as np

        fields = [dataset[variable.name].to_numpy() for variable in self.variables]
        axis = fields[0].ndim - len(self.dims)
        return np.stack(fields, axis=axis)
