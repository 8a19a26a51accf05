"""What stops a training that has gone wrong: early, with one line that says what to do."""

from typing import Any

import torch
from torch import Tensor

from geobench.errors import GeobenchError
from geobench.training.optimisation import Optimisation
from geobench.training.validating import Figures

_FAR = 100.0  # times the loss of the stage's beginning
_WORSE = 3.0  # times the best validation


class Diagnosis:
    """Looks at losses and validations.

    Losses are noisy, and their meaning may change with the stage: only a loss that is not finite,
    or a median of the last ones a hundred times that of the stage's beginning, stops the training;
    single large losses do not. Validations are always of the same windows and noise: two in a row
    that are three times as bad as the best one stop it. From half of the training on, so do members
    that are all but equal.
    """

    def __init__(self, how: Optimisation, *, deterministic: bool) -> None:
        self._how, self._steps = how, how.steps
        self._equal = deterministic
        self._level: float | None = None
        self._stage = 0
        self._best: float | None = None
        self._bad = 0

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint has to keep."""
        return {"level": self._level, "stage": self._stage, "best": self._best, "bad": self._bad}

    @state.setter
    def state(self, kept: dict[str, Any]) -> None:
        self._level, self._stage = kept["level"], kept["stage"]
        self._best, self._bad = kept["best"], kept["bad"]

    def losses(self, recent: Tensor, steps: int, kept: str) -> None:
        """Look at the losses of the last steps, of which there have been `steps` so far."""
        wrong = ~recent.isfinite()
        if wrong.any():
            step = steps - len(recent) + int(wrong.nonzero()[0]) + 1
            self._stop(f"the loss is {recent[wrong][0].item()} at step {step:,}", kept)
        median = float(recent.abs().median())
        stage = self._how.span(steps - 1).first
        if self._level is None or stage != self._stage:
            self._level, self._stage = median, stage
        if median > _FAR * self._level > 0:
            self._stop(
                f"half of the last {len(recent)} losses are {median:.3g} or more at step "
                f"{steps:,}; at the beginning of the stage they were {self._level:.3g}",
                kept,
            )

    def validation(self, found: Figures, steps: int, kept: str) -> None:
        """Look at a validation after `steps` steps."""
        if not found.crps < float("inf"):
            self._stop(f"the validation CRPS is {found.crps} at step {steps:,}", kept)
        best = min(found.crps, found.crps if self._best is None else self._best)
        self._best = best
        self._bad = self._bad + 1 if found.crps > _WORSE * best > 0 else 0
        if self._bad > 1:
            self._stop(
                f"the validation CRPS is {found.crps:.3g} at step {steps:,}, and was {best:.3g}",
                kept,
            )
        ratio = found.spread / found.error if found.error else float("inf")
        if not self._equal and 2 * steps >= self._steps and ratio < self._how.smallest_spread:
            raise GeobenchError(
                f"members have become all but equal: at step {steps:,} of {self._steps:,} their "
                f"spread is {ratio:.2g} of the error of their mean (below smallest_spread = "
                f"{self._how.smallest_spread:g}). Look at the objective (one that is fair for two "
                f"members or more) and at how noise enters the network, or go on with "
                f"smallest_spread=0. {kept}"
            )

    def well(self, recent: list[Tensor]) -> bool:
        """Whether nothing speaks against keeping the weights as they are."""
        if self._bad:
            return False
        if not recent:
            return True
        losses = torch.stack(recent)
        median = float(losses.abs().median())
        usual = not self._level or median <= _FAR / 10 * self._level
        return bool(losses.isfinite().all()) and usual

    def _stop(self, evidence: str, kept: str) -> None:
        how = self._how
        raise GeobenchError(
            f"training diverged: {evidence} of {self._steps:,}. Lower learning_rate (now "
            f"{how.learning_rate:g}) or raise warm_up (now {how.warm_up}). {kept}"
        )
