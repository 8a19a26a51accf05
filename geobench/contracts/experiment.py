"""A twin experiment: a simulator, how often its state is stored, and who may see what."""

from typing import Any, Literal, Self

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from geobench.contracts.plugin import Fields


class _Trajectories(Fields):
    """Trajectories, each a run of its own, or pieces of fewer runs."""

    trajectories: int = Field(gt=0)
    runs: int | None = Field(
        None, gt=0, description="independent runs that they are cut from; default: one for each"
    )
    gap: int = Field(
        0, ge=0, description="output steps left out between two pieces of a run: decorrelation"
    )

    @model_validator(mode="after")
    def _whole_pieces(self) -> Self:
        if self.runs and self.trajectories % self.runs:
            raise ValueError(
                f"{self.trajectories} trajectories cannot be cut from {self.runs} runs; make it a "
                f"multiple"
            )
        return self

    @property
    def pieces(self) -> int:
        """Trajectories in one run."""
        return self.trajectories // (self.runs or self.trajectories)


class Split(_Trajectories):
    """Trajectories of `steps` states."""

    steps: int = Field(gt=1, description="stored states in each, one output step apart")


class Observation(Fields):
    """What is observed of the truth. Every observation has an independent normal error."""

    variables: tuple[str, ...] | None = Field(None, description="names; default: all")
    stride: int = Field(1, gt=0, description="every n-th cell along each dim is observed")
    every: int = Field(1, gt=0, description="output steps between two observation times")
    error: float | dict[str, float] = Field(
        1.0, description="standard deviation, in the variable's units; one for all, or by name"
    )


class Event(Fields):
    """Something rare that may happen at a lead time, or within the leads up to it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    of: str = Field(description="a variable, or a diagnostic of the simulator")
    reduce: Literal["local", "max", "min", "mean", "count"] = Field(
        "local",
        description="each cell by itself, or one number for the region or for each window; count: "
        "how many cells exceed `level`",
    )
    region: tuple[tuple[float, float], ...] | None = Field(
        None, description="bounds along each dim as shares of its length; default: everywhere"
    )
    window: tuple[PositiveInt, ...] | None = Field(
        None,
        description="cells along each dim: every such window of the region is an event of its own, "
        "with the number that `reduce` makes of it",
    )
    level: float | None = Field(
        None, description="what a cell must exceed to be counted, in units of `of`; for count"
    )
    side: Literal["above", "below"] = "above"
    quantiles: tuple[float, ...] = Field(
        (0.9, 0.99, 0.999, 0.9999),
        min_length=1,
        description="climatological quantiles to pass; of the lower tail where side is below",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if list(self.quantiles) != sorted(set(self.quantiles)) or not all(
            0 < q < 1 for q in self.quantiles
        ):
            raise ValueError(f"event {self.name}: quantiles must rise and lie between 0 and 1")
        if any(not 0 <= low < high <= 1 for low, high in self.region or ()):
            raise ValueError(f"event {self.name}: bounds of a region must rise, within 0 and 1")
        if self.window is not None and self.reduce == "local":
            raise ValueError(
                f"event {self.name}: a window needs reduce: mean, max, min or count; local is each "
                f"cell by itself"
            )
        if (self.reduce == "count") != (self.level is not None):
            raise ValueError(
                f"event {self.name}: count and level go together; level is what a counted cell "
                f"exceeds"
            )
        return self

    @model_serializer(mode="wrap")
    def _told(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later fields that have their default: older identities stay as they were."""
        fields: dict[str, Any] = whole(self)
        return {k: v for k, v in fields.items() if not (k in ("window", "level") and v is None)}

    def measure(self) -> dict[str, Any]:
        """What is measured, whatever the event is called and whichever quantile it has to pass."""
        fields = self.model_dump(mode="json")
        return {k: v for k, v in fields.items() if k not in ("name", "side", "quantiles")}


class Control(Fields):
    """A long free run of the simulator: the climate that thresholds of events are taken from."""

    states: int | None = Field(
        None,
        gt=0,
        description="states that the run counts; default: five times those of the train split",
    )
    seed: int = Field(
        0, ge=0, lt=2**63, description="of the run's noise; independent of every split's"
    )


class TestSplit(_Trajectories):
    """Trajectories, each with one or more inits."""

    __test__ = False  # not a test class, whatever its name suggests to pytest

    trajectories: int = Field(gt=1)
    inits: int = Field(1, gt=0, description="init times in each trajectory")
    every: int = Field(1, gt=0, description="output steps between two init times")


class Experiment(Fields):
    """Everything that decides a dataset, and what models are asked on it."""

    title: str = ""
    simulator: dict[str, Any] = Field(description="simulator plugin: {use: name, …}")
    spin_up: int = Field(ge=0, description="output steps thrown away before the first state")
    filter_spin_up: int = Field(
        0, ge=0, description="more of them, in which an assimilation already follows the truth"
    )
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
    events: tuple[Event, ...] = Field((), description="extremes that forecasts are asked for")
    shown: tuple[str, ...] | None = Field(
        None, description="variables that models are given and that are scored; default: all"
    )
    observation: Observation | None = Field(
        None, description="what is observed; only with an assimilation"
    )
    assimilation: dict[str, Any] | None = Field(
        None, description="assimilation plugin: {use: name, …}; only with an observation"
    )
    given: Literal["state", "analysis"] = Field(
        "state", description="what models are given: the exact state, or its analysis"
    )
    failed_beyond: float = Field(
        1000.0,
        gt=30,
        description="climatological standard deviations from the climate's mean beyond which a "
        "member has failed",
    )
    seed: int = Field(0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _quantiles_in_order(self) -> Self:
        if list(self.quantiles) != sorted(set(self.quantiles)) or not all(
            0 < q < 1 for q in self.quantiles
        ):
            raise ValueError("quantiles must rise and lie between 0 and 1")
        return self

    @model_validator(mode="after")
    def _twin_is_whole(self) -> Self:
        if self.shown is not None and not 0 < len(self.shown) == len(set(self.shown)):
            raise ValueError("shown must name one variable or more, each once")
        if self.filter_spin_up and self.assimilation is None:
            raise ValueError("filter_spin_up is for an assimilation; add one, or leave it out")
        if (self.observation is None) != (self.assimilation is None):
            raise ValueError("observation and assimilation go together; give both or neither")
        if self.given == "analysis" and self.assimilation is None:
            raise ValueError("models are given an analysis, but there is no assimilation; add one")
        return self

    @property
    def inexact_law(self) -> str:
        """What stands for the law where it is not exact, in a sentence; else nothing."""
        if self.assimilation:
            return (
                f"What stands for the truth is an approximation: runs from the normal law of the "
                f"ensemble of {self.assimilation['use']} at init time. A model may be better."
            )
        if self.shown:
            return (
                "What stands for the truth knows more than any model: runs from the whole state, "
                "hidden variables included. No model can reach it."
            )
        return ""

    def truth_group(self, split: str) -> str:
        """The group of a dataset that holds what happened in a split."""
        return f"{split}_truth" if self.given == "analysis" else split

    @property
    def test_steps(self) -> int:
        """Stored states in each test trajectory."""
        return self.history + (self.test.inits - 1) * self.test.every + self.leads
