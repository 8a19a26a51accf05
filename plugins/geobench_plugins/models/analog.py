"""What happened before: the nearest past states, and what came of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from geobench import EnsembleModel, Forecaster, GeobenchError

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.analogs import Library, LocalIndex


class Analog(EnsembleModel):
    """Analog forecast (Lorenz, 1969, doi:10.1175/1520-0469(1969)26<636:APARBN>2.0.CO;2).

    A member draws one of the K train states nearest to the present one (root mean square of
    anomalies in standard deviations), nearer ones more often, and takes what came of it; at the
    next step it looks again. Nothing is learned: what a network must beat. In many dimensions no
    past state is near (Van den Dool, 1994). So on a line every cell has analogs of its own, of the
    cells around it, which an index finds. A member prefers the same past states at all cells, so
    that neighbours take the same one where they can. Rotations of a state are not tried as further
    analogs. Every value of a forecast is one that a train state has at that cell, so no forecast
    leaves the climate. (The present state plus the analog's change would: what the two states
    differ by is kept at every step, and adds up.)
    """

    name = "analog"
    version = "2"

    frames: int = Field(1, gt=0, description="past frames that are compared")
    neighbours: int = Field(30, gt=0, description="K")
    states: int = Field(50_000, gt=1, description="train states kept, at most (whole trajectories)")
    local: int | None = Field(
        None,
        ge=0,
        description="cells to either side that are compared; 0: the whole field; default: 2 on a "
        "line, the whole field elsewhere",
    )

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Keep the states."""
        from geobench_plugins.networks.analogs import Library

        if self.frames > training.task.history:
            raise GeobenchError(
                f"analog: it looks at {self.frames} past frames, and the experiment gives "
                f"{training.task.history}. Raise the experiment's history, or use fewer frames."
            )
        library = Library.learn(training, self.frames, self.states)
        if len(library) <= self.neighbours:
            raise GeobenchError(
                f"analog: neighbours = {self.neighbours}, and {len(library)} past states have one "
                f"that came of them. Use fewer neighbours, or raise states."
            )
        return _Analog(self, library, training.task.spec)

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Take back the states."""
        from geobench_plugins.networks.analogs import Library

        library = Library(**weights, frames=self.frames, spec=task.spec)
        return _Analog(self, library, task.spec)


class _Analog(Forecaster):
    def __init__(self, model: Analog, library: "Library", spec: "StateSpec") -> None:
        self.history = model.frames
        self._model, self._library, self._spec = model, library, spec
        on_a_line = 2 if len(spec.dims) == 1 else 0
        self._reach = on_a_line if model.local is None else model.local
        self._index: LocalIndex | None = None  # made at the first search: it takes its time

    def weights(self) -> "Mapping[str, Tensor]":
        library = self._library
        return {"states": library.states, "mean": library.mean, "std": library.std}

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        self._library = library = self._library.to(history.device)
        windows = self._locally(history, noise) if self._reach else self._whole(history, noise)
        return library.mean + library.std * library.after(windows)

    def _whole(self, history: "Tensor", noise: "Noise") -> "Tensor":
        """One window for all cells, `(row, *ones)`."""
        from geobench_plugins.networks.analogs import drawn, nearest

        squares = self._library.squares(history)
        places, logs = nearest(squares, self._model.neighbours)
        chosen = drawn(places, logs, noise.use("analog").uniform(self._model.neighbours))
        return chosen.view(-1, *[1] * len(self._spec.dims))

    def _locally(self, history: "Tensor", noise: "Noise") -> "Tensor":
        """A window for each cell, `(row, *grid)`."""
        from geobench_plugins.networks.analogs import LocalIndex, chances, drawn

        if self._index is None:
            self._index = LocalIndex(self._library, self._reach)
        places, logs = self._index.nearest(history, self._model.neighbours)
        return drawn(places, logs, chances(noise.use("analog").words(2), places))
