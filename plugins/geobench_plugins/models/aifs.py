"""AIFS: a deterministic network, fine-tuned along rollouts; and two cheap ensembles of it."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import EnsembleModel, Forecaster, GeobenchError, Optimisation, Stage
from geobench_plugins.models.emulator import Emulator, StepByStep
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.objectives import MeanSquare, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Task
    from geobench_plugins.networks.next_state import Networks


class AIFS(Emulator):
    """Deterministic network by mean square error, fine-tuned along rollouts (Lang et al., 2024).

    https://arxiv.org/abs/2406.01465: one step for 78 % of the budget, then 2 to 12 steps at a
    hundredth of the rate (where the budget is small, the longest take few optimiser steps, or
    none). Members are equal, unless `ensemble` is `lagged`: a member starts from one of the last
    `lags` states that are given, each as likely (Brenowitz et al., 2024,
    https://arxiv.org/abs/2401.15305; it needs frames + lags - 1 past frames); or `perturbed`: white
    noise of `perturbation` standard deviations of a step's change is added to all frames. Departs
    from the paper: averaged weights, rates with warm-up and cosine in every stage, weight decay of
    0.05, backbones of a laptop's size.
    """

    name = "aifs"

    conditioning: Conditioning = Field(
        Conditioning(noise="none"), description="where the noise comes from, and how it enters"
    )
    members: int = Field(1, gt=0, description="members of an ensemble in the loss")
    objective: Objective = Field(MeanSquare(), description="what is minimised")
    ensemble: Literal["none", "lagged", "perturbed"] = Field(
        "none", description="how members of a forecast differ"
    )
    lags: int = Field(4, gt=1, description="states that lagged members start from")
    perturbation: float = Field(
        0.1, gt=0, description="of perturbed members, standard deviations of a step's change"
    )
    training: Optimisation = Field(
        Optimisation(
            stages=(
                Stage(leads=1, share=0.78),
                *(Stage(leads=leads, share=0.02, rate=0.01) for leads in range(2, 13)),
            )
        ),
        description="budget and schedule",
    )

    @property
    def deterministic(self) -> bool:
        """Only where members start from the same states."""
        return super().deterministic and self.ensemble == "none"

    def trained(self) -> EnsembleModel:
        """One network for all three kinds of ensemble: without one."""
        fields = type(self).model_fields
        unused = {name: fields[name].default for name in ("ensemble", "lags", "perturbation")}
        return type(self).model_validate(dict(self) | unused)

    def check(self, task: "Task") -> None:
        """Refuse lags for which there are not enough past frames."""
        wanted = self.frames + self.lags - 1
        if self.ensemble == "lagged" and wanted > task.history:
            raise GeobenchError(
                f"{self.lags} lags of {self.frames} frames need {wanted} past frames, and the "
                f"experiment gives {task.history}. Raise the experiment's history to {wanted}, or "
                f"lower lags."
            )

    def _forecaster(self, networks: "Networks") -> Forecaster:
        single = StepByStep(networks, self)
        if self.ensemble == "lagged":
            return _Lagged(single, self.lags)
        if self.ensemble == "perturbed":
            return _Perturbed(single, self.perturbation)
        return single


class _StartedApart(Forecaster):
    """Members of a deterministic network differ in where they start."""

    deterministic = False

    def __init__(self, of: StepByStep) -> None:
        self.history = of.history
        self._of = of

    @property
    def network(self) -> "Networks":
        return self._of.network

    def weights(self) -> "Mapping[str, Tensor]":
        return self._of.weights()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        return self.trajectory(history, noise, 1)[:, 0]

    @abstractmethod
    def trajectory(self, history: "Tensor", noise: "Noise", leads: int) -> "Tensor":
        """All leads at once: where a member starts decides all of them."""


class _Lagged(_StartedApart):
    """Members that start from earlier states."""

    def __init__(self, of: StepByStep, lags: int) -> None:
        super().__init__(of)
        self.history = of.history + lags - 1
        self._lags = lags

    def trajectory(self, history: "Tensor", noise: "Noise", leads: int) -> "Tensor":
        import torch

        # Drawn, not dealt: members are then independent draws, as fair scores assume.
        lag = noise.at(0).use("lag").integers(self._lags, 1).view(-1, *[1] * (history.ndim - 2))
        past, states = history[:, : self._of.history], []
        for time in range(2 - self._lags, leads + 1):
            step_noise = noise.at(time) if time > 0 else noise.use(f"before/{-time}").at(1)
            state = self._of.step(past, step_noise)
            if time <= 0:  # members with less lag still know the truth
                state = torch.where(lag <= -time, history[:, time - 1], state)
            else:
                states.append(state)
            past = torch.cat([past[:, 1:], state[:, None]], 1)
        return torch.stack(states, 1)


class _Perturbed(_StartedApart):
    """Members that start from other states."""

    def __init__(self, of: StepByStep, size: float) -> None:
        super().__init__(of)
        self._size = size

    def trajectory(self, history: "Tensor", noise: "Noise", leads: int) -> "Tensor":
        white = noise.at(0).use("perturbation").normal(*history.shape[2:]).movedim(1, -1)
        # From a state of zeros the state after a change is that change.
        kick = self._of.network.scaling.apply_residual(0 * history[:, -1], self._size * white)
        return self._of.trajectory(history + kick[:, None], noise, leads)
