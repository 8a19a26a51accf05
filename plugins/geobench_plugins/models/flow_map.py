"""A flow map: a flow that is followed in one step, or a few."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.models.generative import Generative
from geobench_plugins.networks.sampling import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run
    from geobench_plugins.networks.denoiser import Denoiser
    from geobench_plugins.networks.denoising import DenoisingLoss
    from geobench_plugins.networks.flow_map import FlowMap as Network

_STEPS = (1, 2, 4, 8)  # of the maps that are learned


class FlowMap(Generative):
    """Flow matching, then its own paths in 1, 2, 4 or 8 steps (Boffi et al., 2024; Luhman, 2021).

    https://arxiv.org/abs/2406.07507, https://arxiv.org/abs/2101.02388. A network learns the
    velocity as `flow-matching` does, then the velocity averaged over long steps of its own paths,
    of 16 evaluations, to which the paths of the network that it was are the truth. A member is
    then drawn in few evaluations. The budget is that of both: a row of the second part is paid as
    its share of a path, whose evaluations are a third of a sample-pass, and one more sample-pass.
    """

    name = "flow-map"

    sampler: Sampler = Field(
        Sampler(method="euler", evaluations=2), description="how members are drawn"
    )
    distilled: float = Field(
        0.5, gt=0, lt=1, description="share of the budget in which long steps are learned"
    )

    @model_validator(mode="after")
    def _in_long_steps(self) -> Self:
        options = {"method": "euler", "noise_scale": self.sampler.noise_scale}
        if self.sampler not in [Sampler(evaluations=steps, **options) for steps in _STEPS]:
            raise ValueError(
                "sampler: a flow map is drawn in evaluations: 1, 2, 4 or 8; of the other fields "
                "noise_scale alone can differ"
            )
        return self

    def with_evaluations(self, count: int) -> EnsembleModel:
        """Return the same network with the most steps that it has learned and `count` allows."""
        return super().with_evaluations(max(steps for steps in _STEPS if steps <= count))

    def _learn(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        run: "Run",
        forecaster: Forecaster,
    ) -> None:
        from geobench_plugins.networks.flow_map import COST, Distillation, FlowMap

        assert isinstance(network, FlowMap)  # noqa: S101 # see _kind
        how = self._how(1 - self.distilled)
        optimise(self._loss(network, draw, how), how, run.part(0, 2))
        how = self._how(self.distilled / COST)
        optimise(Distillation(network, how, draw=draw), how, run.part(1, 2), forecaster)
        run.spent["sample_passes"] += (COST - 1) * how.spent(how.steps)  # for the paths

    def _prediction(self) -> Literal["velocity"]:
        return "velocity"

    def _kind(self) -> "type[Network]":
        from geobench_plugins.networks.flow_map import FlowMap

        return FlowMap

    def _loss(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        how: Optimisation,
    ) -> "DenoisingLoss":
        from geobench_plugins.networks.denoising import DenoisingLoss

        def times(noise: "Noise") -> "Tensor":
            return noise.uniform(1)[:, 0]

        return DenoisingLoss(network, how, draw=draw, times=times)
