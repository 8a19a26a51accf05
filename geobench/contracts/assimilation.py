"""The contract of a data assimilation: what is observed, and how states are corrected by it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from geobench.contracts.plugin import Plugin
from geobench.contracts.state import StateSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.contracts.noise import Noise


@dataclass(frozen=True)
class Network:
    """Which numbers of a state are observed, and how well: y = H x + N(0, `error`²).

    `places` are flat indices into a row `(channel, *grid)` of the state, int64 `(obs,)`; `error` is
    the standard deviation of each observation's error `(obs,)`, in the units of its variable.
    """

    places: "Tensor"
    error: "Tensor"

    def __len__(self) -> int:
        return len(self.places)

    def pick(self, state: "Tensor") -> "Tensor":
        """H x: the observed numbers `(…, obs)` of states `(…, channel * grid)`."""
        return state[..., self.places.to(state.device)]

    def observe(self, state: "Tensor", noise: "Noise") -> "Tensor":
        """Draw observations `(row, obs)` of states `(row, channel, *grid)`."""
        exact = self.pick(state.flatten(1))
        size = self.error.to(exact)
        return exact + size * noise.normal(len(self), dtype=exact.dtype)


class Filter(ABC):
    """An assimilation that is ready to run on one observation network."""

    @abstractmethod
    def analyse(self, forecast: "Tensor", observed: "Tensor", noise: "Noise") -> "Tensor":
        """Correct forecasts `(row, member, channel, *grid)` by `observed` `(row, obs)`.

        Rows are independent experiments. Pure; all randomness is from `noise`, one row of it per
        row of `forecast`.
        """

    def estimate(self, analysis: "Tensor") -> "Tensor":
        """Best single state `(row, channel, *grid)` of an analysis: the mean of its members."""
        return analysis.mean(1)


class Assimilation(Plugin):
    """A recipe for a filter: it turns forecasts and observations into analyses."""

    members: int = Field(1, gt=0, description="states it carries for each experiment")

    @abstractmethod
    def filter(self, network: Network, spec: StateSpec, climate: "Tensor") -> Filter:
        """Get ready for a network.

        `climate` holds states of a free run `(sample, channel, *grid)`, from which a climatological
        covariance may be estimated.
        """
