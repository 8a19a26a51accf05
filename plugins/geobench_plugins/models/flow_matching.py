"""Flow matching of the next state, given the past ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import Optimisation
from geobench_plugins.models.generative import Generative

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise
    from geobench_plugins.networks.denoiser import Denoiser
    from geobench_plugins.networks.denoising import DenoisingLoss


class FlowMatching(Generative):
    """Conditional flow matching with independent coupling (Lipman et al., 2023).

    Between the normalised change r (t = 0) and noise e ~ N(0, I) (t = 1), x_t = (1 - t) r + t e;
    the network learns the velocity e - r from x_t, t and the past states, and a member follows it
    from noise to t = 0. A narrow one-step law (standard deviation c of the change) is decided where
    t is about c, which uniform times see more often than logit-normal ones (Esser et al., 2024),
    and steps that shorten towards t = 0 resolve (docs/decisions/0005).
    """

    name = "flow-matching"
    version = "3"

    prediction: Literal["velocity", "sample"] = Field(
        "velocity", description="what the network predicts: e - r, or r itself"
    )
    flow_time: Literal["uniform", "logit-normal"] = Field(
        "uniform", description="law of the flow time t in training"
    )
    weight: Literal["velocity", "balanced", "sample"] = Field(
        "velocity",
        description="of the error of r at the time t: 1/t² (the plain error of the velocity), "
        "(1 - t)/t (ArchesWeatherGen) or 1",
    )
    coupling: Literal["independent", "minibatch"] = Field(
        "independent",
        description="minibatch: optimal transport pairs the noise and the changes of a batch. "
        "Straighter paths, but a biased law: the pairing looks at changes of all states at once, "
        "so the noise that a state is paired with depends on the state, while a member starts from "
        "any noise (Cheng & Schwing, 2025, arXiv:2503.10636). Sound only among draws that share "
        "their past, which train splits do not hold",
    )

    def _prediction(self) -> Literal["velocity", "sample"]:
        return self.prediction

    def _loss(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        how: Optimisation,
    ) -> "DenoisingLoss":
        from geobench_plugins.networks.denoising import DenoisingLoss

        return DenoisingLoss(
            network,
            how,
            draw=draw,
            times=self._flow_times,
            weight=self.weight,
            paired=self.coupling == "minibatch",
        )

    def _flow_times(self, noise: "Noise") -> "Tensor":
        if self.flow_time == "uniform":
            return noise.uniform(1)[:, 0]
        return noise.normal(1)[:, 0].sigmoid()
