"""The family of networks that step to the next state, with noise or without; models are presets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, optimise
from geobench_plugins.networks.backbones import Backbone
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.objectives import CRPS, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.next_state import Networks, NextState


class Emulator(EnsembleModel):
    """Past frames and noise in, one draw of the normalised change out: one evaluation a member.

    Every choice in which the published variants differ is a field. The budget `training.passes` is
    shared by the `seeds` networks, and counts members: equal budgets are equal costs.
    """

    frames: int = Field(2, gt=0, description="past frames it sees")
    backbone: Backbone | None = Field(
        None, description="{kind: resnet, unet or vit} with its fields; default: by the grid"
    )
    conditioning: Conditioning = Field(
        Conditioning(), description="where the noise comes from, and how it enters"
    )
    members: int = Field(2, gt=0, description="members of an ensemble in the loss")
    objective: Objective = Field(
        CRPS(),
        description="what is minimised: {score: crps, energy, variogram, multi-scale, spectral, "
        "threshold-weighted or mse} with its fields",
    )
    alone: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="first share of the budget, in which single members learn by absolute error",
    )
    kept: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the wavenumbers of the present state to which the change is added",
    )
    flag: bool = Field(False, description="whether it is told the first step from later ones")
    seeds: int = Field(1, gt=0, description="networks, trained independently on shares of passes")
    combination: Literal["members", "mean"] = Field(
        "members",
        description="members: a trajectory draws one of the networks and keeps it; mean: it takes "
        "the mean of all",
    )
    training: Optimisation = Field(Optimisation(), description="budget and schedule")

    @model_validator(mode="after")
    def _whole_ensembles(self) -> Self:
        if self.training.rows % self.members:
            raise ValueError(
                f"training.rows = {self.training.rows}: ensembles of {self.members} members need a "
                f"multiple of {self.members}"
            )
        if self.members == 1 and self.objective.score not in ("mse", "crps"):
            raise ValueError(
                f"members = 1: the {self.objective.score} score needs two or more; "
                f"single members have {{score: mse}}, or {{score: crps}}, their absolute error"
            )
        return self

    @property
    def deterministic(self) -> bool:
        """Without noise, members of one network, or of the mean of several, are equal."""
        alone = self.seeds == 1 or self.combination == "mean"
        return self.conditioning.deterministic and alone

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Minimise the objective of small ensembles over random windows of the train split."""
        from geobench_plugins.networks.linear import initialise
        from geobench_plugins.networks.next_state import EnsembleLoss, Networks

        share = self.training.passes // self.seeds
        how = Optimisation.model_validate(dict(self.training) | {"passes": share})
        networks = []
        for index in range(self.seeds):
            part = run.part(index, self.seeds)
            network = self._network(training.task.spec).to(run.device)
            network.scaling.learn(training)
            initialise(network, part.noise("weights", 1))
            loss = EnsembleLoss(
                network,
                training,
                how,
                frames=self.frames,
                members=self.members,
                objective=self.objective,
                alone=self.alone,
            )
            # Single members may be equal; those of an ensemble need a while to come apart.
            apart = max(0.5, (1 + self.alone) / 2)
            optimise(loss, how, part, self._forecaster(Networks([network])), spread_from=apart)
            networks.append(network)
        return self._forecaster(Networks(networks))

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the networks and load their weights."""
        from geobench_plugins.networks.next_state import Networks

        networks = Networks([self._network(task.spec) for _ in range(self.seeds)])
        networks.load_state_dict(dict(weights))
        return self._forecaster(networks)

    def _network(self, spec: "StateSpec") -> "NextState":
        from geobench_plugins.networks.next_state import NextState

        return NextState(
            spec,
            self.frames,
            backbone=self.backbone,
            conditioning=self.conditioning,
            kept=self.kept,
            flag=self.flag,
        )

    def _forecaster(self, networks: "Networks") -> Forecaster:
        return StepByStep(networks, self)


class StepByStep(Forecaster):
    """Draws the next state by one evaluation; a member keeps its network along the trajectory."""

    def __init__(self, networks: "Networks", model: Emulator) -> None:
        self.history = model.frames
        self.deterministic = model.conditioning.deterministic and (
            len(networks.each) == 1 or model.combination == "mean"
        )
        self._networks = networks.eval()
        self._mean = model.combination == "mean"

    @property
    def network(self) -> "Networks":
        """All networks."""
        return self._networks

    def weights(self) -> "Mapping[str, Tensor]":
        """Weights and scalings of all networks."""
        return self._networks.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        """Evaluate the network of each row, or all of them."""
        import torch

        later, count = noise.lead > 1, len(self._networks.each)
        if self._mean:
            drawn = [self._networks(history, noise, j, later=later) for j in range(count)]
            return torch.stack(drawn).mean(0)
        if count == 1:
            return self._networks(history, noise, 0, later=later)  # type: ignore[no-any-return]
        # Drawn, not dealt: members are then independent draws, as fair scores assume.
        which = noise.at(0).use("network").integers(count, 1)[:, 0]
        state = torch.empty_like(history[:, -1])
        for j in range(count):
            rows = (which == j).nonzero()[:, 0]
            if len(rows):
                state[rows] = self._networks(history[rows], noise.select(rows), j, later=later)
        return state
