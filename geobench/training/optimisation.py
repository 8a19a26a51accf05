"""How networks are trained: budget, stages, schedule, averaging."""

import math
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from geobench.contracts.plugin import Fields


class Stage(Fields):
    """A part of the training with its own rollout, warm-up and cosine decay."""

    leads: int = Field(1, gt=0, description="steps of the rollout; each costs its sample-passes")
    share: float = Field(1.0, gt=0, le=1, description="share of the budget")
    rate: float = Field(1.0, gt=0, description="times learning_rate")


class Span(NamedTuple):
    """The optimiser steps of a stage."""

    first: int
    steps: int
    leads: int
    rate: float


class Optimisation(Fields):
    """AdamW with warm-up, cosine decay, clipping and an average of the weights.

    The budget is counted in sample-passes: one forward and backward pass of one row (one noisy
    field, or one member) over one step of the rollout. Equal budgets make methods comparable (not
    equal numbers of steps). A stage takes `share` x `passes` / (`rows` x `leads`) optimiser steps,
    rounded down; a later stage too short for one step is left out. The state of AdamW and the
    average of the weights go on through all stages.
    """

    passes: int = Field(150_000, gt=0, description="budget, sample-passes")
    rows: int = Field(64, gt=0, description="rows in one step; times leads: its sample-passes")
    learning_rate: float = Field(2e-3, gt=0)
    warm_up: int = Field(
        100, ge=0, description="steps of linear warm-up, in each stage; at most a tenth of it"
    )
    weight_decay: float = Field(0.05, ge=0, description="on matrices only")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    averaging: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="decay of the weights' moving average, which is what is kept; 0: none",
    )
    stages: tuple[Stage, ...] = Field(
        (Stage(),), min_length=1, description="one after the other; their shares sum to 1"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of forward passes in training; weights are float32 always"
    )
    compiled: bool = Field(
        False, description="compile the networks (torch.compile): costs a minute, then quicker"
    )
    validations: int = Field(
        20, ge=0, description="how often members are scored on the way, evenly spread; 0: never"
    )
    smallest_spread: float = Field(
        0.01,
        ge=0,
        description="of members over the error of their mean, from half of the training on: "
        "below it training stops; 0: never",
    )

    @model_validator(mode="after")
    def _whole_budget(self) -> Self:
        total = sum(stage.share for stage in self.stages)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"stages: the shares sum to {total:g}; make them sum to 1")
        return self

    @property
    def spans(self) -> tuple[Span, ...]:
        """The stages that are long enough for a step, in optimiser steps."""
        spans: list[Span] = []
        first = 0
        for stage in self.stages:
            steps = round(stage.share * self.passes) // (self.rows * stage.leads)
            steps = steps if spans else max(1, steps)
            if steps:
                spans.append(Span(first, steps, stage.leads, stage.rate))
                first += steps
        return tuple(spans)

    def span(self, step: int) -> Span:
        """Return the stage of a step (from 0)."""
        return next(span for span in self.spans if step < span.first + span.steps)

    @property
    def steps(self) -> int:
        """Number of optimiser steps in the budget."""
        return sum(span.steps for span in self.spans)

    def spent(self, steps: int) -> int:
        """Sample-passes of the first `steps` steps."""
        return sum(
            self.rows * span.leads * min(max(0, steps - span.first), span.steps)
            for span in self.spans
        )

    def rate(self, step: int) -> float:
        """Learning rate of a step (from 0)."""
        span = self.span(step)
        position = step - span.first
        warm = min(1.0, (position + 1) / (min(self.warm_up, span.steps // 10) + 1))
        cosine = 0.5 * (1 + math.cos(math.pi * position / span.steps))
        return self.learning_rate * warm * cosine * span.rate
