"""The state of a system: variables on a grid, as one tensor `(row, channel, *grid)`."""

import math
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from geobench.contracts.plugin import Fields
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from torch import Tensor

TAKEN = ("init_time", "lead_time", "member", "trajectory", "time", "variable", "quantile")
"""Names of dims that are no grid dims."""
_NORTH = {"degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"}  # CF
AREA = "cell_area"
"""Name of the coordinate that holds cell areas in a stored dataset, where they are not equal."""


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
    start: float = Field(0.0, description="coordinate of the first cell, in `units`")
    standard_name: str = Field("", description="CF standard name, such as latitude")

    homogeneous: bool = Field(
        False, description="whether all its cells have the same climate, so that they may be pooled"
    )

    @cached_property
    def is_latitude(self) -> bool:
        """Whether it is a latitude, by its units, its standard name or its name."""
        called = {self.name, self.standard_name}
        return self.units.lower() in _NORTH or not called.isdisjoint({"lat", "latitude"})

    @cached_property
    def coordinates(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        """Coordinates of the cell centres, in `units`."""
        import numpy as np

        return (self.start + np.arange(self.size) * self.spacing).astype(np.float64)


class StateSpec(Fields):
    """What a state holds. Rows of a state are independent.

    Every average over the grid weighs cells by their areas. A grid of latitudes needs `areas`:
    its cells shrink towards the poles.
    """

    variables: tuple[Variable, ...] = Field(min_length=1)
    dims: tuple[Dimension, ...] = Field(min_length=1)
    land: tuple[int, ...] = Field(
        (), description="flat (C order) indices of the cells that do not count; zeros stand there"
    )
    areas: Literal["equal", "latitude"] | tuple[float, ...] = Field(
        "equal",
        description="areas of the cells: 'equal'; 'latitude', in proportion to the cosine of "
        "latitude; or one number for each cell, flat (C order), of which only ratios count",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [v.name for v in self.variables] + [dim.name for dim in self.dims]
        taken = TAKEN if self.areas == "equal" else (*TAKEN, AREA)
        if len({*names, *taken}) != len(names) + len(taken):
            raise ValueError(f"names of variables and dims must differ, also from {taken}: {names}")
        cells = math.prod(dim.size for dim in self.dims)
        if any(not 0 <= cell < cells for cell in self.land):
            raise ValueError(f"land cells must lie in 0..{cells - 1}")
        return self

    @model_validator(mode="after")
    def _areas_fit(self) -> Self:
        if isinstance(self.areas, tuple):
            self._check_given_areas(self.areas)
            return self
        north = next((dim for dim in self.dims if dim.is_latitude), None)
        if self.areas == "latitude":
            _check_latitudes(north)
        elif north is not None:
            raise GeobenchError(
                f"{north.name} is a latitude, so cells are not equally large. Write "
                f"areas='latitude' (areas fall with the cosine of latitude), or one area for each "
                f"cell, areas=(…)."
            )
        return self

    def _check_given_areas(self, areas: tuple[float, ...]) -> None:
        cells = math.prod(dim.size for dim in self.dims)
        if len(areas) != cells:
            raise GeobenchError(
                f"areas: {len(areas)} of them for {cells} cells. Give one for each, in C order."
            )
        land = {*self.land}
        wrong = [cell for cell, area in enumerate(areas) if area < (0 if cell in land else 1e-300)]
        if wrong:
            raise GeobenchError(
                f"areas: that of cell {wrong[0]} is {areas[wrong[0]]:g}. Areas must be positive; "
                f"cells that do not count belong in land."
            )

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

    @cached_property
    def cell_areas(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        """Areas of all cells over the mean area of those that hold values, `(*grid)`."""
        import numpy as np

        areas = np.ones(self.grid)
        if isinstance(self.areas, tuple):
            areas = np.array(self.areas).reshape(self.grid)
        elif self.areas == "latitude":
            axis = next(axis for axis, dim in enumerate(self.dims) if dim.is_latitude)
            rings = _ring_areas(self.dims[axis])
            areas = areas * rings.reshape(-1, *[1] * (len(self.dims) - 1 - axis))
        return areas if self.areas == "equal" else areas / areas[self.sea].mean()

    @cached_property
    def equal_areas(self) -> bool:
        """Whether all cells that hold values are equally large: no average needs weights."""
        areas = self.cell_areas[self.sea]
        return bool((areas == areas[:1]).all())

    @cached_property
    def weights(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
        """Weights of the cells in averages, `(*grid)`, or None where plain means will do.

        They are 0 on land and 1 on average elsewhere, so that the plain mean over sea cells of
        weight times value is the average.
        """
        return None if self.equal_areas else self.cell_areas * self.sea

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
        return self.holding(tuple(self.variables[channel] for channel in channels))

    def holding(self, variables: tuple[Variable, ...]) -> "StateSpec":
        """Return the same grid with other variables."""
        return StateSpec(variables=variables, dims=self.dims, land=self.land, areas=self.areas)

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
                    **({} if self.areas == "equal" else {"cell_measures": f"area: {AREA}"}),
                },
            )
            for channel, variable in enumerate(self.variables)
        }
        return xr.Dataset(fields, {**self._coordinates(), **(coords or {})})

    def _coordinates(self) -> "dict[str, xr.Variable]":
        """Grid coordinates and, where they are not equal, cell areas (CF, section 7.2)."""
        import xarray as xr

        coordinates = {
            dim.name: xr.Variable(
                dim.name,
                dim.coordinates,
                {
                    "units": dim.units,
                    "periodic": int(dim.periodic),
                    **({"standard_name": dim.standard_name} if dim.standard_name else {}),
                },
            )
            for dim in self.dims
        }
        if self.areas != "equal":
            attributes = {
                "units": "1",
                "long_name": "cell area over the mean of the cells that count",
            }
            coordinates[AREA] = xr.Variable(self.grid_dims, self.cell_areas, attributes)
        return coordinates

    def values(self, dataset: "xr.Dataset") -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        """Turn a dataset `(*dims, *grid)` into one array `(*dims, channel, *grid)`: the inverse."""
        import numpy as np

        fields = [dataset[variable.name].to_numpy() for variable in self.variables]
        axis = fields[0].ndim - len(self.dims)
        return np.stack(fields, axis=axis)


def _check_latitudes(dim: Dimension | None) -> None:
    if dim is None:
        raise GeobenchError(
            "areas='latitude' needs a dim that is a latitude. Give one the units degrees_north."
        )
    if dim.units.lower() not in {*_NORTH, "degrees", "degree"}:
        raise GeobenchError(
            f"areas='latitude' needs latitudes in degrees, and {dim.name} is in '{dim.units}'. "
            f"Give it the units degrees_north."
        )
    ends = dim.start, dim.start + (dim.size - 1) * dim.spacing
    if ends[0] < -90 - 1e-6 or ends[1] > 90 + 1e-6:
        raise GeobenchError(
            f"{dim.name} runs from {ends[0]:g} to {ends[1]:g} degrees. Latitudes lie between -90 "
            f"and 90; `start` is that of the first cell and `spacing` the step between cells."
        )


def _ring_areas(dim: Dimension) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Area of a cell of each latitude, up to a factor: the difference of the sines of its edges.

    That is the cosine of its centre times a constant, but for cells that a pole cuts in two.
    """
    import numpy as np

    centre, half = np.deg2rad(dim.coordinates), np.deg2rad(dim.spacing / 2)
    whole = np.abs(dim.coordinates) + dim.spacing / 2 <= 90 + 1e-9
    low, high = (np.clip(centre + way * half, -np.pi / 2, np.pi / 2) for way in (-1, 1))
    areas: np.ndarray[tuple[int], np.dtype[np.float64]] = np.where(
        whole, 2 * np.sin(half) * np.cos(centre), np.sin(high) - np.sin(low)
    )
    return areas


def areas_at_sea(spec: StateSpec) -> "Tensor | None":
    """Areas of the cells that hold values over their mean `(cell,)`; None where they are equal."""
    import torch

    return None if spec.weights is None else torch.from_numpy(spec.weights[spec.sea])


def by_area(values: "Tensor", areas: "Tensor | None") -> "Tensor":
    """Weigh values `(…, cell)` by areas: their plain mean over cells is then the average."""
    return values if areas is None else values * areas.to(values)
