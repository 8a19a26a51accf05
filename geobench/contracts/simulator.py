"""The contract of a simulator: a (stochastic) dynamical system that advances states."""

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING

from geobench.contracts.plugin import Plugin
from geobench.contracts.state import StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.contracts.noise import Noise


class Simulator(Plugin):
    """A stochastic system whose present state alone decides the law of its future.

    Forcing is white at the output step, or its memory is part of the state: only then is a fresh
    run from a state a draw of the true conditional law.
    """

    @property
    @abstractmethod
    def spec(self) -> StateSpec:
        """What a state holds."""

    @property
    @abstractmethod
    def output_step(self) -> timedelta:
        """Time between two stored states."""

    @abstractmethod
    def initial(self, noise: "Noise") -> "Tensor":
        """Make one state per row of `noise`, from which a spin-up reaches the climate."""

    @abstractmethod
    def advance(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        """Return the state `steps` output steps later.

        Pure, on the state's device and dtype. Step k draws from `noise.at(noise.lead + k)`, so that
        one call with two steps equals two calls with one.
        """

    def diagnostics(self, state: "Tensor") -> "dict[str, Tensor]":
        """Fields `(row, *grid)` or numbers `(row,)` of states `(row, channel, *grid)`, by name.

        Events are defined on them. Here: the variables themselves; a simulator adds its own.
        """
        return {v.name: state[:, channel] for channel, v in enumerate(self.spec.variables)}
