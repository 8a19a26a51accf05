"""Functional generative networks: a global noise vector into every norm, and the fair CRPS."""

from pydantic import Field

from geobench_plugins.models.emulator import Emulator
from geobench_plugins.networks.conditioning import Conditioning


class FGN(Emulator):
    """Functional generative network: one evaluation draws a member (Alet et al., 2025).

    A global noise vector z ~ N(0, I) of length 32 goes through one linear map without bias into
    every layer norm, as scale and shift from weights of 1e-8; z is fresh for each member and step.
    The loss is the fair CRPS of two members, at every site on its own: nothing in it rewards the
    right dependence between sites. `seeds` networks may share the budget (the paper has 4); a
    trajectory draws one of them and keeps it. Departs from the paper: one network by default; of
    several, members are drawn and not dealt equally; no rollout stage (`training.stages` adds one),
    averaged weights, weight decay of 0.05, coordinates as inputs, backbones of a laptop's size.
    """

    name = "fgn"
    version = "2"

    conditioning: Conditioning = Field(
        Conditioning(
            noise="global",
            dimension=32,
            encoder="linear",
            where="all",
            how="scale-shift",
            init_std=1e-8,
            normaliser="layer",
        ),
        description="where the noise comes from, and how it enters",
    )
