"""What the core averages over a grid weighs by areas: a cell of area three is as three cells."""

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from geobench import Dimension, StateSpec, Task, Training, Variable
from geobench.contracts.state import areas_at_sea
from geobench.contracts.validation import Validation
from geobench.describe import climate, difficulty, predictability
from geobench.forecasts.rounding import bits_of
from geobench.statistics import distances
from geobench.training import validating
from geobench.twin.assimilating import _spatial

AREAS = (1.0, 3.0, 2.0, 5.0, 1.0, 4.0)
LAND = 3  # not counted, so it makes no cell
CELLS = [0, 1, 1, 1, 2, 2, 4, 5, 5, 5, 5]


def _spec(cells: int, **areas: Any) -> StateSpec:
    dims = (Dimension(name="x", size=cells),)
    return StateSpec(variables=(Variable(name="q"), Variable(name="h")), dims=dims, **areas)


WEIGHED = _spec(6, areas=AREAS, land=(LAND,))
EQUAL = _spec(len(CELLS))


def _drawn(*shape: int) -> tuple[Tensor, Tensor]:
    """Fields `(…, 6)`, and the same with every cell as often as its area says."""
    generator = torch.Generator().manual_seed(sum(shape))
    fields = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
    fields[..., LAND] = 0
    return fields, fields[..., CELLS]


def _at_sea(fields: Tensor) -> Tensor:
    return fields[..., torch.from_numpy(WEIGHED.sea)]


def test_the_climate_of_a_run() -> None:
    run, copied = _drawn(3, 40, 2)
    areas = areas_at_sea(WEIGHED)
    sea = _at_sea(run)
    np.testing.assert_allclose(climate.scale(sea, areas), climate.scale(copied))
    for one, other in zip(climate.moments(sea, areas), climate.moments(copied), strict=True):
        for kind in ("mean", "std", "skewness", "excess_kurtosis"):
            np.testing.assert_allclose(getattr(one, kind), getattr(other, kind))
    edges = np.linspace(-6, 6, 13)
    np.testing.assert_allclose(climate.density(sea, edges, areas), climate.density(copied, edges))
    np.testing.assert_allclose(
        climate.autocorrelation(sea, 3, areas), climate.autocorrelation(copied, 3)
    )
    assert not np.allclose(climate.scale(sea), climate.scale(copied))


def test_the_spread_of_the_law() -> None:
    draws, copied = _drawn(3, 8, 4, 2)
    unit = torch.ones(2, 1, dtype=torch.float64)
    np.testing.assert_allclose(
        predictability.spread(_at_sea(draws), unit, areas_at_sea(WEIGHED)),
        predictability.spread(copied, unit),
    )


def test_errors_of_analyses() -> None:
    squares, copied = _drawn(4, 2)
    np.testing.assert_allclose(_spatial(squares**2, WEIGHED), _spatial(copied**2, EQUAL))


def test_the_difficulty_of_a_law() -> None:
    """Rivals keep places and so are not the same twice; what looks at them is."""
    x, of_x = _drawn(8, 2)
    y, of_y = _drawn(9, 2)
    sea, every = torch.from_numpy(WEIGHED.sea), torch.ones(len(CELLS), dtype=torch.bool)
    assert WEIGHED.weights is not None
    weights = torch.from_numpy(WEIGHED.weights)
    leading = difficulty._leading(distances.by_root(y, weights).flatten(1))
    one = distances.View(sea, weights, leading)
    other = distances.View(every, None, difficulty._leading(of_y.flatten(1)))
    scale = (len(CELLS) / len(_at_sea(x)[0, 0])) ** 0.5  # of a projection: not a mean over cells
    for given in ((x, None), (x, y)):
        copied = (of_x, None if given[1] is None else of_y)
        found, expected = one.distances(*given), other.distances(*copied)
        np.testing.assert_allclose(found[:2], expected[:2])
        np.testing.assert_allclose(found[3] * scale, expected[3])
    areas = areas_at_sea(WEIGHED)
    assert areas is not None
    np.testing.assert_allclose(
        difficulty._shape(_at_sea(x).flatten(1), areas.repeat(2)),
        difficulty._shape(of_x.flatten(1), None),
    )


def test_means_over_patches() -> None:
    x, _ = _drawn(3, 2)
    assert WEIGHED.weights is not None
    found = distances.pooled(x, torch.from_numpy(WEIGHED.sea), torch.from_numpy(WEIGHED.weights))
    areas = np.array(AREAS)
    areas[LAND] = 0
    first = (x[..., :5].numpy() * areas[:5]).sum(-1) / areas[:5].sum()
    np.testing.assert_allclose(found.view(3, 2, 2), np.stack([first, x[..., 5].numpy()], -1))


def test_what_networks_are_validated_by() -> None:
    train, of_train = _drawn(3, 20, 2)
    held, of_held = _drawn(2, 10, 2)
    members, of_members = _drawn(64, 4, 2)
    found = []
    for spec, states, validation, drawn in (
        (WEIGHED, train, held, members),
        (EQUAL, of_train, of_held, of_members),
    ):
        task = Task(spec, np.timedelta64(1, "D").item())
        own = Validation.of(Training(task, states.float(), validation.float()))
        assert own is not None
        found.append((own.scale, validating.figures(drawn.float(), own.windows[:, -1], own)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)


def test_bits_that_are_kept() -> None:
    """The mean of cells is 1,000 in small ones and 0 in the one that is large."""
    mean, std = xr.DataArray([0.0, 1000.0, 0.0], dims="x"), xr.DataArray([1.0, 1, 1], dims="x")
    plain = xr.Dataset({"q_mean": mean, "q_std": std})
    assert bits_of(plain, ["q"], 5) == {"q": 5 + 10}  # log2(1000 / sqrt(3)) = 9.2
    weighed = plain.assign_coords(cell_area=("x", [1000.0, 1.0, 1000.0]))
    assert bits_of(weighed, ["q"], 5) == {"q": 5 + 5}  # log2(1000 / sqrt(2001)) = 4.5
