"""The normal law of the next state, by maximum likelihood."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.networks.backbones import Backbone

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.gaussian_law import NormalChange


class Gaussian(EnsembleModel):
    """Normal law of the next state: a network gives the mean and the covariance of the change.

    What any generative model must beat. The covariance is diag(d²) + V Vᵀ. V has `rank` global
    factors, the network's output as it is, and local ones around centres every `spacing` cells: a
    network that treats all places alike cannot give neighbours independent factors otherwise. With
    a centre in every cell the local part is a moving average of white noise whose coefficients
    depend on the state. One evaluation gives the whole law; trained by one-step likelihood alone,
    so no rollout and no ensemble.
    """

    name = "gaussian"

    frames: int = Field(2, gt=0, description="past frames it sees")
    backbone: Backbone | None = Field(
        None, description="{kind: resnet, unet or vit} with its fields; default: by the grid"
    )
    rank: int = Field(8, ge=0, description="global factors")
    local: int = Field(2, ge=0, description="factors around each centre")
    spacing: int | None = Field(
        None, gt=0, description="cells between centres; default: 1 on a line, 1/8 of the side else"
    )
    reach: int | None = Field(
        None,
        gt=0,
        description="cells from a centre to where its factors end; default: 4 on a line, spacing "
        "else",
    )
    diagonal: float = Field(
        0.5, ge=0, lt=1, description="first share of the budget, in which there are no factors"
    )
    training: Optimisation = Field(Optimisation(), description="budget and schedule")

    @model_validator(mode="after")
    def _one_step(self) -> Self:
        if any(stage.leads > 1 for stage in self.training.stages):
            raise ValueError(
                "training.stages: the likelihood is of one step; leads must be 1 in every stage"
            )
        return self

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Maximise the likelihood of the next state over random windows of the train split."""
        from geobench_plugins.networks.conditioned import initialise
        from geobench_plugins.networks.gaussian_law import LikelihoodLoss

        network = self._network(training.task.spec).to(run.device)
        network.scaling.learn(training)
        initialise(network, run.noise("weights", 1))
        loss = LikelihoodLoss(
            network, training, self.training, frames=self.frames, diagonal=self.diagonal
        )
        forecaster = _Gaussian(network, self.frames)
        optimise(loss, self.training, run, forecaster)
        return forecaster

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the network and load its weights."""
        network = self._network(task.spec)
        network.load_state_dict(dict(weights))
        return _Gaussian(network, self.frames)

    def _network(self, spec: "StateSpec") -> "NormalChange":
        from geobench_plugins.networks.gaussian_law import NormalChange

        line = len(spec.dims) == 1
        spacing = self.spacing or (1 if line else math.ceil(max(spec.grid) / 8))
        return NormalChange(
            spec,
            self.frames,
            backbone=self.backbone,
            rank=self.rank,
            local=self.local,
            spacing=spacing,
            reach=self.reach or (4 if line else spacing),
        )


class _Gaussian(Forecaster):
    def __init__(self, network: "NormalChange", frames: int) -> None:
        self.history = frames
        self._network = network.eval()

    @property
    def network(self) -> "NormalChange":
        return self._network

    def weights(self) -> "Mapping[str, Tensor]":
        return self._network.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        change = self._network(history).draw(noise)
        before = history[:, -1]
        return self._network.scaling.apply_residual(before, change.view_as(before.movedim(1, -1)))
