"""What stops a training that has gone wrong: early, with one line that says what to do."""

from typing import NoReturn

import torch
from torch import Tensor

from geobench.errors import GeobenchError
from geobench.training.checkpoint import Diagnosed
from geobench.training.optimisation import Optimisation
from geobench.training.validating import Figures

_FAR = 100.0  # times the loss of the stage's beginning
_WORSE = 3.0  # times the best validation
_FEW = 200  # steps, in which members need not have come apart


class Diagnosis:
    """Looks at losses and validations.

    Losses are noisy, and their meaning may change with the stage: only a loss that is not finite,
    or a median of the last ones that has risen by a hundred times what losses were, or how they
    scattered, at the stage's beginning, stops the training; single large losses do not. Validations
    are always of the same windows and noise: two in a row that are three times as bad as the best
    one stop it. So do members that are all but equal from `spread_from` of the budget on.
    """

    def __init__(self, how: Optimisation, spread_from: float | None) -> None:
        self._how, self._steps = how, how.steps
        self._spread_from = spread_from
        self.state = Diagnosed()

    def losses(self, recent: Tensor, steps: int, kept: str) -> None:
        """Look at the losses of the last steps, of which there have been `steps` so far."""
        wrong = ~recent.isfinite()
        if wrong.any():
            step = steps - len(recent) + int(wrong.nonzero()[0]) + 1
            self.stop(f"the loss is {recent[wrong][0].item()} at step {step:,}", kept)
        median, stage = float(recent.median()), self._how.span(steps - 1).first
        if self.state.level is None or stage != self.state.stage:
            scatter = float((recent - median).abs().median())
            begun = {"level": median, "scatter": scatter, "stage": stage}
            self.state = self.state.model_copy(update=begun)
        if self._risen(median) > _FAR:
            self.stop(
                f"half of the last {len(recent)} losses are {median:.3g} or more at step "
                f"{steps:,}; at the beginning of the stage they were {self.state.level:.3g}",
                kept,
            )

    def _risen(self, median: float) -> float:
        """By how much losses have risen in the stage, in what they were or scattered at first."""
        if self.state.level is None:
            return 0.0
        scale = max(abs(self.state.level), self.state.scatter)
        return (median - self.state.level) / scale if scale else 0.0

    def validation(self, figures: Figures, steps: int, kept: str) -> None:
        """Look at a validation after `steps` steps."""
        if not figures.crps < float("inf"):
            self.stop(f"the validation CRPS is {figures.crps} at step {steps:,}", kept)
        best = min(figures.crps, figures.crps if self.state.best is None else self.state.best)
        bad = self.state.bad + 1 if figures.crps > _WORSE * best > 0 else 0
        self.state = self.state.model_copy(update={"best": best, "bad": bad})
        if bad > 1:
            self.stop(
                f"the validation CRPS is {figures.crps:.3g} at step {steps:,}, and was {best:.3g}",
                kept,
            )
        ratio = figures.spread / figures.error if figures.error else float("inf")
        if self._expects_spread(steps) and ratio < self._how.smallest_spread:
            raise GeobenchError(
                f"members have become all but equal: at step {steps:,} of {self._steps:,} their "
                f"spread is {ratio:.2g} of the error of their mean (below smallest_spread = "
                f"{self._how.smallest_spread:g}). Look at the objective (one that is fair for two "
                f"members or more) and at how noise enters the network, or train "
                f"with smallest_spread=0. {kept}"
            )

    def _expects_spread(self, steps: int) -> bool:
        """Not of a deterministic model, nor early on, nor of a training that is none."""
        if self._spread_from is None or steps < _FEW:
            return False
        return self._how.spent(steps) >= self._spread_from * self._how.spent(self._steps)

    def well(self, recent: list[Tensor]) -> bool:
        """Whether nothing speaks against keeping the weights as they are."""
        if self.state.bad:
            return False
        if not recent:
            return True
        losses = torch.stack(recent)
        return bool(losses.isfinite().all()) and self._risen(float(losses.median())) <= _FAR / 10

    def stop(self, evidence: str, kept: str) -> NoReturn:
        """Tell what was seen."""
        how = self._how
        raise GeobenchError(
            f"training diverged: {evidence} of {self._steps:,}. Lower learning_rate (now "
            f"{how.learning_rate:g}) or raise warm_up (now {how.warm_up}). {kept}"
        )
