"""GenCast: a diffusion model of the next state."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from geobench import Optimisation
from geobench_plugins.models.generative import Generative
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.sampling import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise
    from geobench_plugins.networks.denoiser import Denoiser
    from geobench_plugins.networks.denoising import DenoisingLoss


class GenCast(Generative):
    """EDM-type diffusion of the normalised change (Price et al., 2025, Nature 637).

    https://doi.org/10.1038/s41586-024-08252-9. Noise levels in training: sigma^(1/rho) is uniform
    between those of 0.02 and 88, rho = 7; preconditioning with sigma_data = 1; log sigma enters
    every norm through Fourier features and an MLP. Sampler: DPM-Solver++2S with churn 2.5 above
    level 0.75, its noise 1.05 times as large, from 80 down to 0.03; 20 levels are 39 evaluations
    (`sampler: {evaluations: 39}`), 10 levels, the default, are 19. Departs from the paper: averaged
    weights, no weights by variable or level, half as many levels, backbones of a laptop's size.
    """

    name = "gencast"

    conditioning: Conditioning = Field(
        Conditioning(noise="none", init_std=1e-8), description="how the noise level enters"
    )
    lowest: float = Field(0.02, gt=0, description="least noise level in training")
    highest: float = Field(88.0, gt=0, description="largest noise level in training")
    rho: float = Field(7.0, gt=0, description="noise levels are uniform in sigma^(1/rho)")
    sampler: Sampler = Field(
        Sampler(
            method="dpm-solver++2s",
            evaluations=19,
            spacing=7.0,
            highest=80.0,
            lowest=0.03,
            churn=2.5,
            churn_lowest=0.75,
            churn_noise=1.05,
        ),
        description="how members are drawn",
    )

    @model_validator(mode="after")
    def _levels_ascend(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest = {self.lowest:g} is not below highest = {self.highest:g}")
        return self

    def _prediction(self) -> Literal["preconditioned"]:
        return "preconditioned"

    def _loss(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        how: Optimisation,
    ) -> "DenoisingLoss":
        from geobench_plugins.networks.denoising import DenoisingLoss

        return DenoisingLoss(network, how, draw=draw, times=self._levels)

    def _levels(self, noise: "Noise") -> "Tensor":
        power = 1 / self.rho
        low, high = self.lowest**power, self.highest**power
        levels: Tensor = (low + noise.uniform(1)[:, 0] * (high - low)) ** self.rho
        return levels
