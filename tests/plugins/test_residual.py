"""Scaling: changes of variance one, truncated references, cells that never move."""

import math
from dataclasses import replace

import pytest
import torch
from basin import Basin

from geobench import Dimension, Noise, Task, Training, Variable
from geobench.testing import Decay
from geobench.twin.simulating import trajectories
from geobench_plugins.networks.residual import Scaling, low_pass


def _learnt(simulator: Decay | Basin, kept: float = 1.0) -> tuple[Scaling, Training]:
    states = trajectories(simulator, Noise.rows(0, "data", 32), spin_up=0, steps=50)
    task = Task(simulator.spec, simulator.output_step)
    scaling = Scaling(simulator.spec, kept)
    training = Training(task, states, states[:4])
    scaling.learn(training)
    return scaling, training


@pytest.mark.parametrize("kept", [1.0, 0.5])
@pytest.mark.parametrize("simulator", [Decay(memory=0.99), Basin(memory=0.99)])
def test_normalised_changes_have_variance_one(simulator: Decay | Basin, kept: float) -> None:
    scaling, training = _learnt(simulator, kept)
    before, after = training.train[:, :-1].flatten(0, 1), training.train[:, 1:].flatten(0, 1)
    change = scaling.residual(before, after)
    moving = scaling.moving.expand_as(change)
    for channel in range(change.shape[-1]):
        there = change[..., channel][moving[..., channel]]
        assert float(there.std()) == pytest.approx(1, abs=1e-3)
    assert torch.allclose(scaling.apply_residual(before, change), after, atol=1e-5)


def test_channels_that_never_change_stay_as_they_are() -> None:
    scaling, training = _learnt(Basin())
    still = training.train.clone()
    still[:, :, 1] = 7.0
    scaling.learn(replace(training, train=still))
    state = still[:3, 0]
    drawn = scaling.apply_residual(state, torch.ones(3, 8, 12, 2))
    assert bool(drawn.isfinite().all())
    assert torch.equal(drawn[:, 1], state[:, 1])
    assert not bool(scaling.residual(state, state + 1)[..., 1].any())


def test_land_does_not_enter_mean_and_deviation() -> None:
    basin = Basin()
    scaling, training = _learnt(basin)
    sea = torch.from_numpy(basin.spec.sea)
    values = training.train[:, :, 0][..., sea]
    assert not bool(sea.all())
    assert float(scaling.mean[0]) == pytest.approx(float(values.mean()), abs=1e-6)
    assert float(scaling.std[0]) == pytest.approx(float(values.std()), rel=1e-5)


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_states_are_not_rounded_to_half_precision(kept: float) -> None:
    scaling, training = _learnt(Decay(sites=16), kept)
    before, after = 100 + training.train[:4, 0], 100 + training.train[:4, 1]
    expected = scaling.residual(before, after)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = scaling.residual(before, after)
    assert torch.allclose(found, expected, atol=1e-4)


def test_inputs_have_mean_zero_and_variance_one_and_lie_channels_last() -> None:
    scaling, training = _learnt(Decay(memory=0.5))
    past = training.train[:, 10:12]  # (row, frame, channel, site)
    inputs = scaling.inputs(3 + 0 * past + past)
    assert inputs.shape == (32, 8, 2)
    assert torch.allclose(inputs[..., 1], (3 + past[:, 1, 0] - scaling.mean) / scaling.std)


def test_walls_and_land_stay_as_they_are() -> None:
    basin = Basin()
    scaling, training = _learnt(basin, kept=0.5)
    assert torch.equal(scaling.moving.movedim(-1, 0), basin.wet)
    state = training.train[:3, 0]
    drawn = scaling.apply_residual(state, torch.ones(3, 8, 12, 2))
    assert torch.equal(drawn[:, ~basin.wet], state[:, ~basin.wet])
    assert bool((drawn[:, basin.wet] != state[:, basin.wet]).all())
    assert not bool(scaling.residual(state, state + 1)[:, ~basin.wet.movedim(0, -1)].any())


def _waves(dropped: float) -> Training:
    """Two channels on a ring of 16: waves 1 (kept by half a low pass) that turn, and waves 7.

    A wave of amplitude 1 that turns by a right angle each step changes by sqrt(2) times its own
    root mean square. In the first channel a steady wave 7 has `dropped` of that, in the second
    there is none.
    """
    simulator = Decay(sites=16)
    angle = 2 * math.pi / 16 * torch.arange(16, dtype=torch.float64)
    turn = math.pi / 2 * torch.arange(9, dtype=torch.float64)[:, None]
    slow = (angle - turn).cos()
    first = slow + dropped * math.sqrt(2) * (7 * angle).cos()
    states = torch.stack([first, slow], 1)[None].float()  # (trajectory, time, channel, site)
    two = tuple(_named(simulator.spec.variables[0], name) for name in "qr")
    spec = simulator.spec.model_copy(update={"variables": two})
    return Training(Task(spec, simulator.output_step), states, states)


def _named(variable: Variable, name: str) -> Variable:
    return variable.model_copy(update={"name": name})


@pytest.mark.parametrize(("size", "filtered"), [(0.05, True), (0.09, True), (0.12, False)])
def test_only_variables_that_lose_little_are_filtered(size: float, filtered: bool) -> None:
    training = _waves(size)
    scaling = Scaling(training.task.spec, 0.5, 0.1)
    scaling.learn(training)
    assert scaling.dropped == pytest.approx([size, 0], abs=1e-5)
    assert scaling.filtered.tolist() == [filtered, True]
    state = training.train[0]
    expected = _waves(0.0).train[0] if filtered else state
    assert torch.allclose(scaling.reference(state), expected, atol=1e-5)
    before, after = state[:-1], state[1:]
    change = scaling.residual(before, after)
    assert torch.allclose(scaling.apply_residual(before, change), after, atol=1e-5)
    restored = Scaling(training.task.spec, 0.5, 0.1)
    restored.load_state_dict(scaling.state_dict())
    assert torch.equal(restored.reference(state), scaling.reference(state))


def test_without_a_limit_everything_is_filtered() -> None:
    training = _waves(10.0)
    scaling = Scaling(training.task.spec, 0.5)
    scaling.learn(training)
    assert torch.allclose(scaling.reference(training.train[0]), _waves(0.0).train[0], atol=1e-4)


def test_small_differences_between_members_are_not_lost() -> None:
    # A member's change is what it was apart before and what it moved since.
    scaling, training = _learnt(Basin(), kept=0.5)
    truth, member = training.train[:2, 0], training.train[2:4, 0]
    after = training.train[:2, 1]
    by_states = scaling.residual(truth, after)
    by_changes = scaling.residual(member, after) + scaling.apart(member, truth)
    assert torch.allclose(by_states, by_changes, atol=1e-5)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("size", [12, 13])
def test_a_low_pass_keeps_what_is_long_and_removes_what_is_short(size: int, periodic: bool) -> None:
    matrix = low_pass(Dimension(name="x", size=size, periodic=periodic), 0.5).double()
    assert torch.allclose(matrix @ matrix, matrix, atol=1e-6)
    assert torch.allclose(matrix.sum(1), torch.ones(size, dtype=torch.float64), atol=1e-6)
    places = torch.arange(size, dtype=torch.float64)
    if periodic:  # wavenumbers up to half of the largest
        waves = {k: (2 * math.pi * k * places / size + 0.3).cos() for k in range(size // 2 + 1)}
        longest = size // 2 // 2
    else:  # half of the cosines that have no slope at the walls
        waves = {k: (math.pi * k * (places + 0.5) / size).cos() for k in range(size)}
        longest = size // 2 - 1
    for k, wave in waves.items():
        kept = wave if k <= longest else torch.zeros_like(wave)
        assert torch.allclose(matrix @ wave, kept, atol=1e-6), k


def test_keeping_everything_is_the_identity() -> None:
    for periodic in (True, False):
        for size in (12, 13):
            matrix = low_pass(Dimension(name="x", size=size, periodic=periodic), 1.0)
            assert torch.allclose(matrix, torch.eye(size), atol=1e-6)
