"""The family of networks that take noise away step by step; models are presets."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.networks.backbones import Backbone
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.sampling import Sampler

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.denoiser import Denoiser, Prediction


class Generative(EnsembleModel):
    """Past frames and a noisy change in, the change out: a member takes several evaluations.

    The sampler does not matter for training: forecasters that differ in it alone are trained once.
    """

    frames: int = Field(2, gt=0, description="past frames it sees")
    backbone: Backbone | None = Field(
        None, description="{kind: resnet, unet or vit} with its fields; default: by the grid"
    )
    conditioning: Conditioning = Field(
        Conditioning(noise="none", init_std=0.02), description="how the time of the flow enters"
    )
    sampler: Sampler = Field(Sampler(), description="how members are drawn")
    training: Optimisation = Field(Optimisation(), description="budget and schedule")

    @model_validator(mode="after")
    def _one_source_of_noise(self) -> Self:
        if not self.conditioning.deterministic:
            raise ValueError(
                "conditioning.noise: the noise of this model is where its sampler starts; use "
                "noise: none"
            )
        if any(stage.leads > 1 for stage in self.training.stages):
            raise ValueError("training.stages: this model learns one step; use leads: 1")
        return self

    def trained(self) -> EnsembleModel:
        """One network for all samplers."""
        default = type(self).model_fields["sampler"].default
        return type(self).model_validate(dict(self) | {"sampler": default})

    def with_evaluations(self, count: int) -> EnsembleModel:
        """Return the same network with a sampler of at most so many evaluations."""
        sampler = Sampler.model_validate(dict(self.sampler) | {"evaluations": count})
        return type(self).model_validate(dict(self) | {"sampler": sampler})

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Learn from random windows of the train split."""
        from geobench_plugins.networks.linear import initialise

        network = self._network(training.task.spec).to(run.device)
        network.scaling.learn(training)
        initialise(network, run.noise("weights", 1))

        def draw(noise: "Noise") -> "tuple[Tensor, Tensor]":
            states = training.windows(noise, self.frames)
            return states[:, :-1], states[:, -1]

        forecaster = Denoising(network, self.frames, self.sampler)
        self._learn(network, draw, run, forecaster)
        return forecaster

    def _learn(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        run: "Run",
        forecaster: Forecaster,
    ) -> None:
        """Minimise the loss."""
        optimise(self._loss(network, draw, self.training), self.training, run, forecaster)

    def _how(self, share: float, rate: float = 1.0) -> Optimisation:
        """Training with a share of the budget, and of the learning rate."""
        passes = max(1, round(share * self.training.passes))
        changes = {"passes": passes, "learning_rate": rate * self.training.learning_rate}
        return Optimisation.model_validate(dict(self.training) | changes)

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the network and load its weights."""
        network = self._network(task.spec)
        network.load_state_dict(dict(weights))
        return Denoising(network, self.frames, self.sampler)

    @abstractmethod
    def _prediction(self) -> "Prediction":
        """What the network predicts."""

    @abstractmethod
    def _loss(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        how: Optimisation,
    ) -> "nn.Module":
        """What is minimised, over the states that `draw` gives."""

    def _kind(self) -> "type[Denoiser]":
        """Class of the network."""
        from geobench_plugins.networks.denoiser import Denoiser

        return Denoiser

    def _network(self, spec: "StateSpec", frames: int | None = None) -> "Denoiser":
        return self._kind()(
            spec,
            self.frames if frames is None else frames,
            backbone=self.backbone,
            conditioning=self.conditioning,
            prediction=self._prediction(),
        )


class Denoising(Forecaster):
    """Draws the next state by a sampler, given the past ones."""

    def __init__(self, network: "Denoiser", frames: int, sampler: Sampler) -> None:
        self.history = frames
        self._network = network.eval()
        self._sampler = sampler

    @property
    def network(self) -> "Denoiser":
        """The denoiser."""
        return self._network

    def weights(self) -> "Mapping[str, Tensor]":
        """Weights and scalings."""
        return self._network.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        """From noise to a change, and from that to a state."""
        network = self._network
        given = network.scaling.inputs(history)
        start = noise.use("start of flow").normal(*history.shape[3:], history.shape[2])
        change = network.draw(given, start, self._sampler, noise)
        return network.scaling.apply_residual(history[:, -1], change)
