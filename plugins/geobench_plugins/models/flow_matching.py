"""The generative model: flow matching of the next state, given the past ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.networks.backbones import Backbone
from geobench_plugins.networks.conditioning import Conditioning

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.velocity import Velocity


class FlowMatching(EnsembleModel):
    """Conditional flow matching with independent coupling (Lipman et al., 2023).

    Between the normalised residual r (s = 0) and noise e ~ N(0, I) (s = 1), r_s = (1 - s) r + s e;
    the network learns the velocity e - r from r_s, s and the past states. A member starts from
    noise and follows the velocity to s = 0 in `steps` midpoint steps of two evaluations each, ever
    shorter towards s = 0: at s = (k / `steps`)². A narrow one-step law (standard deviation c of
    the residual) is decided where s is about c, which uniform flow times see more often than
    logit-normal ones (Esser et al., 2024): docs/decisions/0005.
    """

    name = "flow-matching"
    version = "2"

    frames: int = Field(2, gt=0, description="past frames it sees")
    backbone: Backbone | None = Field(
        None, description="{kind: resnet, unet or vit} with its fields; default: by the grid"
    )
    conditioning: Conditioning = Field(
        Conditioning(noise="none", init_std=0.02), description="how the flow time enters"
    )
    flow_time: Literal["uniform", "logit-normal"] = Field(
        "uniform", description="law of the flow time s in training"
    )
    steps: int = Field(8, gt=0, description="midpoint steps of the sampler")
    training: Optimisation = Field(Optimisation(), description="budget and schedule")

    @model_validator(mode="after")
    def _one_source_of_noise(self) -> Self:
        if not self.conditioning.deterministic:
            raise ValueError(
                "conditioning.noise: the noise of flow matching is where its flow starts; use "
                "noise: none"
            )
        if any(stage.leads > 1 for stage in self.training.stages):
            raise ValueError("training.stages: flow matching learns one step; use leads: 1")
        return self

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Minimise the squared error of the velocity over random windows of the train split."""
        from geobench_plugins.networks.linear import initialise
        from geobench_plugins.networks.velocity import VelocityLoss

        network = self._network(training.task.spec)
        network.scaling.learn(training)
        initialise(network, run.noise("weights", 1))
        network.to(run.device)
        loss = VelocityLoss(
            network, training, self.training, frames=self.frames, flow_times=self._flow_times
        )
        forecaster = _FlowMatching(network, self.frames, self.steps)
        optimise(loss, self.training, run, forecaster)
        return forecaster

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the network and load its weights."""
        network = self._network(task.spec)
        network.load_state_dict(dict(weights))
        return _FlowMatching(network, self.frames, self.steps)

    def _flow_times(self, noise: "Noise") -> "Tensor":
        if self.flow_time == "uniform":
            return noise.uniform(1)[:, 0]
        return noise.normal(1)[:, 0].sigmoid()

    def _network(self, spec: "StateSpec") -> "Velocity":
        from geobench_plugins.networks.velocity import Velocity

        return Velocity(spec, self.frames, backbone=self.backbone, conditioning=self.conditioning)


class _FlowMatching(Forecaster):
    def __init__(self, network: "Velocity", frames: int, steps: int) -> None:
        self.history = frames
        self._network = network.eval()
        self._steps = steps

    @property
    def network(self) -> "Velocity":
        return self._network

    def weights(self) -> "Mapping[str, Tensor]":
        return self._network.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        past = self._network.scaling.inputs(history)
        residual = noise.use("start of flow").normal(*history.shape[3:], history.shape[2])
        for index in range(self._steps, 0, -1):
            s, after = (index / self._steps) ** 2, ((index - 1) / self._steps) ** 2
            middle = (s + after) / 2
            half = residual + (middle - s) * self._velocity(past, residual, s)
            residual = residual + (after - s) * self._velocity(past, half, middle)
        return self._network.scaling.apply_residual(history[:, -1], residual)

    def _velocity(self, past: "Tensor", residual: "Tensor", s: float) -> "Tensor":
        velocity: Tensor = self._network(past, residual, residual.new_full((len(residual),), s))
        return velocity
