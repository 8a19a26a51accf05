"""What every scorer must do with the cells of a grid."""

from abc import ABC, abstractmethod
from dataclasses import replace

from geobench.contracts.scorer import Scorer
from geobench.testing.cases import small_case
from geobench.testing.ring import ring


class CellsConformance(ABC):
    """What every scorer must do with the cells of a grid."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """Return the scorer under test."""

    def test_land_is_not_read(self) -> None:
        import xarray as xr

        forecast, truth, context = small_case()
        assert context.law is not None
        sea = context.sea.copy(data=[cell not in (0, 5) for cell in range(8)])
        statistics = []
        for value in (0.0, float("nan")):
            drawn, outcome, law, std, limits = (
                array.where(sea, value)
                for array in (forecast, truth, context.law, context.std, context.thresholds)
            )
            land_context = replace(
                context, thresholds=limits, sea=sea, std=std, law=law, measure=ring(sea)
            )
            dims = forecast.dims, truth.dims
            statistics.append(
                self.scorer().statistics(
                    drawn.transpose(*dims[0]), outcome.transpose(*dims[1]), land_context
                )
            )
        xr.testing.assert_allclose(*statistics, rtol=1e-6)

    def test_a_cell_counts_by_its_area(self) -> None:
        """Two halves of a cell, with its values, are as good as the cell, if so declared."""
        import xarray as xr

        if not self.scorer().cells_by_area:
            return
        forecast, truth, context = small_case()
        assert context.law is not None
        cells = [0, 1, 2, 3, 4, 5, 5, 6, 7]
        areas = xr.DataArray([2.0, 1, 3, 1, 0.25, 2, 2, 1, 1], dims="x")
        whole = areas.isel(x=[0, 1, 2, 3, 4, 5, 7, 8]).copy()
        whole[5] = 4.0
        thresholds, sea, std, law = (
            array.isel(x=cells)
            for array in (context.thresholds, context.sea, context.std, context.law)
        )
        halved = replace(
            context,
            thresholds=thresholds,
            sea=sea,
            std=std,
            law=law,
            areas=areas,
            measure=ring(sea, areas),
        )
        joined = replace(context, areas=whole, measure=ring(context.sea, whole))
        xr.testing.assert_allclose(
            self.scorer().statistics(forecast, truth, joined),
            self.scorer().statistics(forecast.isel(x=cells), truth.isel(x=cells), halved),
            rtol=1e-5,
            atol=1e-6,
        )

    def test_cells_of_a_score_map_average_to_the_statistics(self) -> None:
        """By area, over the cells at sea, if it declares that cells speak for themselves."""
        import xarray as xr

        from geobench.scoring.cells import by_cell

        if not self.scorer().sitewise:
            return
        forecast, truth, context = small_case()
        sea = context.sea.copy(data=[cell not in (0, 5) for cell in range(8)])
        areas = xr.DataArray([2.0, 1, 3, 1, 0.25, 2, 2, 1], dims="x")
        here = replace(context, sea=sea, areas=areas, measure=ring(sea, areas))
        cells = by_cell(self.scorer(), forecast, truth, here)
        whole = self.scorer().statistics(forecast, truth, here)
        assert set(cells.data_vars) == set(whole.data_vars)
        averages = (cells.where(sea, 0.0) * here.weights).sum("x") / here.weights.sum()
        for name, statistic in whole.data_vars.items():
            assert cells[name].isel(x=[0, 5]).isnull().all(), "land has a value"
            values = averages[name].transpose(*statistic.dims)
            xr.testing.assert_allclose(
                values.drop_vars(list(values.coords)),
                statistic.drop_vars(list(statistic.coords)),
                rtol=1e-5,
                atol=1e-6,
            )
