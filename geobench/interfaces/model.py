"""The contract of an ensemble model: a recipe, and the forecaster it is fitted to."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from geobench.errors import GeobenchError
from geobench.interfaces.law import Law
from geobench.interfaces.plugin import Plugin
from geobench.interfaces.state import StateSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geobench.interfaces.noise import Noise

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is going on)."""


def silent(_done: int, _total: int, _text: str) -> None:
    """Progress that nobody watches."""


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

    Both are `(trajectory, time, channel, *grid)`, float32, one output step apart.
    """

    task: Task
    train: "Tensor"
    validation: "Tensor"

    def windows(self, noise: "Noise", frames: int) -> "Tensor":
        """Random runs of consecutive train states `(row, frames, channel, *grid)`, one per row.

        The last frame is the one to forecast: the others must be given at init time as well.
        """
        import torch

        if frames - 1 > self.task.history:
            raise GeobenchError(
                f"it looks at {frames - 1} past frames, and the experiment gives "
                f"{self.task.history}. Raise the experiment's history, or give the model fewer."
            )
        trajectories, times = self.train.shape[:2]
        if times < frames:
            raise GeobenchError(
                f"a model asks for windows of {frames} steps, but the train trajectories have "
                f"{times}. Give the experiment's train split more steps."
            )
        first = noise.use("start").integers(times - frames + 1)
        which = noise.use("trajectory").integers(trajectories)
        steps = first[:, None] + torch.arange(frames, device=first.device)
        return self.train[which[:, None], steps]


@dataclass
class Run:
    """How to fit: seed, device, who watches; what was measured goes into `log`."""

    seed: int
    device: str = "cpu"
    progress: Progress = silent
    log: dict[str, list[float]] = field(default_factory=dict)

    def noise(self, stream: str, rows: int, *, step: int = 0) -> "Noise":
        """Noise of this run's own for `rows` rows at training step `step`."""
        from geobench.interfaces.noise import Noise

        return Noise.rows(self.seed, f"fit/{stream}", rows, lead=step).to(self.device)


class Forecaster(ABC):
    """A fitted model: draws the next state, given the past ones.

    The framework owns the rollout, the members, the batches and the writing. It calls with rows in
    groups of a fixed size, so that a member's bits do not depend on which others are computed.
    """

    history: int = 1
    """Past frames it is given; the last one is the state at init time."""

    @property
    def network(self) -> "nn.Module | None":
        """The network inside, if there is one: its parameters and evaluations are counted."""
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

    @abstractmethod
    def fit(self, training: Training, run: Run) -> Forecaster:
        """Learn from `training`; the same model, data and `run.seed` give the same forecaster."""

    @abstractmethod
    def restore(self, weights: "Mapping[str, Tensor]", task: Task) -> Forecaster:
        """Rebuild the forecaster whose `weights()` these are."""
