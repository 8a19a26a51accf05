"""AIFS-CRPS: local noise into the norms of the processor, and the almost fair CRPS."""

from pydantic import Field

from geobench import Optimisation, Stage
from geobench_plugins.models.emulator import Emulator
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.objectives import CRPS, Objective


class AIFSCRPS(Emulator):
    """AIFS-CRPS: white noise at every site, almost fair CRPS (Lang et al., 2024).

    https://arxiv.org/abs/2412.15832. Four noise channels per site go through an MLP with layer norm
    into the norms of the processor, as scale and shift from weights of exactly 0. Loss: almost fair
    CRPS, alpha = 0.95, of four members, whose optimum is 2.4 % too narrow. The change is added to
    the lower half of the present state's wavenumbers, for variables of which the upper half is
    small (`dropped`). A flag is 0 at the first step and 1 at later ones. Rollouts of 1 step (80 %
    of the budget), 2 (16 %) and 3 to 12 (4 %), at rates of 1, 1/100 and 1/1000. On a small budget
    the longest rollouts take few optimiser steps, or none. Departs from the paper in four ways.
    The flag has no effect until it has learned, and half of the windows of one step carry it,
    because a small budget leaves rollouts too few steps to teach it. Variables that the filter
    would change much are not filtered. Weights are averaged, rates have a warm-up and a cosine in
    every stage, and weight decay is 0.05. Backbones are of a laptop's size, and their convolutions
    spread the noise of a site to its neighbours.
    """

    name = "aifs-crps"
    version = "2"

    conditioning: Conditioning = Field(
        Conditioning(
            noise="local",
            local_dimension=4,
            encoder="mlp-norm",
            where="processor",
            how="scale-shift",
            init_std=0.0,
            normaliser="layer",
        ),
        description="where the noise comes from, and how it enters",
    )
    members: int = Field(4, gt=0, description="members of an ensemble in the loss")
    objective: Objective = Field(CRPS(alpha=0.95), description="what is minimised")
    kept: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of the wavenumbers of the present state to which the change is added",
    )
    flag: bool = Field(True, description="extra input: 0 at the first step, 1 at later ones")
    training: Optimisation = Field(
        Optimisation(
            stages=(
                Stage(leads=1, share=0.8),
                Stage(leads=2, share=0.16, rate=0.01),
                *(Stage(leads=leads, share=0.004, rate=0.001) for leads in range(3, 13)),
            )
        ),
        description="budget and schedule",
    )
