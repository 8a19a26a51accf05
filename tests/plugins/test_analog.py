"""Analogs: what is near, what is drawn of it, and laws that are known."""

import math

import pytest
import torch
from basin import Basin
from torch import Tensor

from geobench import EnsembleModel, GeobenchError, Noise, Run, Simulator, Task, Training
from geobench.forecasting import members
from geobench.simulating import trajectories
from geobench.testing import Decay, ModelConformance
from geobench_plugins.models.analog import Analog
from geobench_plugins.networks.analogs import Library, drawn, nearest


class TestAnalog(ModelConformance):
    def model(self) -> EnsembleModel:
        return Analog(neighbours=5)


class TestSuccessorsOfTwoFrames(ModelConformance):
    def model(self) -> EnsembleModel:
        return Analog(neighbours=5, frames=2, increment=False, states=100)


class TestLocalAnalog(ModelConformance):
    def model(self) -> EnsembleModel:
        return Analog(neighbours=5, local=1)


class TestLocalAnalogInABasin(ModelConformance):
    def model(self) -> EnsembleModel:
        return Analog(neighbours=5, local=2, frames=2)

    def simulator(self) -> Simulator:
        return Basin()


def _training(simulator: Simulator, rows: int = 64, steps: int = 50) -> Training:
    task = Task(simulator.spec, simulator.output_step)
    states = trajectories(simulator, Noise.rows(0, "data", rows), spin_up=0, steps=steps)
    return Training(task, states, states[:4])


def _draw(model: Analog, training: Training, history: Tensor, count: int, leads: int = 1) -> Tensor:
    forecaster = model.fit(training, Run(seed=1))
    rows = [(init, member) for init in range(len(history)) for member in range(count)]
    found = members(forecaster, history, rows, leads=leads, seed=2, spec=training.task.spec)
    return found.unflatten(0, (len(history), count))  # type: ignore[no-any-return, no-untyped-call]


@pytest.mark.parametrize("frames", [1, 2])
def test_distances_are_those_of_normalised_fields(frames: int) -> None:
    training = _training(Basin(), rows=3, steps=7)
    library = Library.learn(training, frames, 1000)
    past = 2 * Noise.rows(0, "past", 4).normal(frames, *training.task.spec.shape)
    anomalies = training.train - training.train.mean((0, 1))
    std = anomalies.square().mean((0, 1, 3, 4)).sqrt()[:, None, None]
    windows = [
        training.train[which, start : start + frames]
        for which in range(3)
        for start in range(7 - frames)
    ]
    away = ((past[:, None] - torch.stack(windows)) / std).square()
    whole = library.squares(past)
    assert torch.allclose(whole, away.flatten(2).sum(2), rtol=1e-4)
    assert whole.shape == (4, len(library))
    local = library.local_squares(past[1], training.task.spec, 2)
    at_all = away[1].sum((1, 2))
    for y, x in ((4, 5), (0, 0), (7, 11)):  # inside; at walls and around the ring
        near_y = [k for k in range(y - 2, y + 3) if 0 <= k < 8]
        near_x = [k % 12 for k in range(x - 2, x + 3)]
        exact = at_all[:, near_y][:, :, near_x].sum((1, 2))
        assert torch.allclose(local[y, x], exact, rtol=1e-4)


@pytest.mark.parametrize("increment", [True, False])
@pytest.mark.parametrize("local", [None, 1])
def test_a_state_that_was_there_before_goes_on_as_it_did(
    local: int | None, increment: bool
) -> None:
    """With one neighbour, whole train trajectories are found again, step by step."""
    training = _training(Decay())
    for frames in (1, 2):
        model = Analog(neighbours=1, local=local, increment=increment, frames=frames)
        history = training.train[:3, 10 : 10 + frames]
        found = _draw(model, training, history, 2, leads=5)
        exact = training.train[:3, None, 10 + frames : 15 + frames]
        assert torch.allclose(found, exact.expand_as(found), atol=1e-4)


def test_members_are_drawn_with_the_weights_of_the_kernel() -> None:
    """Chi-squared of 20,000 draws over three windows: false alarm 1e-6 (2 degrees: 27.6)."""
    places, logs = nearest(torch.tensor([9.0, 4.0, 1.0, 0.0, 2.0]), 3)
    assert places.tolist() == [3, 2, 4]
    assert torch.allclose(logs.exp(), torch.tensor([1.0, 0.75, 0.5]))
    chances = Noise.rows(0, "draws", 20_000).uniform(3)
    found = drawn(places.expand(20_000, -1), logs.expand(20_000, -1), chances)
    counts = torch.tensor([(found == place).sum() for place in (3, 2, 4)])
    expected = 20_000 * torch.tensor([1.0, 0.75, 0.5]) / 2.25
    assert float(((counts - expected) ** 2 / expected).sum()) < 27.6


def test_states_that_are_equally_near_are_drawn_equally_often() -> None:
    _, logs = nearest(torch.zeros(2, 5), 3)
    assert torch.equal(logs, torch.zeros(2, 3))
    _, logs = nearest(torch.ones(2, 5), 3)
    assert torch.equal(logs, logs[:, :1].expand_as(logs))


def _moments(model: Analog, training: Training, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of members from 16 states, and the states."""
    history = training.validation[:, [20, 25, 30, 35]].flatten(0, 1)[:, None]
    found = _draw(model, training, history, count)[:, :, 0]
    return found.mean(1), found.std(1), history[:, 0]


def _split(simulator: Simulator) -> Training:
    """16,000 train states, and others for validation."""
    whole = _training(simulator, rows=204, steps=80)
    return Training(whole.task, whole.train[:200], whole.train[200:])


def test_analogs_of_few_numbers_have_the_law() -> None:
    """N(0.8 x, 0.36) at 2 sites.

    The mean of 100 neighbours, some 70 of them by weight, is off by 0.6/√70 = 0.07, and their
    standard deviation by 0.05: root mean squares over 32 numbers are within twice that.
    """
    mean, std, state = _moments(Analog(neighbours=100), _split(Decay(sites=2)), 400)
    assert float((mean - 0.8 * state).square().mean().sqrt()) < 0.14
    assert float((std - 0.6).square().mean().sqrt()) < 0.1
    assert float(std.mean()) == pytest.approx(0.6, rel=0.05)
    assert float(state.square().mean()) > 0.5


def test_local_analogs_are_nearer_in_many_dimensions() -> None:
    """At 30 independent sites no whole field is like another; three neighbouring sites are."""
    training = _split(Decay(sites=30))
    errors = {}
    for local in (None, 1):
        model = Analog(neighbours=100, local=local, increment=False)
        mean, std, state = _moments(model, training, 60)
        errors[local] = float((mean - 0.8 * state).square().mean().sqrt())
        if local:
            assert float(std.mean()) == pytest.approx(0.6, rel=0.1)
    # The mean of 60 members of some 70 neighbours is off by 0.11 even if these are perfect.
    assert errors[1] < 0.17
    assert errors[None] > 0.3


class _Common(Decay):
    """Decay whose kicks, and so whose states, are the same at all sites."""

    name = "common"

    def initial(self, noise: Noise) -> Tensor:
        return noise.use("initial").normal(1, 1).expand(-1, -1, self.sites).clone()

    def advance(self, state: Tensor, steps: int, noise: Noise) -> Tensor:
        size = math.sqrt(1 - self.memory**2)
        for step in range(steps):
            state = self.memory * state + size * noise.at(noise.lead + step).normal(1, 1)
        return state


def test_cells_with_the_same_analogs_draw_the_same() -> None:
    """Neighbours move together if they did so before, though each looks for its own analogs."""
    training = _training(_Common())
    found = _draw(Analog(neighbours=20, local=2), training, training.validation[:, :1] + 0.1, 30, 3)
    assert torch.allclose(found, found[..., :1].expand_as(found), atol=1e-5)
    assert float(found[:, :, 0, 0, 0].std(1).min()) > 0.3


@pytest.mark.parametrize(
    "model",
    [Analog(neighbours=5), Analog(neighbours=5, increment=False), Analog(neighbours=5, local=2)],
    ids=["increment", "successor", "local"],
)
def test_land_and_walls_stay_as_they_are(model: Analog) -> None:
    training = _training(Basin())
    found = _draw(model, training, training.validation[:, :1], 3, leads=3)
    assert bool((found[..., ~Basin().wet] == 0).all())
    assert bool((found[..., Basin().wet] != 0).all())


def test_the_library_is_of_whole_trajectories() -> None:
    training = _training(Decay(), rows=10, steps=50)
    assert len(Library.learn(training, 1, 120)) == 2 * 49
    assert len(Library.learn(training, 2, 20)) == 18
    assert len(Library.learn(training, 2, 10_000)) == 10 * 48


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Analog(frames=3), "it looks at 3 past frames, and the experiment gives 2"),
        (Analog(states=2, frames=2), "need 3 states in a row, and there are 2"),
        (Analog(neighbours=4000), "neighbours = 4000, and 3136 past states"),
    ],
)
def test_what_cannot_be_is_told(model: Analog, told: str) -> None:
    with pytest.raises(GeobenchError, match=told):
        model.fit(_training(Decay()), Run(seed=0))


def test_a_neighbourhood_wider_than_the_grid_is_told() -> None:
    training = _training(Decay())
    with pytest.raises(GeobenchError, match="local = 4 looks at 9 cells, and x has 8"):
        _draw(Analog(local=4), training, training.validation[:, :1], 1)
