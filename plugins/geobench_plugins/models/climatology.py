"""What usually happens."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from geobench import EnsembleModel, Forecaster, GeobenchError

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, Task, Training


class Climatology(EnsembleModel):
    """Runs of past states, drawn at random from the train split whatever the state at init time.

    A member is a piece of one trajectory, so it is right in space and in time, and knows nothing.
    Pieces are as long as the forecast and begin anywhere where a whole one is left.
    """

    name = "climatology"
    version = "2"

    trajectories: int = Field(100, gt=0, description="train trajectories kept, at most")

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Keep the first `trajectories` train trajectories (they are independent)."""
        return _Climatology(training.train[: self.trajectories].clone())

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Take back the kept states."""
        return _Climatology(weights["states"])


class _Climatology(Forecaster):
    def __init__(self, states: "Tensor") -> None:
        self.states = states

    def weights(self) -> "Mapping[str, Tensor]":
        return {"states": self.states}

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        return self.trajectory(history, noise, max(1, noise.lead))[:, -1]

    def trajectory(self, history: "Tensor", noise: "Noise", leads: int) -> "Tensor":
        import torch

        states = self.states.to(history.device)
        starts = states.shape[1] - leads + 1
        if starts < 1:
            raise GeobenchError(
                f"climatology: a forecast of {leads} steps is asked for, and the train "
                f"trajectories hold {states.shape[1]} states. Give the train split more steps, or "
                f"forecast fewer."
            )
        first = noise.at(0)
        which = first.use("trajectory").integers(states.shape[0])
        start = first.use("start").integers(starts)
        steps = torch.arange(leads, device=states.device)
        return states[which[:, None], start[:, None] + steps]
