"""A twin experiment: a simulator, how often its state is stored, and who may see what."""

from typing import Any, Self

from pydantic import Field, model_validator

from geobench.interfaces.plugin import Fields


class Split(Fields):
    """Independent trajectories."""

    trajectories: int = Field(gt=0)
    steps: int = Field(gt=1, description="stored states in each, one output step apart")


class TestSplit(Fields):
    """Independent trajectories, each with one or more inits."""

    __test__ = False  # not a test class, whatever its name suggests to pytest

    trajectories: int = Field(gt=1)
    inits: int = Field(1, gt=0, description="init times in each trajectory")
    every: int = Field(1, gt=0, description="output steps between two init times")


class Experiment(Fields):
    """Everything that decides a dataset, and what models are asked on it."""

    title: str = ""
    simulator: dict[str, Any] = Field(description="simulator plugin: {use: name, …}")
    spin_up: int = Field(ge=0, description="output steps thrown away before the first state")
    train: Split
    validation: Split
    test: TestSplit
    history: int = Field(2, gt=0, description="frames given to models, up to init time")
    leads: int = Field(gt=0, description="output steps to forecast; every one is scored")
    quantiles: tuple[float, ...] = Field(
        (0.9, 0.95, 0.99),
        min_length=1,
        description="climatological quantiles whose exceedance is an event",
    )
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _quantiles_in_order(self) -> Self:
        if list(self.quantiles) != sorted(set(self.quantiles)) or not all(
            0 < q < 1 for q in self.quantiles
        ):
            raise ValueError("quantiles must rise and lie between 0 and 1")
        return self

    @property
    def test_steps(self) -> int:
        """Stored states in each test trajectory."""
        return self.history + (self.test.inits - 1) * self.test.every + self.leads
