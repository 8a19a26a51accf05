"""A member's bits depend on its key alone; what a forecaster returns is checked."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from geobench import Forecaster, GeobenchError, Noise
from geobench.forecasts.rollout import Cost, blocks, members, of_block
from geobench.testing import Decay

SPEC = Decay().spec


class Matrix(Forecaster):
    """A matrix product and noise: the product's bits depend on how many rows it is given."""

    def __init__(self) -> None:
        self.matrix = Noise.rows(0, "matrix", 300).normal(8).T / 300**0.5
        self.net = torch.nn.Identity()

    @property
    def network(self) -> torch.nn.Module:
        return self.net

    def weights(self) -> Mapping[str, Tensor]:
        return {"matrix": self.matrix}

    def step(self, history: Tensor, noise: Noise) -> Tensor:
        mixed = self.net(history[:, -1]) @ self.matrix
        return (mixed @ self.matrix.T).tanh() + noise.normal(1, 8)


def _draw(rows: list[tuple[int, int]], histories: Tensor) -> Tensor:
    return members(Matrix(), histories, rows, leads=4, seed=1, spec=SPEC)


@pytest.fixture
def histories() -> Tensor:
    return Noise.rows(1, "histories", 21).normal(2, 1, 8)


def test_a_member_is_the_same_bits_for_any_batch_order_and_number(histories: Tensor) -> None:
    everything = [(init, member) for init in range(21) for member in range(6)]
    whole = _draw(everything, histories)
    shuffled = Noise.rows(2, "order", len(everything)).uniform()[:, None].flatten().argsort()
    for places in (
        shuffled.tolist(),  # another order
        list(range(len(everything)))[::6],  # one member
        [0],  # one row
        list(range(100, 126)),  # another batch
    ):
        assert torch.equal(_draw([everything[p] for p in places], histories), whole[places])


@pytest.mark.parametrize("batch", [(1, 9), (5, 2), (16, 4), (100, 100)])
def test_the_batch_size_of_a_forecast_does_not_matter(
    histories: Tensor, batch: tuple[int, int]
) -> None:
    def whole(batch: tuple[int, int], count: int) -> Tensor:
        states = torch.full((len(histories), 3, count, *SPEC.shape), float("nan"))
        for block in blocks(len(histories), count, batch):
            inits, numbers = (slice(rows.start, rows.stop) for rows in block)
            states[inits, :, numbers] = of_block(
                Matrix(), histories, block, leads=3, seed=1, spec=SPEC, cost=Cost()
            )
        return states

    expected = whole((21, 9), 9)
    assert torch.equal(whole(batch, 9), expected)
    assert torch.equal(whole(batch, 3), expected[:, :, :3])


def test_evaluations_are_counted(histories: Tensor) -> None:
    cost = Cost()
    block = (range(len(histories)), range(3))
    of_block(Matrix(), histories, block, leads=5, seed=1, spec=SPEC, cost=cost)
    summary = cost.summary(5)
    assert summary["evaluations_per_step"] == 1
    assert summary["seconds_per_member"] > 0


class Broken(Matrix):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def step(self, history: Tensor, noise: Noise) -> Tensor:
        return torch.zeros(len(noise), *self.shape)


@pytest.mark.parametrize("shape", [(8,), (1, 9), (2, 8), (1, 8, 1)])
def test_a_wrong_shape_is_told(histories: Tensor, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        GeobenchError, match=r"Broken.step returned .* shape .*expected \(64, 1, 8\)"
    ):
        members(Broken(shape), histories, [(0, 0)], leads=2, seed=1, spec=SPEC)
