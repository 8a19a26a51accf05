"""ArchesWeather: the mean of deterministic networks."""

from typing import Literal

from pydantic import Field

from geobench_plugins.models.emulator import Emulator
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.objectives import MeanSquare, Objective


class ArchesWeather(Emulator):
    """Mean of four deterministic networks (Couairon et al., 2024, arXiv:2412.12971).

    They are trained independently by mean square error, each on its share of the budget; their mean
    is what goes on. All members are equal: as an ensemble it has no spread. Departs from the paper:
    the change is predicted (not the state), averaged weights, backbones of a laptop's size.
    """

    name = "archesweather"

    conditioning: Conditioning = Field(
        Conditioning(noise="none"), description="where the noise comes from, and how it enters"
    )
    members: int = Field(1, gt=0, description="members of an ensemble in the loss")
    objective: Objective = Field(MeanSquare(), description="what is minimised")
    seeds: int = Field(4, gt=0, description="networks, trained independently on shares of passes")
    combination: Literal["members", "mean"] = Field(
        "mean",
        description="members: a trajectory draws one of the networks and keeps it; mean: it takes "
        "the mean of all",
    )
