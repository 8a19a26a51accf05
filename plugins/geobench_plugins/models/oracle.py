"""The truth itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geobench import EnsembleModel, Forecaster, GeobenchError, Simulator

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, Task, Training


class Oracle(EnsembleModel):
    """Fresh draws of the true conditional law: the simulator, re-run from the state at init time.

    Exact when models are given the exact state. No forecast can be better; one that looks better
    has a leak or a bug, or was lucky.
    """

    name = "oracle"
    knows_law = True

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Learn nothing."""
        return self.restore({}, training.task)

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Take the law from the task."""
        if task.law is None:
            raise GeobenchError("oracle: this task hides its law. Use another model.")
        return _Simulation(task.law)


class _Simulation(Forecaster):
    def __init__(self, law: Simulator) -> None:
        self.law = law

    def weights(self) -> "Mapping[str, Tensor]":
        return {}

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        return self.law.advance(history[:, -1], 1, noise)
