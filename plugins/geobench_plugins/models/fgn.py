"""The conditional-normalisation model: noise into every layer norm, trained with fair CRPS."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.networks.objectives import CRPS, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.noise_conditioned import NoiseConditioned


class FGN(EnsembleModel):
    """Functional generative network: one evaluation draws a member (Alet et al., 2025).

    A global noise vector z ~ N(0, I) goes through one linear map without bias into every layer
    norm, as scale and shift; z is fresh for each member and each step. The loss is the fair CRPS of
    two members, at every site on its own: nothing in it rewards the right dependence between sites.
    `objective` and `members` choose another; sample-passes are members, so the budget is the same.
    Departs from the paper: one seed, no rollout training, averaged weights, a network for a ring.
    """

    name = "fgn"

    frames: int = Field(2, gt=0, description="past frames it sees")
    width: int = Field(64, gt=0, description="channels")
    blocks: int = Field(5, gt=0, description="residual blocks")
    latent: int = Field(32, gt=0, description="length of the noise vector")
    norm_std: float = Field(
        1e-8, ge=0, description="std of the initial weights from noise to norms"
    )
    members: int = Field(2, gt=1, description="members of an ensemble in the loss")
    objective: Objective = Field(
        CRPS(),
        description="what is minimised: {score: crps, energy, variogram, multi-scale, spectral, "
        "threshold-weighted or mse} with its fields",
    )
    training: Optimisation = Optimisation()

    @model_validator(mode="after")
    def _whole_ensembles(self) -> Self:
        if self.training.rows % self.members:
            raise ValueError(
                f"training.rows = {self.training.rows}: ensembles of {self.members} members need a "
                f"multiple of {self.members}"
            )
        return self

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Minimise the objective of small ensembles over random windows of the train split."""
        from geobench_plugins.networks.ring import initialise

        network = self._network(training.task.spec)
        network.scaling.learn(training)
        initialise(network, run.noise("weights", 1))
        network.to(run.device)
        sets = self.training.rows // self.members

        def loss(step: int) -> "Tensor":
            noise = run.noise("batch", sets, step=step)
            frames = training.windows(noise, self.frames + 1)
            target = network.scaling.residual(frames[:, -2], frames[:, -1])
            start = network.scaling.start(frames[:, -2])
            latent = noise.use("latent").normal(self.members, self.latent)
            past = frames[:, :-1].repeat_interleave(self.members, 0)
            drawn = network(past, latent.flatten(0, 1)).unflatten(0, (sets, self.members))
            return self.objective.loss(drawn, target, start)

        optimise(network, loss, self.training, run)
        return _FGN(network, self.frames, self.latent)

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the network and load its weights."""
        network = self._network(task.spec)
        network.load_state_dict(dict(weights))
        return _FGN(network, self.frames, self.latent)

    def _network(self, spec: "StateSpec") -> "NoiseConditioned":
        from geobench_plugins.networks.noise_conditioned import NoiseConditioned

        return NoiseConditioned(
            spec,
            frames=self.frames,
            latent=self.latent,
            width=self.width,
            blocks=self.blocks,
            norm_std=self.norm_std,
        )


class _FGN(Forecaster):
    def __init__(self, network: "NoiseConditioned", frames: int, latent: int) -> None:
        self.history = frames
        self._network = network.eval()
        self._latent = latent

    @property
    def network(self) -> "NoiseConditioned":
        return self._network

    def weights(self) -> "Mapping[str, Tensor]":
        return self._network.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        residual = self._network(history, noise.use("latent").normal(self._latent))
        return self._network.scaling.apply_residual(history[:, -1], residual)
