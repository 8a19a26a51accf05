"""The energy-score network: the noise of FGN, and a loss that sees whole fields."""

from pydantic import Field

from geobench_plugins.models.emulator import Emulator
from geobench_plugins.networks.objectives import Energy, Objective


class EnergyNet(Emulator):
    """A noise-conditioned network trained with the fair energy score of whole fields.

    Engression (Shen & Meinshausen, 2023, https://arxiv.org/abs/2307.00835) and Pacchiardi et al.
    (2024, https://arxiv.org/abs/2112.08217): unlike the sum of the sites' CRPS the energy score is
    strictly proper for the joint law, though little of the dependence shows in its value. Departs
    from engression: the noise goes into the norms, as in FGN, and is not an input
    (`conditioning.how: input` makes it one), so that the loss is the only difference.
    """

    name = "energy-net"

    objective: Objective = Field(Energy(), description="what is minimised")
