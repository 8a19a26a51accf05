"""What usually happens."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from geobench import EnsembleModel, Forecaster

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, Task, Training


class Climatology(EnsembleModel):
    """Runs of past states, drawn at random from the train split whatever the state at init time.

    A member is a piece of one trajectory, so it is right in space and in time, and knows nothing.
    """

    name = "climatology"

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
        states = self.states.to(history.device)
        # Drawn at lead 0 at every lead: a member stays on its trajectory. It runs on from the
        # start of the trajectory when it meets its end.
        first = noise.at(0)
        which = first.use("trajectory").integers(states.shape[0])
        start = first.use("start").integers(states.shape[1])
        return states[which, (start + noise.lead) % states.shape[1]]
