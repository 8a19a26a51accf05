"""What networks learn and are scaled by weighs by areas, where cells are not equally large."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from geobench import Dimension, StateSpec, Task, Training, Variable
from geobench_plugins.networks.denoising import DenoisingLoss
from geobench_plugins.networks.objectives import (
    CRPS,
    Energy,
    MeanSquare,
    MultiScale,
    Setting,
    ThresholdWeighted,
    Variogram,
)
from geobench_plugins.networks.residual import Scaling

_AREAS = (1.0, 3.0, 2.0, 1.0, 4.0, 1.0)
_COPIED = [0, 1, 1, 1, 2, 2, 3, 4, 4, 4, 4, 5]


def _weighed(areas: tuple[float, ...] = _AREAS) -> tuple[Tensor, Tensor, Setting]:
    """An ensemble on a line of cells that are not equally large."""
    generator = torch.Generator().manual_seed(0)
    ensemble = torch.randn(3, 4, 6, 2, generator=generator)
    target = torch.randn(3, 6, 2, generator=generator)
    area = torch.tensor(areas, dtype=torch.float32)[:, None]
    state = torch.randn(3, 6, 2, generator=generator)
    return ensemble, target, Setting(state, torch.ones(2), (False,), area / area.mean())


@pytest.mark.parametrize("objective", [CRPS(), CRPS(alpha=0.95), Energy(), MeanSquare()])
def test_a_loss_counts_a_cell_of_area_three_as_three_cells(objective: Any) -> None:
    ensemble, target, setting = _weighed()
    copied = Setting(setting.state[:, _COPIED], setting.std, (False,))
    expected = objective.loss(ensemble[:, :, _COPIED], target[:, _COPIED], copied)
    assert objective.loss(ensemble, target, setting).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
    tails = ThresholdWeighted(threshold=0.3)
    expected = tails.loss(ensemble[:, :, _COPIED], target[:, _COPIED], copied)
    assert tails.loss(ensemble, target, setting).item() == pytest.approx(expected.item(), rel=1e-5)


def _fair(x: Tensor, y: Tensor) -> Tensor:
    """Fair CRPS `(row, …)` of `(row, member, …)`, by definition."""
    members = x.shape[1]
    apart = (x[:, :, None] - x[:, None]).abs().sum((1, 2)) / (2 * members * (members - 1))
    return (x - y[:, None]).abs().mean(1) - apart


@pytest.mark.parametrize("bands", [False, True])
def test_windows_of_a_loss_weigh_by_area(bands: bool) -> None:
    """Means over windows of two cells, by hand; with bands, what cells add to them."""
    ensemble, target, setting = _weighed()
    area = torch.tensor(_AREAS, dtype=torch.float32)
    pair = area[:-1] + area[1:]

    def means(field: Tensor) -> Tensor:
        both = field[..., :-1, :] * area[:-1, None] + field[..., 1:, :] * area[1:, None]
        return both / pair[:, None]

    x, y = means(ensemble), means(target)
    wide = (_fair(x, y) * pair[:, None]).mean() / (2 * area.mean())
    if bands:
        own = _fair(ensemble[..., :-1, :] - x, target[..., :-1, :] - y) * area[:-1, None]
        near = own.mean() / area.mean()
    else:
        near = (_fair(ensemble, target) * area[:, None]).mean() / area.mean()
    found = MultiScale(windows=(1, 2), bands=bands).loss(ensemble, target, setting)
    assert found.item() == pytest.approx(float(near + wide) / 2, rel=1e-5)


def test_windows_of_the_energy_score_weigh_by_area() -> None:
    ensemble, target, setting = _weighed()
    area = torch.tensor(_AREAS, dtype=torch.float32)
    pair = area[:-1] + area[1:]

    def norm(field: Tensor) -> Tensor:
        square = field.square().mean(-1) * area
        return ((square[..., :-1] + square[..., 1:]) / pair).sqrt()

    far = norm(ensemble - target[:, None]).mean(1)
    near = norm(ensemble[:, :, None] - ensemble[:, None]).sum((1, 2)) / (2 * 4 * 3)
    expected = ((far - near) * pair).mean() / (2 * area.mean())
    found = Energy(patch=2).loss(ensemble, target, setting)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_pairs_of_the_variogram_loss_weigh_by_products_of_areas() -> None:
    ensemble, target, setting = _weighed()
    area = torch.tensor(_AREAS, dtype=torch.float32)
    terms = []
    for step in (1, 2):
        both = area[step:] * area[:-step]
        drawn = (ensemble[:, :, step:] - ensemble[:, :, :-step]).abs()
        seen = (target[:, step:] - target[:, :-step]).abs()
        own = (seen - drawn.mean(1)) ** 2 - drawn.var(1) / 4
        terms.append((own * both[:, None]).mean() / both.mean())
    objective = Variogram(order=1.0, reach=2, crps_share=0)
    found = objective.loss(ensemble, target, setting)
    assert found.item() == pytest.approx(float(sum(terms)) / 2, rel=1e-4)


def _scaling(areas: Any, states: Tensor) -> Scaling:
    dims = (Dimension(name="x", size=states.shape[-1]),)
    spec = StateSpec(variables=(Variable(name="q"), Variable(name="h")), dims=dims, areas=areas)
    scaling = Scaling(spec)
    scaling.learn(Training(Task(spec, timedelta(days=1)), states, states[:1]))
    return scaling


def test_scales_count_a_cell_of_area_three_as_three_cells() -> None:
    """Of many states, so that a count less one makes no difference."""
    generator = torch.Generator().manual_seed(1)
    size = torch.tensor([1.0, 4.0, 2.0, 1.0, 4.0, 0.2])
    states = (size * torch.randn(20, 200, 2, 6, generator=generator)).cumsum(1) / 10 + size
    states[..., 3] = 5.0  # a cell that never changes
    own, copied = _scaling(_AREAS, states), _scaling("equal", states[..., _COPIED])
    assert set(own.state_dict()) == set(copied.state_dict())  # old weights load
    for name in ("mean", "std", "change"):
        assert torch.allclose(getattr(own, name), getattr(copied, name), rtol=1e-4), name
    plain = _scaling("equal", states)
    assert not torch.allclose(own.change, plain.change, rtol=1e-2)


def test_denoising_weighs_squares_by_area() -> None:
    scaling = _scaling(_AREAS, torch.randn(4, 9, 2, 6, generator=torch.Generator().manual_seed(2)))
    loss = DenoisingLoss.__new__(DenoisingLoss)
    torch.nn.Module.__init__(loss)
    loss.network = SimpleNamespace(scaling=scaling)  # type: ignore[assignment] # all that is asked
    error = torch.randn(5, 6, 2, generator=torch.Generator().manual_seed(3))
    area = torch.tensor(_AREAS, dtype=torch.float32)
    expected = (error.square().mean(-1) @ area) / area.sum()
    assert torch.allclose(loss._squares(error), expected, rtol=1e-5)
