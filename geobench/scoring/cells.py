"""Sums over cases for each cell of the grid, of which score maps are made.

A scorer whose statistics are averages over cells is asked for the cells one by one, as if each were
a variable of its own on a grid of one cell.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from geobench.contracts.scorer import Context, Scorer
from geobench.scoring.apply import applied
from geobench.scoring.cutting import Piece

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

GROUP = "cells"
"""Where an entry keeps the means of each cell."""


def by_cell(
    scorer: Scorer, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
) -> "xr.Dataset":
    """Return statistics of each cell `(init_time, lead_time, variable, *grid, …)`; NaN on land."""
    import numpy as np

    sea = context.sea.to_numpy().ravel()
    alone = replace(
        context,
        sea=_one_cell(context.sea.dims),
        areas=None,
        thresholds=_columns(context.thresholds, context, sea),
        std=_columns(context.std, context, sea),
        law=None if context.law is None else _columns(context.law, context, sea),
    )
    drawn, seen = (_columns(array, context, sea) for array in (forecast, truth))
    statistics = applied(scorer, drawn, seen, alone)
    variables = forecast["variable"].to_numpy()
    grid = context.sea.sizes

    def mapped(statistic: "xr.DataArray") -> "xr.DataArray":
        import xarray as xr

        dims = [dim for dim in statistic.dims if dim != "variable"]
        values = statistic.transpose(*dims, "variable").to_numpy()
        whole = np.full((*values.shape[:-1], len(variables), sea.size), np.nan)
        whole[..., sea] = values.reshape(*values.shape[:-1], len(variables), -1)
        shape = (*whole.shape[:-1], *grid.values())
        coords = {dim: statistic[dim] for dim in dims if dim in statistic.coords}
        return xr.DataArray(
            whole.reshape(shape), coords | {"variable": variables}, [*dims, "variable", *grid]
        )

    return statistics.drop_vars(["variable"], errors="ignore").map(mapped)


def _one_cell(dims: tuple[Any, ...]) -> "xr.DataArray":
    import numpy as np
    import xarray as xr

    return xr.DataArray(np.ones((1,) * len(dims), bool), dims=dims)


def _columns(
    array: "xr.DataArray", context: Context, sea: "np.ndarray[Any, Any]"
) -> "xr.DataArray":
    """Turn each cell at sea into a variable of its own, on a grid of one cell."""
    import xarray as xr

    grid = context.sea.dims
    others = [dim for dim in array.dims if dim != "variable" and dim not in grid]
    ordered = array.transpose(*others, "variable", *grid).to_numpy()
    values = ordered.reshape(*ordered.shape[: len(others) + 1], -1)[..., sea]
    values = values.reshape(*values.shape[:-2], -1, *(1 for _ in grid))
    coords = {dim: array[dim] for dim in others if dim in array.coords}
    return xr.DataArray(values, coords, [*others, "variable", *grid])


@dataclass(frozen=True)
class CellSums:
    """Statistics of each cell summed over init times, `(lead_time, variable, *grid, …)`.

    What rounding leaves out of each sum is carried along (Knuth's exact sum of two numbers), so
    that the means do not depend on how cases were cut and which process summed them.
    """

    total: "xr.Dataset"
    rest: "xr.Dataset"

    @classmethod
    def of(cls, statistics: "xr.Dataset") -> Self:
        """Sum statistics `(init_time, lead_time, …)`."""
        first, *others = (
            statistics.isel(init_time=i) for i in range(statistics.sizes["init_time"])
        )
        total = cls(first, first * 0.0)
        for case in others:
            total = total.plus(cls(case, case * 0.0))
        return total

    def plus(self, other: Self) -> Self:
        """Add the sums of other init times."""
        total = self.total + other.total
        back = total - self.total
        lost = (self.total - (total - back)) + (other.total - back)
        return type(self)(total, self.rest + other.rest + lost)


def mean_of_cells(parts: "Iterable[tuple[Piece, CellSums]]", cases: int) -> "xr.Dataset":
    """Return means over so many init times of sums that come in pieces, in any order."""
    import xarray as xr

    by_leads: dict[tuple[int, int], CellSums] = {}
    for piece, sums in parts:
        before = by_leads.get(piece.leads)
        by_leads[piece.leads] = before.plus(sums) if before else sums
    blocks = [sums.total + sums.rest for _, sums in sorted(by_leads.items())]
    how: Any = {"join": "exact", "coords": "minimal", "compat": "override"}
    whole = xr.concat(blocks, "lead_time", **how) if len(blocks) > 1 else blocks[0]
    return (whole / cases).drop_vars("init_time", errors="ignore").assign_attrs(cases=cases)
