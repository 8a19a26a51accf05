"""The optimiser loop: one budget unit, one schedule and one averaging rule for all networks."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from geobench.errors import GeobenchError
from geobench.interfaces.model import Run
from geobench.interfaces.plugin import Fields

if TYPE_CHECKING:
    from torch import Tensor, nn


class Optimisation(Fields):
    """AdamW with warm-up, cosine decay, clipping and an average of the weights.

    The budget is counted in sample-passes: one forward and backward pass of one row (one noisy
    field, or one member). Equal budgets make methods comparable (not equal numbers of steps).
    """

    passes: int = Field(150_000, gt=0, description="budget, sample-passes")
    rows: int = Field(64, gt=0, description="sample-passes in one step")
    learning_rate: float = Field(2e-3, gt=0)
    warm_up: int = Field(100, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.05, ge=0, description="on matrices only")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    averaging: float = Field(
        0.99, ge=0, lt=1, description="decay of the weights' moving average, which is what is kept"
    )

    @property
    def steps(self) -> int:
        """Number of optimiser steps in the budget."""
        return max(1, self.passes // self.rows)

    def rate(self, step: int) -> float:
        """Learning rate of a step (from 0)."""
        warm = min(1.0, (step + 1) / (self.warm_up + 1))
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def optimise(
    network: "nn.Module", loss: Callable[[int], "Tensor"], how: Optimisation, run: Run
) -> None:
    """Minimise `loss(step)` over the parameters of `network`, in place.

    `loss` draws its own batch of `how.rows` rows for the step. What is left in `network` is the
    moving average of the weights. `run.log` receives the loss, averaged over the last steps.
    """
    import torch

    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": how.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=how.learning_rate, betas=(0.9, 0.95))
    average = [p.detach().clone() for p in parameters]
    every = max(1, how.steps // 100)
    recent: list[Tensor] = []
    for step in range(how.steps):
        for group in optimiser.param_groups:
            group["lr"] = how.rate(step)
        optimiser.zero_grad()
        value = loss(step)
        value.backward()  # type: ignore[no-untyped-call] # torch leaves it unannotated
        torch.nn.utils.clip_grad_norm_(parameters, how.clip)
        optimiser.step()
        # Early weights are forgotten sooner, or a short run would keep its initial state.
        decay = min(how.averaging, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(average, [*parameters], 1 - decay)
        recent.append(value.detach())
        if (step + 1) % every == 0 or step + 1 == how.steps:
            mean = _finite(torch.stack(recent), step, how)
            recent.clear()
            run.log.setdefault("passes", []).append((step + 1) * how.rows)
            run.log.setdefault("loss", []).append(mean)
            run.progress(step + 1, how.steps, f"loss {mean:.4f}")
    with torch.no_grad():
        torch._foreach_copy_([*parameters], average)


def _finite(losses: "Tensor", step: int, how: Optimisation) -> float:
    bad = ~losses.isfinite()
    if bad.any():
        first = step + 1 - len(losses) + int(bad.nonzero()[0]) + 1
        raise GeobenchError(
            f"training diverged: the loss is {losses[bad][0].item()} at step {first:,} of "
            f"{how.steps:,}. Lower learning_rate (now {how.learning_rate:g}) or raise warm_up "
            f"(now {how.warm_up})."
        )
    return float(losses.mean())
