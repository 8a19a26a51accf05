"""The truth itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geobench import EnsembleModel, Forecaster, GeobenchError, Law

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
    def __init__(self, law: Law) -> None:
        self.law = law

    def weights(self) -> "Mapping[str, Tensor]":
        return {}

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        start = self.law.start(history[:, -1], noise)
        return self.law.show(self.law.simulator.advance(start, 1, noise))

    def trajectory(self, history: "Tensor", noise: "Noise", leads: int) -> "Tensor":
        import torch

        # The whole state runs on, hidden variables included.
        state = self.law.start(history[:, -1], noise)
        states = []
        for lead in range(1, leads + 1):
            state = self.law.simulator.advance(state, 1, noise.at(lead))
            states.append(self.law.show(state))
        return torch.stack(states, 1)
