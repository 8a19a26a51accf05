"""The generative models: what they minimise, what they evaluate, and what they draw."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from basin import Basin
from torch import Tensor, nn

from geobench import (
    Batch,
    EnsembleModel,
    GeobenchError,
    Noise,
    Optimisation,
    Run,
    Simulator,
    Stage,
    Task,
)
from geobench import Training as Data
from geobench.forecasts.rollout import members
from geobench.testing import Decay, ModelConformance
from geobench.training.cost import StepCost
from geobench.training.evaluations import Evaluations
from geobench.twin.simulating import trajectories
from geobench_plugins.models.archesweather_gen import ArchesWeatherGen, ArchesWeatherGenFour
from geobench_plugins.models.fgn import FGN
from geobench_plugins.models.flow_map import FlowMap
from geobench_plugins.models.flow_matching import FlowMatching
from geobench_plugins.models.gencast import GenCast
from geobench_plugins.models.generative import Generative
from geobench_plugins.networks import flow_map
from geobench_plugins.networks.backbones import ResNet, UNet
from geobench_plugins.networks.denoiser import Denoiser, preconditioning
from geobench_plugins.networks.denoising import EARLIEST, DenoisingLoss, paired
from geobench_plugins.networks.sampling import Sampler

SMALL, FLAT = ResNet(width=16, blocks=2), UNet(widths=(8, 8))
BRIEF = Optimisation(passes=640, rows=32, warm_up=2)
SHORT = Optimisation(passes=192, rows=32, warm_up=1)


class TestFlowMatching(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMatching(backbone=SMALL, sampler=Sampler(evaluations=4), training=BRIEF)


class TestFlowMatchingOfSamples(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMatching(
            backbone=SMALL,
            prediction="sample",
            weight="balanced",
            flow_time="logit-normal",
            coupling="minibatch",
            sampler=Sampler(method="heun", evaluations=5),
            training=BRIEF,
        )


@pytest.mark.slow
class TestFlowMatchingOnAPlane(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMatching(backbone=FLAT, sampler=Sampler(evaluations=4), training=BRIEF)

    def simulator(self) -> Simulator:
        return Basin()


class TestGenCast(ModelConformance):
    def model(self) -> EnsembleModel:
        return GenCast(backbone=SMALL, training=BRIEF)


@pytest.mark.slow
class TestGenCastOnAPlane(ModelConformance):
    def model(self) -> EnsembleModel:
        return GenCast(backbone=FLAT, training=BRIEF)

    def simulator(self) -> Simulator:
        return Basin()


class TestArchesWeatherGen(ModelConformance):
    def model(self) -> EnsembleModel:
        return ArchesWeatherGen(backbone=SMALL, seeds=2, training=BRIEF)


@pytest.mark.slow
class TestArchesWeatherGenOnAPlane(ModelConformance):
    def model(self) -> EnsembleModel:
        return ArchesWeatherGen(backbone=FLAT, seeds=1, training=BRIEF)

    def simulator(self) -> Simulator:
        return Basin()


class TestFlowMap(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMap(backbone=SMALL, training=BRIEF)


@pytest.mark.slow
class TestFlowMapOnAPlane(ModelConformance):
    def model(self) -> EnsembleModel:
        return FlowMap(backbone=FLAT, training=BRIEF)

    def simulator(self) -> Simulator:
        return Basin()


def _training(rows: int = 64, *, seed: int = 0, steps: int = 50) -> Data:
    simulator = Decay()
    task = Task(simulator.spec, simulator.output_step)
    states = trajectories(simulator, Noise.rows(seed, "data", rows), spin_up=20, steps=steps)
    return Data(task, states, states[:4])


class _Silent(Denoiser):
    """F = 0."""

    def forward(self, given: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return 0 * x


def _loss(
    prediction: Any, weight: Any = "velocity", cls: type[Denoiser] = Denoiser
) -> DenoisingLoss:
    conditioning = FlowMatching().conditioning
    network = cls(Decay().spec, 2, backbone=SMALL, conditioning=conditioning, prediction=prediction)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)

    def nothing(noise: Noise) -> Any:
        raise NotImplementedError

    return DenoisingLoss(network, BRIEF, draw=nothing, times=nothing, weight=weight)


def _states(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Given states, changes and fresh noise, all N(0, 1)."""
    noise = Noise.rows(0, "states", rows)
    given = noise.use("given").normal(2, 1, 8)
    return given, noise.use("change").normal(8, 1), noise.use("fresh").normal(8, 1)


# -- what is minimised


@pytest.mark.parametrize("sigma", [0.02, 0.3, 1.0, 10.0, 88.0])
def test_the_loss_of_an_idle_network_is_one_at_every_noise_level(sigma: float) -> None:
    given, change, fresh = _states(20_000)
    loss = _loss("preconditioned", cls=_Silent).at(
        given, change, fresh, torch.full((20_000,), sigma)
    )
    # The mean of 160,000 squares has a standard error of 0.35 %: five are 1.8 %.
    assert float(loss.mean()) == pytest.approx(1, abs=0.018)


def test_preconditioning_leaves_the_input_at_little_noise_and_the_network_at_much() -> None:
    c_in, kept, scale = (float(x) for x in preconditioning(torch.tensor([1e-4]), 1))
    assert (c_in, kept, scale) == pytest.approx((1, 1, 1e-4), abs=1e-7)
    c_in, kept, scale = (float(x) for x in preconditioning(torch.tensor([1e4]), 1))
    assert (c_in, kept, scale) == pytest.approx((1e-4, 0, 1), abs=1e-7)
    # The input of the network has variance one at every level: c_in² (1 + sigma²).
    levels = torch.tensor([0.02, 1.0, 88.0])
    assert torch.allclose(
        preconditioning(levels, 1)[0].square() * (1 + levels.square()), torch.ones(3)
    )


@pytest.mark.parametrize("sigma", [0.05, 0.7, 20.0])
def test_the_loss_of_edm_is_the_weighted_error_of_the_estimate(sigma: float) -> None:
    given, change, fresh = _states(16)
    loss = _loss("preconditioned")
    t = torch.full((16,), sigma)
    found = loss.at(given, change, fresh, t)
    x = change + sigma * fresh
    estimate = loss.network.denoise(loss.network.scaling.inputs(given), x, sigma)
    error = (estimate - change).square().flatten(1).mean(1)
    assert torch.allclose(found, (sigma**2 + 1) / sigma**2 * error, rtol=1e-3)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
@pytest.mark.parametrize(
    ("weight", "factor"),
    [
        ("velocity", lambda t: 1 / t**2),
        ("balanced", lambda t: (1 - t) / t),
        ("sample", lambda t: 1.0),
    ],
)
@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_the_loss_of_a_flow_is_the_weighted_error_of_the_estimate(
    prediction: str, weight: str, factor: Any, t: float
) -> None:
    given, change, fresh = _states(16)
    loss = _loss(prediction, weight)
    found = loss.at(given, change, fresh, torch.full((16,), t))
    x = (1 - t) * change + t * fresh
    estimate = loss.network.denoise(loss.network.scaling.inputs(given), x, t)
    error = (estimate - change).square().flatten(1).mean(1)
    assert torch.allclose(found, factor(t) * error, rtol=1e-3)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
@pytest.mark.parametrize("weight", ["velocity", "balanced", "sample"])
def test_losses_and_gradients_are_finite_at_both_ends_of_time(prediction: str, weight: str) -> None:
    given, change, fresh = _states(2)
    loss = _loss(prediction, weight)
    value = loss.at(given, change, fresh, torch.tensor([EARLIEST, 1.0]))
    value.mean().backward()  # type: ignore[no-untyped-call]
    assert value.isfinite().all()
    if weight == "balanced":
        assert float(value[1].detach()) == 0  # nothing can be known of the change in pure noise
    gradients = [p.grad for p in loss.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(each.isfinite().all()) for each in gradients)


def test_pairs_of_a_batch_are_the_nearest_in_total() -> None:
    _, change, fresh = _states(6)
    found = paired(fresh, change)
    assert torch.equal(found.flatten(1).sort(0).values, fresh.flatten(1).sort(0).values)

    def total(order: Any) -> float:
        return float((fresh[list(order)] - change).square().sum())

    best = min(total(order) for order in itertools.permutations(range(6)))
    assert float((found - change).square().sum()) == pytest.approx(best, rel=1e-5)


class _Exact(flow_map.FlowMap):
    """The average velocity of changes N(0, SCALE²); `at_once`: that at t, whatever the span."""

    SCALE = 0.3
    at_once = False

    def forward(self, given: Tensor, x: Tensor, t: Tensor, span: Tensor | None = None) -> Tensor:
        now = self._deviation(t)
        found = (t - self.SCALE**2 * (1 - t)) / now.square()
        if span is not None and not self.at_once:
            found = torch.where(span > 0, (1 - self._deviation(t - span) / now) / span, found)
        return found.view(-1, 1, 1) * x

    def _deviation(self, t: Tensor) -> Tensor:
        return ((1 - t).square() * self.SCALE**2 + t.square()).sqrt()


def _exact() -> _Exact:
    conditioning = FlowMap().conditioning
    return _Exact(Decay().spec, 2, backbone=SMALL, conditioning=conditioning, prediction="velocity")


def _distillation(network: _Exact) -> tuple[flow_map.Distillation, Tensor, Tensor]:
    """With the given states and the paths of its teacher, which is exact."""
    rows = Noise.rows(0, "start", 512)

    def nothing(noise: Noise) -> Any:
        raise NotImplementedError

    loss = flow_map.Distillation(network, BRIEF, draw=nothing)
    given = torch.zeros(512, 8, 2)
    return loss, given, loss.path(given, rows.normal(8, 1), rows)


@pytest.mark.parametrize("evaluations", [1, 2, 4, 8])
def test_the_exact_map_of_a_flow_draws_its_law_in_any_number_of_steps(evaluations: int) -> None:
    start = Noise.rows(0, "start", 64).normal(8, 1)
    sampler = Sampler(method="euler", evaluations=evaluations)
    found = _exact().draw(torch.zeros(64, 8, 2), start, sampler, Noise.rows(0, "churn", 64))
    assert torch.allclose(found, _Exact.SCALE * start, atol=1e-5)


def test_paths_of_the_teacher_end_in_its_law() -> None:
    _, _, states = _distillation(_exact())
    assert states.shape == (9, 512, 8, 1)
    ratio = states.square().mean((1, 2, 3)).sqrt() / states[0].square().mean().sqrt()
    times = torch.tensor(flow_map.TEACHER.times())
    assert torch.allclose(ratio, _exact()._deviation(times), rtol=0.005)  # midpoint's own error


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_only_the_exact_map_has_no_error_to_distil(steps: int) -> None:
    network = _exact()
    loss, given, states = _distillation(network)
    row = torch.arange(512)
    size, place = torch.full_like(row, steps), row % steps
    exact = float(loss.at(given, states, row, size, place).mean())
    assert exact < 1e-3  # what the midpoint rule of the teacher is off
    network.at_once = True
    assert float(loss.at(given, states, row, size, place).mean()) > 10 * exact


def test_a_flow_map_trains_its_own_network_and_pays_for_the_paths() -> None:
    model = FlowMap(backbone=SMALL, training=BRIEF)
    run = Run(seed=0)
    forecaster = model.fit(_training(), run)
    assert all(parameter.requires_grad for parameter in forecaster.network.parameters())
    assert run.spent["sample_passes"] == pytest.approx(640, abs=32 * flow_map.COST)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_batch_that_one_has(processes: int) -> None:
    training = _training()

    def draw(noise: Noise) -> tuple[Tensor, Tensor]:
        states = training.windows(noise, 2)
        return states[:, :-1], states[:, -1]

    network = _exact()
    network.scaling.learn(training)
    network.at_once = True  # so that there is an error
    loss = flow_map.Distillation(network, BRIEF, draw=draw)
    whole, *parts = (
        float(loss(Batch(3, 1, 0.5, Run(seed=0), rank, count)))
        for rank, count in [(0, 1), *((rank, processes) for rank in range(processes))]
    )
    assert np.mean(parts) == pytest.approx(whole, rel=1e-5)


# -- what is evaluated


@pytest.mark.parametrize(
    ("model", "evaluations"),
    [
        (FlowMatching(backbone=SMALL, training=SHORT), 16),
        (GenCast(backbone=SMALL, training=SHORT), 19),
        (GenCast(backbone=SMALL, training=SHORT, sampler={"evaluations": 39}), 39),
        (ArchesWeatherGen(backbone=SMALL, training=SHORT), 25 + 1),
        (ArchesWeatherGenFour(backbone=SMALL, training=SHORT), 25 + 4),
        (FlowMap(backbone=SMALL, training=SHORT), 2),
    ],
    ids=["flow-matching", "gencast", "gencast-39", "archesweather-gen", "four", "flow-map"],
)
def test_evaluations_are_counted(model: EnsembleModel, evaluations: int) -> None:
    training = _training()
    forecaster = model.fit(training, Run(seed=0))
    assert StepCost.of(forecaster, training.train[:1, :2]).evaluations == evaluations
    counter = Evaluations()
    with counter.of(forecaster.network):
        members(
            forecaster,
            training.validation[:1, :2],
            [(0, member) for member in range(3)],
            leads=2,
            seed=0,
            spec=training.task.spec,
        )
    assert counter.rows % (2 * evaluations) == 0  # rows are filled up to a tile


@pytest.mark.parametrize("cls", [FlowMatching, GenCast, ArchesWeatherGen, FlowMap])
def test_samplers_share_one_training(cls: type[Generative]) -> None:
    one, two = cls(), cls().with_evaluations(4)
    assert two is not None
    assert isinstance(two, Generative)
    assert two.sampler == one.sampler.model_copy(update={"evaluations": 4})
    assert two.trained().recipe() == one.trained().recipe() == one.recipe()
    assert FGN().with_evaluations(4) is None


# -- what is drawn


@pytest.mark.slow
# On a law that is known: tolerances are bias a small network may have, and far from what no
# learning gives. The mean's error was 0.09 at most, and that of the spread 4 % (velocity, 10 seeds)
# and 6 % (GenCast, 3 seeds); 7 % (flow map, 12 seeds) with half as many trajectories.
@pytest.mark.parametrize(
    "model",
    [
        FlowMatching(
            backbone=ResNet(width=32, blocks=1),
            training=Optimisation(passes=8_000, learning_rate=5e-3),
        ),
        GenCast(
            backbone=ResNet(width=32, blocks=1),
            sampler={"evaluations": 39},
            training=Optimisation(passes=30_000, learning_rate=5e-3),
        ),
        ArchesWeatherGen(
            backbone=ResNet(width=32, blocks=1),
            seeds=1,
            sampler={"noise_scale": 1.0},
            training=Optimisation(passes=60_000, learning_rate=5e-3),
        ),
        FlowMap(
            backbone=ResNet(width=32, blocks=1),
            training=Optimisation(passes=16_000, learning_rate=5e-3),
        ),
    ],
    ids=["velocity", "gencast", "archesweather-gen", "flow-map"],
)
def test_they_learn_a_known_law(model: EnsembleModel) -> None:
    training = _training(rows=512)
    forecaster = model.fit(training, Run(seed=1))
    history = training.validation[:1, :2]
    # One state in every place of a tile: 16 x 32 members of it, and none is wasted.
    alike, rows = history.expand(16, -1, -1, -1), itertools.product(range(16), range(32))
    drawn = members(forecaster, alike, [*rows], leads=2, seed=2, spec=training.task.spec)
    mean, std, state = drawn.mean(0), drawn.std(0), history[0, -1]
    for lead in range(2):
        memory = 0.8 ** (lead + 1)
        assert float((mean[lead] - memory * state).abs().mean()) < 0.12
        assert float(std[lead].mean()) == pytest.approx(math.sqrt(1 - memory**2), rel=0.1)


def test_the_mean_has_not_seen_what_its_errors_are_measured_on() -> None:
    model = ArchesWeatherGen(backbone=SMALL, seeds=1, training=BRIEF)
    one = _training()
    other = replace(one, train=torch.cat([one.train[:, :40], 3 * one.train[:, 40:]], 1))
    first, second = (dict(model.fit(each, Run(seed=0)).weights()) for each in (one, other))
    learned = [key for key in first if key.startswith("0.") and "scaling" not in key]
    assert learned
    assert all(torch.equal(first[key], second[key]) for key in learned)
    # And they are of the last fifth: errors of states three times as large are larger.
    assert float(second["1.scaling.change"]) > 2 * float(first["1.scaling.change"])


def test_residuals_have_variance_one_where_the_mean_has_not_learned() -> None:
    from geobench_plugins.models.archesweather_gen import _with_means

    model = ArchesWeatherGen(backbone=SMALL, seeds=2, training=BRIEF)
    training, run = _training(), Run(seed=0)
    forecaster = model.fit(training, run)
    network: Any = forecaster.network
    _, held = training.split(0.8, 3)
    mean = model._mean.fit(training.split(0.8, 3)[0], Run(seed=0).part(0, 3))
    outcome, means = _with_means(held, mean, 2).train[:, 2:].flatten(0, 1).chunk(2, 1)
    residual = network[1].scaling.residual(means, outcome)
    assert float(residual.square().mean()) == pytest.approx(1, rel=1e-3)
    assert run.log["held_out_error"][0] == pytest.approx(1, abs=0.2)


def test_means_are_those_of_the_states_before() -> None:
    from geobench_plugins.models.archesweather_gen import _with_means

    training = _training(rows=3, steps=12)
    model = ArchesWeatherGen(backbone=SMALL, seeds=2, training=BRIEF)
    mean = model._mean.fit(training, Run(seed=0))
    states, means = _with_means(training, mean, 2).train.chunk(2, 2)
    assert torch.equal(states, training.train)
    expected = mean.step(training.train[1:2, 5:7], Noise.rows(0, "any", 1).at(1))
    assert torch.allclose(means[1, 7], expected[0], atol=1e-6)
    assert float(means[:, :2].abs().max()) == 0


# -- what cannot be


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="learns one step"):
        FlowMatching(training=Optimisation(stages=(Stage(leads=2),)))
    with pytest.raises(ValueError, match="is where its sampler starts"):
        FlowMatching(conditioning=FGN().conditioning)
    with pytest.raises(ValueError, match="nothing is left of the budget"):
        ArchesWeatherGen(mean_share=0.9, tuning_share=0.1)
    with pytest.raises(ValueError, match="evaluations: 1, 2, 4 or 8"):
        FlowMap(sampler=Sampler(method="euler", evaluations=3))
    with pytest.raises(ValueError, match="evaluations: 1, 2, 4 or 8"):
        FlowMap(sampler=Sampler(method="heun", evaluations=2))
    assert FlowMap(sampler=Sampler(evaluations=2)) == FlowMap.configured(
        {"sampler": {"evaluations": 2}}
    )
    with pytest.raises(ValueError, match="is not below highest"):
        GenCast(lowest=90.0)
    with pytest.raises(GeobenchError, match="leaves 2, and it needs 3"):
        ArchesWeatherGen(training=BRIEF).fit(_training(steps=10), Run(seed=0))
