"""CRPS-LAM: a deterministic network that learns to draw members."""

from pydantic import Field

from geobench_plugins.models.emulator import Emulator
from geobench_plugins.networks.objectives import CRPS, Objective


class CRPSLAM(Emulator):
    """CRPS-LAM: global noise into the norms, after deterministic training (2025).

    https://arxiv.org/abs/2510.09484. The noise of FGN, the almost fair CRPS (alpha = 0.95) of two
    members, whose optimum is 5 % too narrow, and a warm start: in the first half of the budget
    single members learn by absolute error. The learning rate warms up and decays in each half.
    Departs from the paper: the warm start is a part of the same budget, averaged weights, no
    boundary forcing (twins have none), backbones of a laptop's size.
    """

    name = "crps-lam"
    version = "2"

    objective: Objective = Field(CRPS(alpha=0.95), description="what is minimised")
    alone: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="first share of the budget, in which single members learn by absolute error",
    )
