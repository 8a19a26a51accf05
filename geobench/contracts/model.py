"""The contract of an ensemble model: a recipe, and the forecaster it is fitted to."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import prod
from typing import TYPE_CHECKING, ClassVar

from geobench.contracts.law import Law
from geobench.contracts.plugin import Plugin
from geobench.contracts.room import Room
from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from geobench.contracts.noise import Noise
    from geobench.contracts.validation import Validation

_BLOCK = 2**24  # bytes

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is going on)."""


def silent(_done: int, _total: int, _text: str) -> None:
    """Progress that nobody watches."""


Watch = Callable[[str], AbstractContextManager[Progress]]
"""Called with what is about to be done; gives the progress to report to."""


def unwatched(_title: str) -> AbstractContextManager[Progress]:
    """Watch nothing."""
    return nullcontext(silent)


@dataclass(frozen=True)
class Task:
    """What is asked: the state to forecast, and how far apart the steps are.

    `history` is the number of past frames, up to init time, that a forecaster will be given.
    Only a model that declares `knows_law` is given the `law`.
    """

    spec: StateSpec
    output_step: timedelta
    history: int = 2
    law: Law | None = None


@dataclass(frozen=True)
class Training:
    """The data a model may learn from: train and validation, never test.

    Both are `(trajectory, time, channel, *grid)`, float32, one output step apart. A split that is
    larger than memory lies in a file (`room`): read it by `windows` or by `blocks`.
    """

    task: Task
    train: "Tensor"
    validation: "Tensor"
    room: Room = field(default_factory=Room, compare=False)

    def windows(self, noise: "Noise", frames: int, leads: int = 1) -> "Tensor":
        """Random runs of train states `(row, frames + leads, channel, *grid)`, one per row.

        The first `frames` are what is given at init time, the others what is to be forecast.
        """
        import torch

        self.check(frames, leads)
        trajectories, times = self.train.shape[:2]
        length = frames + leads
        first = noise.use("start").integers(times - length + 1)
        which = noise.use("trajectory").integers(trajectories)
        steps = first[:, None] + torch.arange(length, device=first.device)
        return self.states(which[:, None], steps)

    def states(self, trajectories: "Tensor", times: "Tensor") -> "Tensor":
        """Train states at these places: `(*places, channel, *grid)`."""
        drawn = self.train[trajectories, times]
        self.room.used(len(drawn), drawn[:1].nbytes)
        return drawn

    def blocks(self, overlap: int = 0) -> "Iterator[Tensor]":
        """All train states in order, `(trajectory, time, channel, *grid)`, some 16 MB at a time.

        Whole trajectories, or spans of a long one; a span begins with the last `overlap` states of
        the one before.
        """
        trajectories, times = self.train.shape[:2]
        states = max(1, _BLOCK // (4 * prod(self.train.shape[2:])))
        rows, span = max(1, states // times), max(states, 2 * overlap)
        for first in range(0, trajectories, rows):
            for start in range(0, max(1, times - overlap), span):
                block = self.train[first : first + rows, start : start + span + overlap]
                yield block
                self.room.used(1, block.nbytes)

    def moments(self) -> "tuple[Tensor, Tensor]":
        """Mean and variance (over n - 1) of all train states, `(channel, *grid)`, float64."""
        import torch

        count = prod(self.train.shape[:2])
        total = torch.zeros(self.train.shape[2:], dtype=torch.float64, device=self.train.device)
        for block in self.blocks():
            total += block.sum((0, 1), dtype=torch.float64)
        mean, squares = total / count, torch.zeros_like(total)
        for block in self.blocks():
            squares += (block - mean).square().sum((0, 1))
        return mean, squares / (count - 1)

    def check(self, frames: int, leads: int) -> None:
        """Raise `GeobenchError` unless there are such windows: before hours have gone by."""
        times = self.train.shape[1]
        if frames > self.task.history:
            raise GeobenchError(
                f"it looks at {frames} past frames, and the experiment gives {self.task.history}. "
                f"Raise the experiment's history, or give the model fewer."
            )
        if times < frames + leads:
            raise GeobenchError(
                f"a model asks for windows of {frames + leads} steps ({frames} past, {leads} to "
                f"forecast), but the train trajectories have {times}. Give the experiment's train "
                f"split more steps, or the model fewer frames or leads."
            )

    def split(self, share: float, least: int = 1) -> "tuple[Training, Training]":
        """Cut the train trajectories in two: the first `share` of their steps, and the rest.

        `GeobenchError` if either has fewer than `least` steps.
        """
        times = self.train.shape[1]
        first = round(share * times)
        if min(first, times - first) < least:
            raise GeobenchError(
                f"a model learns from the first {share:.0%} of each train trajectory and is tried "
                f"on the rest, but of {times} steps that leaves {min(first, times - first)}, and "
                f"it needs {least}. Give the experiment's train split more steps."
            )
        before, after = self.train[:, :first], self.train[:, first:]
        return replace(self, train=before), replace(self, train=after)


@dataclass
class Run:
    """How to fit: seed, device, who watches; what was measured goes into `log`.

    `Run(seed)` is enough. A model that trains several networks gives each a `part`.
    """

    seed: int
    device: str = "cpu"
    progress: Progress = silent
    log: dict[str, list[float]] = field(default_factory=dict)
    validation: "Validation | None" = None
    """On what members are scored while a network trains; None: nothing is."""

    folder: "Path | None" = None
    """Where checkpoints and logs are kept while a network trains, and are found again if the same
    training was interrupted; None: nowhere."""

    checkpoint_every: float = 60.0
    """Seconds between checkpoints."""

    recipe: "Mapping[str, object]" = field(default_factory=dict)
    """That of the model: a checkpoint of another one is not gone on with."""

    place: str = ""
    """Which part of the fit it is, if there are several: "part 2/part 1/"."""

    spent: dict[str, float] = field(default_factory=dict)
    """What training has cost so far: seconds, sample_passes, flops."""

    def noise(self, stream: str, rows: int, *, step: int = 0) -> "Noise":
        """Noise of this run's own for `rows` rows at training step `step`."""
        from geobench.contracts.noise import Noise

        name = f"fit/{self.place}{stream}"
        return Noise.rows(self.seed, name, rows, lead=step).to(self.device)

    def part(self, index: int, count: int) -> "Run":
        """Return the run of one of `count` networks that are trained one after the other.

        It has noise and a checkpoint of its own, and shares all else. A part of one is the whole.
        """
        if count == 1:
            return self

        def progress(done: int, total: int, text: str) -> None:
            self.progress(index * total + done, count * total, f"{index + 1}/{count}  {text}")

        return replace(self, progress=progress, place=f"{self.place}part {index}/")


@dataclass(frozen=True)
class Batch:
    """What a loss is told of a training step: which it is, and how long its rollout.

    `step` counts from 0 through all stages, `done` is the share of the budget that is spent. With
    several processes each has its share of the rows: `rank`, `rank` + `processes`, …
    """

    step: int
    leads: int
    done: float
    run: Run
    rank: int = 0
    processes: int = 1

    def noise(self, rows: int) -> "Noise":
        """Noise for this process's share of the `rows` rows of the whole batch."""
        if rows % self.processes:
            raise GeobenchError(
                f"{rows} rows cannot be shared by {self.processes} processes. Give it a multiple "
                f"of {self.processes} rows, or train with another number of processes."
            )
        noise = self.run.noise("batch", rows, step=self.step)
        if self.processes == 1:
            return noise
        import torch

        return noise.select(torch.arange(self.rank, rows, self.processes, device=noise.init.device))


class Forecaster(ABC):
    """A fitted model: draws the next state, given the past ones.

    The framework owns the rollout, the members, the batches and the writing. It calls with rows in
    groups of a fixed size, so that a member's bits do not depend on which others are computed.
    """

    history: int = 1
    """Past frames it is given; the last one is the state at init time."""

    deterministic: bool = False
    """Whether all members are equal: then no spread is expected of them."""

    trained_elsewhere: bool = False
    """Whether geobench did not train it, and so does not know what its training cost."""

    @property
    def network(self) -> "nn.Module | None":
        """The network inside, if there is one: its parameters and evaluations are counted.

        Several networks are an `nn.ModuleList`: the evaluations of each count.
        """
        return None

    @abstractmethod
    def weights(self) -> "Mapping[str, Tensor]":
        """Tensors from which `EnsembleModel.restore` rebuilds this forecaster."""

    @abstractmethod
    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        """Draw the next state `(row, channel, *grid)` of each row.

        `history` is `(row, frame, channel, *grid)`, oldest frame first. Rows are independent; all
        randomness comes from `noise`, whose lead is 1 for the first step after init time.
        """

    def trajectory(self, history: "Tensor", noise: "Noise", leads: int) -> "Tensor":
        """Draw `(row, lead, channel, *grid)`. Override it to forecast all leads at once."""
        import torch

        states = []
        for lead in range(1, leads + 1):
            state = self.step(history, noise.at(lead))
            if state.shape != history[:, -1].shape:
                raise GeobenchError(
                    f"{type(self).__name__}.step returned a state of shape {tuple(state.shape)}; "
                    f"expected {tuple(history[:, -1].shape)} (row, channel, *grid)."
                )
            states.append(state)
            history = torch.cat([history[:, 1:], state[:, None]], 1)
        return torch.stack(states, 1)


class EnsembleModel(Plugin):
    """A recipe for a probabilistic forecaster."""

    knows_law: ClassVar[bool] = False
    """Whether it is given the simulator itself; it is then marked as no competitor."""

    @property
    def deterministic(self) -> bool:
        """Whether all its members are equal, and are meant to be.

        Boards mark equal members of other models as degenerate.
        """
        return False

    def check(self, _task: Task) -> None:
        """Raise `GeobenchError` if this model cannot have such a task: before any training."""
        return

    def trained(self) -> "EnsembleModel":
        """Return the model whose training gives the weights of this one: usually itself.

        Where fields only say how members are drawn, return the model with those fields at their
        defaults: it is then trained once, whatever they are, and this one is restored from it.
        """
        return self

    def with_evaluations(self, _count: int) -> "EnsembleModel | None":
        """Return this model drawing members with so many evaluations of its network, at most.

        None if that is no choice of its own: one network, one evaluation.
        """
        return None

    @abstractmethod
    def fit(self, training: Training, run: Run) -> Forecaster:
        """Learn from `training`; the same model, data and `run.seed` give the same forecaster."""

    @abstractmethod
    def restore(self, weights: "Mapping[str, Tensor]", task: Task) -> Forecaster:
        """Rebuild the forecaster whose `weights()` these are."""
