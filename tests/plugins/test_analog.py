"""Analogs: what is near, what is drawn of it, and laws that are known."""

import math
from dataclasses import replace

import pytest
import torch
from basin import Basin
from torch import Tensor

from geobench import (
    Dimension,
    EnsembleModel,
    GeobenchError,
    Noise,
    Run,
    Simulator,
    StateSpec,
    Task,
    Training,
)
from geobench.forecasts.rollout import members
from geobench.testing import Decay, ModelConformance
from geobench.twin.simulating import trajectories
from geobench_plugins.models.analog import Analog
from geobench_plugins.networks.analogs import (
    Library,
    LocalIndex,
    chances,
    drawn,
    nearest,
    neighbourhoods,
)
from geobench_plugins.simulators.lorenz95 import Lorenz95


class TestAnalog(ModelConformance):
    def model(self) -> EnsembleModel:
        return Analog(neighbours=5)


class TestSuccessorsOfTwoFrames(ModelConformance):
    def model(self) -> EnsembleModel:
        return Analog(neighbours=5, frames=2, local=0, states=100)


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


@pytest.mark.parametrize("frames", [1, 2])
def test_the_index_finds_what_a_search_through_all_windows_finds(frames: int) -> None:
    """The same windows and weights, by distances of the cells around that are not beyond a wall."""
    training = _training(Basin(), rows=6, steps=17)
    library = Library.learn(training, frames, 1000)
    past = 2 * Noise.rows(0, "past", 4).normal(frames, *training.task.spec.shape) * Basin().wet
    places, logs = LocalIndex(library, 2).nearest(past, 9)
    away = library.normal(past)[:, None].double() - library.windows().double()
    away = away.square().sum((2, 3))
    for y, x in ((4, 5), (0, 0), (7, 11)):  # inside; at walls and around the ring
        near_y = [k for k in range(y - 2, y + 3) if 0 <= k < 8]
        near_x = [k % 12 for k in range(x - 2, x + 3)]
        exact, expected = nearest(away[:, :, near_y][:, :, :, near_x].sum((2, 3)), 9)
        assert torch.equal(places[:, y, x], exact)
        assert torch.allclose(logs[:, y, x].double(), expected, rtol=1e-4, atol=1e-5)


def test_distances_weigh_cells_by_area() -> None:
    """A cell of area 4 is as four cells: of whole fields, and of the cells around."""
    training = _training(Decay(sites=5), rows=4, steps=9)
    areas, cells = (1.0, 4.0, 1.0, 1.0, 1.0), [0, 1, 1, 1, 1, 2, 3, 4]
    x = Dimension(name="x", size=5, periodic=True)
    spec = StateSpec(variables=training.task.spec.variables, dims=(x,), areas=areas)
    weighed = replace(training, task=replace(training.task, spec=spec))
    copied = replace(
        training,
        task=replace(training.task, spec=Decay(sites=8).spec),
        train=training.train[..., cells],
    )
    past = Noise.rows(0, "past", 4).normal(1, 1, 5)
    one, other = (Library.learn(each, 1, 1000) for each in (weighed, copied))
    # Means over all cells, as standard deviations are: a cell of mean area counts one.
    expected = other.squares(past[..., cells]) * 5 / 8
    assert torch.allclose(one.squares(past), expected, rtol=1e-4)
    places, _ = LocalIndex(one, 1).nearest(past, 5)
    exact, _ = nearest(
        (one.normal(past) - one.windows()[:, None])
        .square()
        .mul(torch.tensor(areas))[..., [0, 1, 2]]
        .sum((2, 3, 4))
        .T,
        5,
    )
    assert torch.equal(places[:, 1], exact)


def test_windows_have_numbers_of_their_own() -> None:
    """Uniform, by cells and rows: 200,000 numbers in 20 bins; chi-squared below 58 but 1e-5."""
    words = Noise.rows(0, "words", 200).words(2)
    windows = torch.arange(1000).expand(200, -1)
    found = chances(words, windows)
    assert bool(((found > 0) & (found < 1)).all())
    counts = torch.histc(found, 20, 0, 1)
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 58
    correlation = torch.corrcoef(torch.stack([found[:-1].flatten(), found[1:].flatten()]))[0, 1]
    assert abs(float(correlation)) < 5 / math.sqrt(199_000)
    turned = windows.flip(1).reshape(200, 10, 100)
    assert torch.equal(chances(words, turned).flatten(1).flip(1), found)


@pytest.mark.slow
@pytest.mark.parametrize("model", [Analog(), Analog(local=0)], ids=["default", "whole"])
def test_long_forecasts_stay_within_the_climate(model: Analog) -> None:
    """Of chaos, for 150 days: no value beyond the train states', at any cell.

    Mean and variance are kept, too. Over the last 100 days of 64 members, some 400 independent
    states, the mean is within 0.4 (5 standard errors of 3.6 / √(400 · 5)) of the train states' and
    the standard deviation within 10 %.
    """
    simulator = Lorenz95()
    states = trajectories(simulator, Noise.rows(0, "data", 8), spin_up=40, steps=300)
    training = Training(Task(simulator.spec, simulator.output_step), states, states[:2])
    starts = states[:4, 50:54].reshape(16, 1, *states.shape[2:])  # a whole tile: none is wasted
    found = _draw(model, training, starts, 4, leads=150)
    assert bool((found <= states.amax((0, 1)) + 1e-4).all())
    assert bool((found >= states.amin((0, 1)) - 1e-4).all())
    late = found[:, :, 50:]
    assert float(late.mean()) == pytest.approx(float(states.mean()), abs=0.4)
    assert float(late.std()) == pytest.approx(float(states.std()), rel=0.1)


def test_analogs_are_local_on_a_line_only() -> None:
    """By default: trees of planes have as many numbers as 75 and find nothing quickly."""
    for simulator, local in ((Decay(), 2), (Basin(), 0)):
        training = _training(simulator)
        history = training.validation[:, :1]
        default, named = (
            _draw(each, training, history, 4) for each in (Analog(), Analog(local=local))
        )
        assert torch.equal(default, named)


@pytest.mark.parametrize("local", [0, 1])
def test_a_state_that_was_there_before_goes_on_as_it_did(local: int) -> None:
    """With one neighbour, whole train trajectories are found again, step by step."""
    training = _training(Decay())
    for frames in (1, 2):
        model = Analog(neighbours=1, local=local, frames=frames)
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
    errors: dict[int, float] = {}
    for local in (0, 1):
        model = Analog(neighbours=100, local=local)
        mean, std, state = _moments(model, training, 60)
        errors[local] = float((mean - 0.8 * state).square().mean().sqrt())
        if local:
            assert float(std.mean()) == pytest.approx(0.6, rel=0.1)
    # The mean of 60 members of some 70 neighbours is off by 0.11 even if these are perfect.
    assert errors[1] < 0.17
    assert errors[0] > 0.3


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
    [Analog(neighbours=5), Analog(neighbours=5, local=2)],
    ids=["whole", "local"],
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


def test_a_neighbourhood_wider_than_the_grid_is_the_grid() -> None:
    """Every cell once: on a ring and between walls."""
    for periodic in (True, False):
        dims = (Dimension(name="x", size=5, periodic=periodic),)
        spec = StateSpec(variables=Decay().spec.variables, dims=dims)
        for reach in (2, 4, 7):
            wide = [sorted(cells.tolist()) for cells in neighbourhoods(spec, reach)]
            if periodic or reach > 3:
                assert wide == [[0, 1, 2, 3, 4]] * 5
            else:
                assert wide == [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [1, 2, 3, 4], [2, 3, 4]]
