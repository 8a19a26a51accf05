"""The family of networks that step to the next state, with noise or without; models are presets."""

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from geobench import EnsembleModel, Forecaster, Optimisation, Stage, optimise
from geobench_plugins.networks.backbones import Backbone
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.objectives import CRPS, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.next_state import Networks, NextState

_SLIVER = 1e-9  # shares of the budget below it are rounding


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
    schedules: Literal["two", "one"] = Field(
        "two",
        description="with alone above 0. two: the learning rate warms up and decays before the "
        "ensemble begins to learn, and again after; one: once over the whole budget",
    )
    kept: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the wavenumbers of the present state to which the change is added",
    )
    dropped: float | None = Field(
        0.1,
        ge=0,
        description="with kept below 1: the most that the filter may drop of a variable, as a "
        "share of the size of its change in one step, both over the train split. A variable that "
        "would lose more is not filtered. null: all are",
    )
    flag: bool = Field(False, description="extra input: 0 at the first step, 1 at later ones")
    flag_start: Literal["zero", "random"] = Field(
        "zero",
        description="with a flag. zero: its weights have no effect until they have learned, and "
        "they learn from the start of the training; random: they start like all others, and learn "
        "only in rollouts",
    )
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

    def recipe(self) -> dict[str, Any]:
        """Everything that decides this model's numbers: not fields that have no effect."""
        idle = {"dropped": self.kept == 1, "flag_start": not self.flag, "schedules": not self.alone}
        return {k: v for k, v in super().recipe().items() if not idle.get(k, False)}

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Minimise the objective of small ensembles over random windows of the train split."""
        from geobench_plugins.networks.linear import initialise
        from geobench_plugins.networks.next_state import EnsembleLoss, Networks

        networks = []
        for index in range(self.seeds):
            part = run.part(index, self.seeds)
            network = self._network(training.task.spec).to(run.device)
            network.scaling.learn(training)
            initialise(network, part.noise("weights", 1))
            forecaster = self._forecaster(Networks([network]))
            phases = self._phases()
            for phase, (how, alone) in enumerate(phases):
                loss = EnsembleLoss(
                    network,
                    training,
                    how,
                    frames=self.frames,
                    members=self.members,
                    objective=self.objective,
                    alone=alone,
                )
                # Single members may be equal; those of an ensemble need a while to come apart.
                apart = max(0.5, (1 + alone) / 2) if alone < 1 else math.inf
                phase_run = part.part(phase, len(phases))
                optimise(loss, how, phase_run, forecaster, spread_from=apart)
            networks.append(network)
            if self.kept < 1:
                run.log["dropped"] = network.scaling.dropped
        return self._forecaster(Networks(networks))

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the networks and load their weights."""
        from geobench_plugins.networks.next_state import Networks

        networks = Networks([self._network(task.spec) for _ in range(self.seeds)])
        networks.load_state_dict(dict(weights))
        return self._forecaster(networks)

    def _phases(self) -> list[tuple[Optimisation, float]]:
        """Schedules of one network, each with the share of it in which members learn alone."""
        passes = self.training.passes // self.seeds
        if not self.alone or self.schedules == "one":
            return [(_changed(self.training, passes=passes), self.alone)]
        first, second = (
            _changed(self.training, passes=max(1, round(share * passes)), stages=stages)
            for share, stages in _cut(self.training.stages, self.alone)
        )
        return [(first, 1.0), (second, 0.0)]

    def _network(self, spec: "StateSpec") -> "NextState":
        from geobench_plugins.networks.next_state import NextState

        return NextState(
            spec,
            self.frames,
            backbone=self.backbone,
            conditioning=self.conditioning,
            kept=self.kept,
            dropped=self.dropped,
            flag=self.flag_start if self.flag else "none",
        )

    def _forecaster(self, networks: "Networks") -> Forecaster:
        return StepByStep(networks, self)


def _changed(training: Optimisation, **fields: Any) -> Optimisation:
    return Optimisation.model_validate(dict(training) | fields)


def _cut(stages: tuple[Stage, ...], at: float) -> "list[tuple[float, tuple[Stage, ...]]]":
    """Cut the stages at a share of the budget: both parts' shares of it, and their stages.

    A stage that goes across the cut is in both. The shares of a part's stages sum to 1.
    """
    bounds = [0.0, *itertools.accumulate(stage.share for stage in stages)]
    parts = []
    for low, high in ((0.0, at), (at, 1.0)):
        inside = [
            stage.model_copy(update={"share": (min(end, high) - max(start, low)) / (high - low)})
            for stage, (start, end) in zip(stages, itertools.pairwise(bounds), strict=True)
            if min(end, high) - max(start, low) > _SLIVER
        ]
        parts.append((high - low, tuple(inside)))
    return parts


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
