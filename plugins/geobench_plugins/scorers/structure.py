"""Structure functions: how much two points differ, by how far they are apart."""

from typing import TYPE_CHECKING

from pydantic import Field

from geobench import Context, Scorer

if TYPE_CHECKING:
    import xarray as xr


class Structure(Scorer):
    """Structure function of the members over that of the outcome, by distance; 1 is best.

    Mean |x(i + r) - x(i)|^p over pairs of sea cells r apart along a grid dim, all dims alike, and
    averaged over members and cases *before* the ratio is taken. Distances are in cells; a pair
    weighs as the mean of the areas of its cells. With `spectrum`, but it needs no
    regular domain, and a p above 2 looks at fronts and other rare steps. It asks whether members
    look like states, not whether they are right: `variogram` compares case by case.
    """

    name = "structure"
    family = "fields"
    version = "2"
    better = "one"
    fair = True
    units = "1"
    cells_by_area = False

    power: float = Field(2.0, gt=0, description="p")
    distances: tuple[int, ...] = Field(
        (1, 2, 4, 8), min_length=1, description="r, cells, within the grid"
    )

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the functions `(…, distance)` of the `members` and of the `outcome`."""
        import xarray as xr

        functions = []
        distances = [distance for distance in self.distances if distance < max(context.sea.shape)]
        label = xr.DataArray(distances, dims="distance", name="distance")
        for array in (forecast, truth):
            apart = [self._function(array, context, distance) for distance in distances]
            functions.append(xr.concat(apart, label))
        members = functions[0].mean("member", skipna=False)
        outcome = functions[1].where(members.notnull())
        return xr.Dataset({"members": members.where(outcome.notnull()), "outcome": outcome})

    def _function(self, values: "xr.DataArray", context: Context, distance: int) -> "xr.DataArray":
        total, weight = 0.0 * context.average(values), 0.0  # NaN if a value is, wherever it is
        for dim, size in context.sea.sizes.items():
            here = slice(None) if dim in context.periodic else slice(distance, None)
            if distance >= size:
                continue
            both = (context.sea & context.sea.roll({dim: distance})).isel({dim: here})
            steps = (values - values.roll({dim: distance})).isel({dim: here})
            raised = (abs(steps.astype(float)) ** self.power).where(both, 0.0)
            if context.areas is None:
                weight += int(both.sum())
            else:
                pairs = (context.areas + context.areas.roll({dim: distance})).isel({dim: here})
                raised = raised * pairs
                weight += float(pairs.where(both, 0.0).sum())
            total = total + raised.sum(context.sea.dims, skipna=False, dtype=float)
        return total / (weight or float("nan"))

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the ratio."""
        return (means["members"] / means["outcome"]).to_dataset(name="structure")
