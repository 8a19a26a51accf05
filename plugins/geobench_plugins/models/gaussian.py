"""The normal law of the next state, by maximum likelihood."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.networks.backbones import Backbone

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.gaussian_law import NormalChange


_COST = 4 / 3  # sample-passes of a row where the factors learn: their own, and an evaluation


class Gaussian(EnsembleModel):
    """Normal law of the next state: networks give the mean and the covariance of the change.

    What any generative model must beat. The covariance is diag(d²) + V Vᵀ. V has `rank` global
    factors, the network's output as it is, and local ones around centres every `spacing` cells: a
    network that treats all places alike cannot give neighbours independent factors otherwise. With
    a centre in every cell the local part is a moving average of white noise whose coefficients
    depend on the state. One network learns the mean and d; it is then fixed, and a second of the
    same size learns V and a factor of d. So the factors never explain what the mean has yet to
    learn. Each has a schedule of its own. Trained by the likelihood of one step, so no rollout and
    no ensemble. A member costs one evaluation of each network and step.
    """

    name = "gaussian"
    version = "2"

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
        0.75,
        ge=0,
        lt=1,
        description="first share of the budget, in which mean and standard deviations learn "
        "without factors; then they are fixed. 0: everything learns together throughout",
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
        """Maximise the likelihood of the next state over random windows of the train split.

        First without factors; then the factors alone, mean and standard deviations being fixed.
        """
        from geobench_plugins.networks.conditioned import initialise
        from geobench_plugins.networks.gaussian_law import NormalChange

        network = self._network(training.task.spec).to(run.device)
        network.scaling.learn(training)
        if network.factors is None:
            initialise(network, run.noise("weights", 1))
            self._maximise(network, training, self.training, run)
            return _Gaussian(network, self.frames)
        first, second = run.part(0, 2), run.part(1, 2)
        initialise(network.diagonal, first.noise("weights", 1))
        initialise(network.factors, second.noise("weights", 1))
        share = self.diagonal
        if share:
            alone = NormalChange(network.diagonal, None)
            self._maximise(alone, training, self._how(share), first)
            network.diagonal.requires_grad_(False)
        # Evaluating the fixed network costs a third of a sample-pass, which the budget pays for.
        cost = _COST if share else 2.0
        how = self._how((1 - share) / cost)
        self._maximise(network, training, how, second)
        run.spent["sample_passes"] += (cost - 1) * how.spent(how.steps)
        return _Gaussian(network, self.frames)

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the networks and load their weights."""
        network = self._network(task.spec)
        network.load_state_dict(dict(weights))
        return _Gaussian(network, self.frames)

    def _how(self, share: float) -> Optimisation:
        """Training with a share of the budget, and a schedule of its own."""
        passes = max(1, round(share * self.training.passes))
        return Optimisation.model_validate(dict(self.training) | {"passes": passes})

    def _maximise(
        self, network: "NormalChange", training: "Training", how: Optimisation, run: "Run"
    ) -> None:
        from geobench_plugins.networks.gaussian_law import LikelihoodLoss

        loss = LikelihoodLoss(network, training, how, frames=self.frames)
        optimise(loss, how, run, _Gaussian(network, self.frames))

    def _network(self, spec: "StateSpec") -> "NormalChange":
        from geobench_plugins.networks.gaussian_law import DiagonalChange, Factors, NormalChange

        diagonal = DiagonalChange(spec, self.frames, self.backbone)
        if not self.rank and not self.local:
            return NormalChange(diagonal, None)
        line = len(spec.dims) == 1
        spacing = self.spacing or (1 if line else math.ceil(max(spec.grid) / 8))
        factors = Factors(
            spec,
            self.frames,
            backbone=self.backbone,
            rank=self.rank,
            local=self.local,
            spacing=spacing,
            reach=self.reach or (4 if line else spacing),
        )
        return NormalChange(diagonal, factors)


class _Gaussian(Forecaster):
    def __init__(self, network: "NormalChange", frames: int) -> None:
        self.history = frames
        import torch

        self._network = network
        parts = [network.diagonal, *([network.factors] if network.factors else [])]
        self._parts = torch.nn.ModuleList(parts).eval()

    @property
    def network(self) -> "nn.ModuleList":
        return self._parts

    def weights(self) -> "Mapping[str, Tensor]":
        return self._network.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        change = self._network(history).draw(noise)
        before = history[:, -1]
        return self._network.scaling.apply_residual(before, change.view_as(before.movedim(1, -1)))
