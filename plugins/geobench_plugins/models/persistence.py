"""Nothing changes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geobench import EnsembleModel, Forecaster

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, Task, Training


class Persistence(EnsembleModel):
    """The state at init time, at every lead time and in every member."""

    name = "persistence"

    @property
    def deterministic(self) -> bool:
        """All members are the state at init time."""
        return True

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Learn nothing."""
        return _Persistence()

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Need nothing."""
        return _Persistence()


class _Persistence(Forecaster):
    deterministic = True

    def weights(self) -> "Mapping[str, Tensor]":
        return {}

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        return history[:, -1]
