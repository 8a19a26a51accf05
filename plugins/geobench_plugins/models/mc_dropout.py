"""MC dropout: the cheap way to draw members."""

from pydantic import Field

from geobench_plugins.models.emulator import Emulator
from geobench_plugins.networks.conditioning import Conditioning


class MCDropout(Emulator):
    """Dropout that stays on when members are drawn, tuned by CRPS at the end.

    As U-Cast (2026, https://arxiv.org/abs/2604.09041): most of the budget (80 %) goes into a
    network that learns by mean absolute error, the rest into the fair CRPS of two members that
    differ by their masks. The learning rate warms up and decays in each of the two parts. The cheap
    stochastic baseline: the masks are the only noise.
    Departs from the paper: masks in every residual block at a rate of 0.1, averaged weights,
    backbones of a laptop's size.
    """

    name = "mc-dropout"
    version = "2"

    conditioning: Conditioning = Field(
        Conditioning(noise="none", how="dropout", dropout=0.1),
        description="where the noise comes from, and how it enters",
    )
    alone: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="first share of the budget, in which single members learn by absolute error",
    )
