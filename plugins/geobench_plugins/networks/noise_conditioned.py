"""The network of FGN: a global noise vector into every norm."""

from torch import Tensor, nn

from geobench import StateSpec
from geobench_plugins.networks.residual import Scaling, check_ring
from geobench_plugins.networks.ring import Linear, Ring


class NoiseConditioned(nn.Module):
    """Past states and a noise vector in, one draw of the normalised residual out."""

    def __init__(
        self, spec: StateSpec, *, frames: int, latent: int, width: int, blocks: int, norm_std: float
    ) -> None:
        super().__init__()
        check_ring(spec)
        variables = len(spec.variables)
        self.scaling = Scaling(variables)
        # One linear map, no bias, no activation: the paper found it easier to train than an MLP.
        self.encoder = Linear(latent, latent, bias=False)
        self.ring = Ring(
            frames * variables,
            variables,
            width=width,
            blocks=blocks,
            condition=latent,
            norm_std=norm_std,
        )

    def forward(self, past: Tensor, latent: Tensor) -> Tensor:
        """(row, frame, channel, site) and (row, latent) to the residual (row, site, channel)."""
        residual: Tensor = self.ring(self.scaling.sites(past), self.encoder(latent))
        return residual
