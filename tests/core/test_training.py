"""The training engine: budget, schedule, averaging, validation, checkpoints, diagnosis."""

import csv
import json
import math
import warnings
from datetime import timedelta
from pathlib import Path

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import safe_open
from small_network import Network, SmallForecaster, SmallLoss
from torch import Tensor, nn

from geobench import Batch, GeobenchError, Law, Noise, Optimisation, Run, Stage, Training, optimise
from geobench.contracts.model import Task
from geobench.contracts.validation import Validation
from geobench.testing import Decay
from geobench.training import checkpoint, cost, logs, processes, validating
from geobench.training.diagnosis import Diagnosis
from geobench.training.validating import Figures
from geobench.twin.simulating import trajectories

BRIEF = Optimisation(passes=3200, rows=32, learning_rate=0.02, warm_up=5)


@pytest.fixture(scope="module")
def training() -> Training:
    simulator = Decay()
    task = Task(simulator.spec, simulator.output_step, history=1)
    train, validation = (
        trajectories(simulator, Noise.rows(seed, "data", 32), spin_up=20, steps=30)
        for seed in (0, 1)
    )
    return Training(task, train, validation)


class Line(nn.Module):
    """(w - 3)² at every step, whatever the batch: gradients known by hand."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([start]))
        self.batches: list[Batch] = []

    def forward(self, batch: Batch) -> Tensor:
        self.batches.append(batch)
        return (self.w - 3).square().sum()


class Scripted(nn.Module):
    """A loss with the values it is told, by step."""

    def __init__(self, values: dict[int, float]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))
        self._values = values

    def forward(self, batch: Batch) -> Tensor:
        return (1 + 0 * self.w.sum()) * self._values.get(batch.step, 1.0)


def fitted(training: Training, how: Optimisation, run: Run) -> Network:
    network = Network(1, run.noise("weights", 1))
    optimise(SmallLoss(network, training, how.rows), how, run, SmallForecaster(network))
    return network


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# -- budget and schedule


def test_a_stage_takes_its_share_of_the_budget() -> None:
    stages = (Stage(share=0.8), Stage(leads=2, share=0.16, rate=0.1), Stage(leads=4, share=0.04))
    how = Optimisation(passes=1000, rows=10, stages=stages)
    assert [(span.steps, span.leads) for span in how.spans] == [(80, 1), (8, 2), (1, 4)]
    assert how.steps == 89
    assert how.spent(89) == 80 * 10 + 8 * 20 + 40
    assert how.spent(81) == 820


def test_a_later_stage_too_short_for_a_step_is_left_out() -> None:
    how = Optimisation(passes=100, rows=10, stages=(Stage(share=0.9), Stage(leads=2, share=0.1)))
    assert how.steps == 9
    assert Optimisation(passes=5, rows=10).steps == 1


def test_shares_must_sum_to_one() -> None:
    with pytest.raises(ValidationError, match=r"the shares sum to 0\.7; make them sum to 1"):
        Optimisation(stages=(Stage(share=0.5), Stage(share=0.2)))


def test_every_stage_warms_up_and_decays_to_zero() -> None:
    stages = (Stage(share=0.5), Stage(leads=2, share=0.5, rate=0.1))
    how = Optimisation(passes=4000, rows=10, learning_rate=1.0, warm_up=9, stages=stages)
    assert [span.steps for span in how.spans] == [200, 100]
    assert how.rate(0) == pytest.approx(0.1)
    assert how.rate(100) == pytest.approx(0.5)  # half of the cosine
    assert how.rate(199) < 1e-3
    assert how.rate(200) == pytest.approx(0.01)
    assert how.rate(250) == pytest.approx(0.05)


def test_a_loss_is_told_step_rollout_and_share_of_the_budget() -> None:
    how = Optimisation(passes=80, rows=10, stages=(Stage(share=0.5), Stage(leads=2, share=0.5)))
    line = Line()
    optimise(line, how, Run(seed=0))
    told = [(b.step, b.leads, b.done) for b in line.batches[1:]]  # the first counts operations
    assert told == [
        (0, 1, 0),
        (1, 1, 0.125),
        (2, 1, 0.25),
        (3, 1, 0.375),
        (4, 2, 0.5),
        (5, 2, 0.75),
    ]


def test_the_first_steps_are_those_of_adam_by_hand() -> None:
    how = Optimisation(
        passes=2, rows=1, learning_rate=0.1, warm_up=0, averaging=0, weight_decay=0, clip=1e9
    )
    line = Line()
    optimise(line, how, Run(seed=0))
    # Two equal gradients' worth: Adam's first step is the rate, whatever the gradient.
    w = 0.1
    g1, g2 = 2 * (0 - 3.0), 2 * (w - 3.0)
    m = (0.9 * 0.1 * g1 + 0.1 * g2) / (1 - 0.9**2)
    v = (0.95 * 0.05 * g1**2 + 0.05 * g2**2) / (1 - 0.95**2)
    w -= 0.1 * 0.5 * m / math.sqrt(v)  # the cosine is at its half
    assert line.w.item() == pytest.approx(w, rel=1e-5)


def test_the_average_of_the_weights_is_what_is_kept() -> None:
    kept = []
    for averaging in (0.0, 0.9):
        how = Optimisation(passes=6, rows=1, learning_rate=0.1, warm_up=0, averaging=averaging)
        seen: list[float] = []
        line = Line()
        line.register_forward_pre_hook(lambda module, _, seen=seen: seen.append(module.w.item()))
        optimise(line, how, Run(seed=0))
        kept.append((seen[1:], line.w.item()))
    (without, last), (with_average, average) = kept
    assert without == with_average  # averaging does not touch the training
    expected = 0.0
    for step, weight in enumerate([*without[1:], last]):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert average == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped() -> None:
    norms = []
    line = Line(start=1000.0)
    line.w.register_post_accumulate_grad_hook(lambda w: norms.append(w.grad.norm().item()))
    how = Optimisation(passes=3, rows=1, clip=0.5)

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):  # type: ignore[no-untyped-def]
            norms.append(self.param_groups[1]["params"][0].grad.norm().item())
            return super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Watched)
        optimise(line, how, Run(seed=0))
    counted, *pairs = norms
    assert counted > 1000
    assert all(each > 1000 for each in pairs[::2])
    assert pairs[1::2] == pytest.approx([0.5] * 3)


# -- repeatability


def test_the_same_seed_gives_the_same_weights(training: Training) -> None:
    one, again, other = (fitted(training, BRIEF, Run(seed=seed)) for seed in (1, 1, 2))
    assert equal(one, again)
    assert not equal(one, other)


def test_validation_checkpoints_and_logs_change_nothing(training: Training, tmp_path: Path) -> None:
    watched = Run(seed=1, validation=Validation.of(training), folder=tmp_path, checkpoint_every=0)
    assert equal(fitted(training, BRIEF, Run(seed=1)), fitted(training, BRIEF, watched))


def test_cuda_is_a_device_with_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.device("cuda") == "cuda:0"  # torch.cuda.set_device takes no other
    assert processes.device("cpu") == "cpu"
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert processes.device("cuda") == "cuda:3"
    assert processes.device("cuda:1") == "cuda:1"


def test_a_batch_is_shared_by_processes_without_changing(training: Training) -> None:
    run = Run(seed=3)
    whole = Batch(5, 1, 0.0, run).noise(6).normal(2)
    shares = [Batch(5, 1, 0.0, run, rank, 3).noise(6).normal(2) for rank in range(3)]
    assert torch.equal(torch.stack(shares, 1).flatten(0, 1), whole)
    with pytest.raises(GeobenchError, match="7 rows cannot be shared by 3 processes"):
        Batch(0, 1, 0.0, run, 0, 3).noise(7)


def test_parts_have_noise_of_their_own_and_one_log() -> None:
    run = Run(seed=0)
    assert run.part(0, 1) is run
    parts = [run.part(index, 2) for index in range(2)]
    drawn = [each.noise("weights", 1).normal(3) for each in (run, *parts)]
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])
    for part in parts:
        optimise(Line(), Optimisation(passes=4, rows=2), part)
    assert run.log["passes"] == [2, 4, 6, 8]
    assert run.spent["sample_passes"] == 8


def test_half_precision_keeps_weights_in_single(training: Training) -> None:
    half = Optimisation.model_validate(dict(BRIEF) | {"precision": "bfloat16"})
    network, single = (fitted(training, how, Run(seed=1)) for how in (half, BRIEF))
    assert {each.dtype for each in network.state_dict().values()} == {torch.float32}
    assert not equal(network, single)
    assert torch.allclose(network.conv.weight, single.conv.weight, atol=0.05)


# -- validation


def test_figures_are_those_of_a_hand_computed_toy() -> None:
    sea = torch.tensor([True, True, False])
    given = Validation(torch.zeros(1, 2, 1, 3), torch.tensor([2.0]), sea)
    members = torch.tensor([[[[0.0, 4.0, 9.0]], [[2.0, 4.0, -9.0]]]])
    outcome = torch.tensor([[[1.0, 0.0, 0.0]]])
    found = validating.figures(members, outcome, given)
    # Cell 0: |x - y| = 1, half the pair's distance 1; cell 1: 4 and 0; in units of 2.
    assert found.crps == pytest.approx((0 + 4) / 2 / 2)
    assert found.spread == pytest.approx(math.sqrt((2 + 0) / 2) / 2)
    assert found.error == pytest.approx(math.sqrt((0 + 16) / 2) / 2)


def test_equal_members_score_their_absolute_error() -> None:
    given = Validation(torch.zeros(1, 2, 1, 2), torch.ones(1), torch.ones(2, dtype=torch.bool))
    members = torch.tensor([[[[1.0, -2.0]]]]).expand(1, 4, 1, 2)
    found = validating.figures(members, torch.zeros(1, 1, 2), given)
    assert found.crps == pytest.approx(1.5)
    assert found.spread == 0


def test_the_ends_are_those_of_the_normal_law(training: Training) -> None:
    # CRPS of N(0, s²) drawn fairly: s/sqrt(pi). The climate is N(0, 1), a step has s = 0.6. Of 64
    # windows of 8 sites the standard error is below 4 %: five of them fail one in a million.
    validation = Validation.of(training, windows=256)
    assert validation is not None
    ends = validating.with_ends(validation, training, Law(Decay()))
    assert validation.scale.item() == pytest.approx(1, abs=0.1)
    assert ends.climatology == pytest.approx(1 / math.sqrt(math.pi), rel=0.1)
    assert ends.oracle == pytest.approx(0.6 / math.sqrt(math.pi), rel=0.1)
    assert ends.share(ends.climatology) == 0
    assert ends.share(ends.oracle) == 1
    assert validation.share(0.3) is None


def test_members_are_scored_as_often_as_asked(training: Training) -> None:
    how = Optimisation(passes=32_000, rows=64, learning_rate=0.02, warm_up=5, validations=5)
    run = Run(seed=1, validation=Validation.of(training))
    fitted(training, how, run)
    assert run.log["validation_passes"] == [6400 * k for k in range(6)]
    first, *_, last = run.log["validation_crps"]
    assert last < 0.85 * first
    assert last == pytest.approx(0.34, abs=0.05)
    never = Optimisation.model_validate(dict(how) | {"validations": 0, "passes": 320})
    run = Run(seed=1, validation=Validation.of(training))
    fitted(training, never, run)
    assert "validation_crps" not in run.log


def test_costly_forecasters_are_validated_on_less() -> None:
    how = Optimisation(passes=150_000)
    assert validating.plan(how, 1, 64) == (20, 64)
    times, windows = validating.plan(how, 16, 64)
    assert windows == 16
    assert 4 <= times < 20
    assert validating.plan(how, 1, 5) == (20, 5)


def test_too_short_a_split_is_not_validated_on(training: Training) -> None:
    short = Training(training.task, training.train, training.validation[:, :1])
    assert Validation.of(short) is None


# -- windows


def test_windows_hold_past_and_future(training: Training) -> None:
    noise = Noise.rows(0, "windows", 50)
    clock = torch.arange(30.0).view(1, 30, 1, 1).expand(2, 30, 1, 8)
    task = Task(training.task.spec, timedelta(days=1), history=2)
    found = Training(task, clock, clock).windows(noise, 2, 3)
    assert found.shape == (50, 5, 1, 8)
    assert torch.equal(found[:, 1:] - found[:, :-1], torch.ones(50, 4, 1, 8))
    assert found[:, 0].min() == 0
    assert found[:, -1].max() == 29


def test_windows_that_do_not_fit_are_refused(training: Training) -> None:
    noise = Noise.rows(0, "windows", 1)
    with pytest.raises(GeobenchError, match=r"it looks at 2 past frames, and .* gives 1"):
        training.windows(noise, 2)
    with pytest.raises(GeobenchError, match=r"windows of 31 steps \(1 past, 30 to forecast\).* 30"):
        training.windows(noise, 1, 30)


# -- diagnosis


def _loads(error: pytest.ExceptionInfo[GeobenchError], folder: Path) -> dict[str, Tensor]:
    """The weights that a message names."""
    path = folder / "training.safetensors"
    assert str(path) in str(error.value)
    tensors = safetensors.torch.load_file(path)
    return {k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights/")}


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    loss = Scripted({150: float("nan")})
    run = Run(seed=0, folder=tmp_path, checkpoint_every=0)
    with pytest.raises(
        GeobenchError, match=r"the loss is nan at step 151 of 1,000\. Lower"
    ) as told:
        optimise(loss, Optimisation(passes=1000, rows=1, learning_rate=0.01), run)
    weights = _loads(told, tmp_path)
    assert bool(weights["w"].isfinite().all())
    assert "The weights of step 150 " in str(told.value)
    loss.load_state_dict(weights)


def test_without_a_folder_it_says_that_nothing_is_kept() -> None:
    with pytest.raises(GeobenchError, match="No weights from before are kept"):
        optimise(Scripted({0: float("inf")}), Optimisation(passes=10, rows=1), Run(seed=0))


def test_losses_far_above_their_beginning_stop_the_training(tmp_path: Path) -> None:
    high = dict.fromkeys(range(400, 2000), 200.0)
    run = Run(seed=0, folder=tmp_path, checkpoint_every=0)
    with pytest.raises(GeobenchError, match=r"losses are 200 or more at step 420") as told:
        optimise(Scripted(high), Optimisation(passes=2000, rows=1), run)
    assert "The weights of step 400 " in str(told.value)
    assert bool(_loads(told, tmp_path)["w"].isfinite().all())


@pytest.mark.slow
def test_single_large_losses_do_not_stop_it() -> None:
    spikes = dict.fromkeys(range(100, 2000, 3), 1e6)
    optimise(Scripted(spikes), Optimisation(passes=2000, rows=1), Run(seed=0))


def test_heavy_tails_do_not_stop_it() -> None:
    # Losses of the law of 1/u, u uniform: their mean does not exist, and nothing has diverged.
    drawn = 1 / Noise.rows(0, "tails", 1).uniform(20_000)[0]
    how = Optimisation(passes=20_000, rows=1)
    diagnosis = Diagnosis(how, 0.5)
    for number, losses in enumerate(drawn.split(200)):
        diagnosis.losses(losses, 200 * (number + 1), "")


def test_two_validations_far_above_the_best_stop_it() -> None:
    diagnosis = Diagnosis(Optimisation(passes=100, rows=1), 0.5)
    diagnosis.validation(Figures(1.0, 1, 1), 0, "")
    diagnosis.validation(Figures(0.2, 1, 1), 10, "")
    diagnosis.validation(Figures(0.7, 1, 1), 20, "")
    assert not diagnosis.well([])
    diagnosis.validation(Figures(0.3, 1, 1), 30, "")
    diagnosis.validation(Figures(0.7, 1, 1), 40, "")
    with pytest.raises(GeobenchError, match=r"CRPS is 0\.9 at step 50, and was 0\.2"):
        diagnosis.validation(Figures(0.9, 1, 1), 50, "")


def _collapsing(training: Training, run: Run, **fields: float) -> None:
    """Minimise the absolute error of one member: then noise is only in the way."""
    how = Optimisation.model_validate(dict(BRIEF) | fields)

    class Absolute(SmallLoss):
        def forward(self, batch: Batch) -> Tensor:
            states = self._training.windows(batch.noise(self._rows), 1)
            z = torch.zeros_like(states[:, 0])
            loss = (self.network(states[:, 0], z) - states[:, 1]).abs().mean()
            return loss + self.network.spread.abs().sum()

    network = Network(1, run.noise("weights", 1))
    forecaster = SmallForecaster(network)
    forecaster.deterministic = fields.get("smallest_spread") == -1
    optimise(Absolute(network, training, how.rows), how, run, forecaster)


def test_members_that_become_equal_stop_it(training: Training, tmp_path: Path) -> None:
    run = Run(seed=0, validation=Validation.of(training), folder=tmp_path, checkpoint_every=0)
    with pytest.raises(GeobenchError, match=r"members have become all but equal: at step") as told:
        _collapsing(training, run, smallest_spread=0.05, passes=9600)
    network = Network(1, run.noise("weights", 1))
    network.load_state_dict(
        {k.removeprefix("network."): v for k, v in _loads(told, tmp_path).items()}
    )
    switched_off = Run(seed=0, validation=Validation.of(training))
    _collapsing(training, switched_off, smallest_spread=0, passes=9600)


@pytest.mark.parametrize(("spread_from", "stops"), [(None, 1001), (0.5, 500), (0.8, 800)])
def test_equal_members_are_expected_of_deterministic_ones_and_early_on(
    spread_from: float | None, stops: int
) -> None:
    diagnosis = Diagnosis(Optimisation(passes=1000, rows=1), spread_from)
    for step in (0, 499, 500, 799, 800, 1000):
        if step >= stops:
            with pytest.raises(GeobenchError, match=r"smallest_spread = 0\.01"):
                diagnosis.validation(Figures(0.5, 0.0, 0.5), step, "")
        else:
            diagnosis.validation(Figures(0.5, 0.0, 0.5), step, "")


def test_a_short_training_is_not_asked_for_spread() -> None:
    diagnosis = Diagnosis(Optimisation(passes=100, rows=1), 0.5)
    diagnosis.validation(Figures(0.5, 0.0, 0.5), 100, "")


def test_a_likelihood_that_falls_through_zero_has_not_diverged() -> None:
    diagnosis = Diagnosis(Optimisation(passes=1000, rows=1), 0.5)
    noise = 0.05 * Noise.rows(0, "likelihood", 1).normal(100)[0]
    for number, level in enumerate((0.004, -0.1, -0.5, -0.4)):
        diagnosis.losses(noise + level, 100 * (number + 1), "")
    with pytest.raises(GeobenchError, match="training diverged"):
        diagnosis.losses(noise + 10, 500, "")


def test_weights_that_end_as_nan_are_told() -> None:
    class Last(Line):
        def forward(self, batch: Batch) -> Tensor:
            loss = super().forward(batch)
            # A finite loss with a gradient that is not: sqrt at 0.
            return loss + (0 * self.w).sqrt().sum() if batch.step == 9 else loss

    with pytest.raises(GeobenchError, match="weights are not finite at the end"):
        optimise(Last(1.0), Optimisation(passes=10, rows=1), Run(seed=0))


def test_the_average_is_what_is_validated(training: Training) -> None:
    how = Optimisation.model_validate(dict(BRIEF) | {"averaging": 0.9, "warm_up": 0})
    run = Run(seed=0, validation=Validation.of(training))
    network = fitted(training, how, run)
    assert run.validation is not None
    windows = validating.plan(how, 1, len(run.validation.windows))[1]
    found = validating.score(SmallForecaster(network), run.validation, run, windows)
    assert run.log["validation_crps"][-1] == found.crps


# -- checkpoints


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize(
    ("stop", "averaging"),
    [
        pytest.param(0, 0.99, marks=pytest.mark.slow),
        pytest.param(1, 0.99, marks=pytest.mark.slow),
        (37, 0.0),
        (60, 0.99),
        pytest.param(71, 0.99, marks=pytest.mark.slow),
    ],
)
def test_a_training_goes_on_bit_by_bit(
    training: Training, tmp_path: Path, stop: int, averaging: float
) -> None:
    stages = (Stage(share=0.6), Stage(leads=2, share=0.4, rate=0.5))
    how = Optimisation.model_validate(
        dict(BRIEF) | {"stages": stages, "averaging": averaging, "validations": 4}
    )
    undisturbed = Run(seed=1, validation=Validation.of(training))
    expected = fitted(training, how, undisturbed)

    class Stopping(SmallLoss):
        calls = 0

        def forward(self, batch: Batch) -> Tensor:
            self.calls += 1
            if batch.step == stop and self.calls > 1:  # the first call counts operations
                raise Interrupted
            return super().forward(batch)

    first = Run(seed=1, validation=undisturbed.validation, folder=tmp_path, checkpoint_every=0)
    network = Network(1, first.noise("weights", 1))
    with pytest.raises(Interrupted):
        optimise(Stopping(network, training, how.rows), how, first, SmallForecaster(network))
    second = Run(seed=1, validation=undisturbed.validation, folder=tmp_path)
    found = fitted(training, how, second)
    assert equal(found, expected)
    assert second.log == undisturbed.log


def test_a_finished_part_is_not_trained_again(tmp_path: Path) -> None:
    how = Optimisation(passes=10, rows=1)
    runs = [Run(seed=0, folder=tmp_path) for _ in range(2)]
    lines = []
    for run in runs:
        for index in range(2):
            lines.append(Line())
            optimise(lines[-1], how, run.part(index, 2))
    assert [len(line.batches) for line in lines] == [11, 11, 0, 0]
    assert lines[0].w.item() == lines[2].w.item()
    assert runs[0].log == runs[1].log
    assert runs[0].spent["flops"] == runs[1].spent["flops"]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "part-0.safetensors",
        "part-1.safetensors",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        "flipped",
        "nothing",
        "another recipe",
        "another model",
        "foreign",
        "no log",
        "no moments",
        "other moments",
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    how = Optimisation(passes=10, rows=1, learning_rate=0.1)
    expected = Line()
    optimise(expected, how, Run(seed=0))
    path = tmp_path / "training.safetensors"
    if damage == "another recipe":
        other = Optimisation.model_validate(dict(how) | {"passes": 12})
        optimise(Line(), other, Run(seed=0, folder=tmp_path))
    elif damage == "another model":
        optimise(Line(), how, Run(seed=0, folder=tmp_path, recipe={"use": "other"}))
    elif damage in ("no log", "no moments", "other moments"):
        optimise(Line(), how, Run(seed=0, folder=tmp_path))
        whole = checkpoint.Checkpoint.decoded(path.read_bytes())
        moments = {key: value for key, value in whole.tensors.items() if "adam" not in key}
        if damage == "other moments":
            moments = {**whole.tensors, "adam/0/exp_avg": torch.ones(7)}
        facts = whole.facts.model_copy(update={"log": None} if damage == "no log" else {})
        tensors = whole.tensors if damage == "no log" else moments
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic tells of what is wrong on purpose
            path.write_bytes(checkpoint.Checkpoint(tensors, facts).encoded())
    elif damage == "foreign":
        safetensors.torch.save_file({"w": torch.ones(3)}, path)
    else:
        optimise(Line(), how, Run(seed=0, folder=tmp_path))
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes({"truncated": content[:-9], "flipped": content, "nothing": b""}[damage])
    line = Line()
    optimise(line, how, Run(seed=0, folder=tmp_path))
    assert line.w.item() == expected.w.item()
    assert len(line.batches) == 11  # from the beginning
    assert (tmp_path / "training.unusable").exists()
    (told,) = caplog.messages
    assert "training begins anew" in told
    assert "\n" not in told


def test_a_checkpoint_of_another_network_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    optimise(Line(), BRIEF, Run(seed=1, folder=tmp_path))
    longer = Line()
    longer.w = nn.Parameter(torch.zeros(2))
    optimise(longer, BRIEF, Run(seed=1, folder=tmp_path))
    assert "it is of another network" in caplog.text


def test_a_checkpoint_holds_plain_tensors_and_json(tmp_path: Path) -> None:
    optimise(Line(), Optimisation(passes=10, rows=1), Run(seed=0, folder=tmp_path))
    with safe_open(tmp_path / "training.safetensors", "pt") as file:
        names = set(file.keys())
        facts = json.loads(file.metadata()["facts"])
    assert names == {
        "weights/w", "average/0", "adam/0/exp_avg", "adam/0/exp_avg_sq", "adam/0/step"
    }  # fmt: skip
    assert facts["step"] == 10


def test_a_checkpoint_is_replaced_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "training.safetensors"
    checkpoint.write(path, b"old")

    def full(_handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.write(path, b"new and longer")
    assert path.read_bytes() == b"old"


# -- logs


def _events(path: Path) -> list[tuple[str, int, float]]:
    """Read an event file by the description of its format, checking no sums."""
    from tensorboardX.proto.event_pb2 import Event

    content, place, found = path.read_bytes(), 0, []
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        found += [(each.tag, event.step, each.simple_value) for each in event.summary.value]
        place += 16 + length
    return found


def test_logs_hold_what_was_logged_also_after_a_resume(training: Training, tmp_path: Path) -> None:
    validation = Validation.of(training)
    whole = Run(seed=1, validation=validation, folder=tmp_path / "whole")
    broken = Run(seed=1, validation=validation, folder=tmp_path / "broken", checkpoint_every=0)
    for run in (whole, broken):
        assert run.folder
        run.folder.mkdir()
    fitted(training, BRIEF, whole)

    class Stopping(SmallLoss):
        calls = 0

        def forward(self, batch: Batch) -> Tensor:
            if batch.step == 55:
                raise Interrupted
            return super().forward(batch)

    network = Network(1, broken.noise("weights", 1))
    loss = Stopping(network, training, BRIEF.rows)
    with pytest.raises(Interrupted):
        optimise(loss, BRIEF, broken, SmallForecaster(network))
    with (tmp_path / "broken" / logs.CSV).open("a") as file:
        file.write("99999,half a li")  # what a crash may leave
    fitted(training, BRIEF, Run(seed=1, validation=validation, folder=broken.folder))
    for name in (logs.CSV, logs.EVENTS):
        one, other = ((tmp_path / each / name).read_bytes() for each in ("whole", "broken"))
        assert one == other
    with (tmp_path / "broken" / logs.CSV).open() as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    assert losses == whole.log["loss"]
    told = _events(tmp_path / "broken" / logs.EVENTS)
    assert [value for tag, _, value in told if tag == "loss"] == pytest.approx(losses)
    seen = [step for tag, step, _ in told if tag == "validation/crps"]
    assert seen == whole.log["validation_passes"]


# -- cost


def test_operations_are_counted() -> None:
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(5, 7))

        def forward(self, batch: Batch) -> Tensor:
            return (batch.noise(4).normal(5) @ self.w).square().mean()

    run = Run(seed=0)
    optimise(Product(), Optimisation(passes=8, rows=4), run)
    # Forward 2·5·7 a row, backward as much for the weights (the rows need no gradient).
    assert run.spent["flops"] == 8 * 4 * 5 * 7
    assert run.spent["sample_passes"] == 8
    assert run.spent["seconds"] > 0


def test_memory_is_what_was_held_at_most_since() -> None:
    held = torch.ones(25_000_000)
    memory = cost.PeakMemory("cpu")
    assert memory.grown() < 20e6
    more = torch.ones(25_000_000)
    assert float(held[0] + more[0]) == 2
    del more
    assert 95e6 < memory.grown() < 130e6


def test_attention_is_counted_whatever_kernel_does_it() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(1, 1, 5, 4))

        def forward(self, batch: Batch) -> Tensor:
            attended = nn.functional.scaled_dot_product_attention(self.w, self.w, self.w)
            return attended.square().mean()

    run = Run(seed=0)
    optimise(Attention(), Optimisation(passes=1, rows=1), run)
    # Forward two products of 5 x 4 x 5, 400 in all; backward twice as much.
    assert run.spent["flops"] == 3 * 400
