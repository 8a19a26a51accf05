"""What the records of entries say of what was measured: one class for each kind of entry.

    ForecastSummary.of(entry).failed_members

A field that a record does not have, or that is null because it was never measured, has its default:
records of earlier versions are read. What a record holds beside these fields is kept, as attributes
of the same name.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geobench_catalog import CatalogError, Entry
from geobench_catalog.record_check import described


class Summary(BaseModel):
    """What was measured when an entry was made."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, fields: Any) -> Any:
        """A number that was never measured is null in a record."""
        if isinstance(fields, Mapping):
            return {key: value for key, value in fields.items() if value is not None}
        return fields

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Read the summary of an entry; `CatalogError` if it holds what it cannot."""
        try:
            return cls.model_validate(dict(entry.record.summary))
        except ValidationError as error:
            raise CatalogError(
                f"{entry.reference} cannot be used here: {described('summary', error)}. Another "
                f"program wrote it, or another version of geobench; make it again, or remove it."
            ) from error


class DatasetSummary(Summary):
    """Of an experiment that was realised."""

    states: int = 0
    """States of all splits."""
    inexact_law: str = ""
    """Why draws of the true distribution are not exact; empty if they are."""
    analysis: dict[str, float] = Field(default_factory=dict)
    """How far the analyses are from the truth, where observations were assimilated: rmse, spread,
    rmse_over_climate."""


class ForecasterSummary(Summary):
    """Of a model that was fitted, and what that cost."""

    knows_law: bool = Field(False, strict=False)
    """Whether it is given the true distribution."""
    parameters: int | None = None
    """Numbers that were fitted; None if nothing is known of them."""
    sample_passes: int | None = None
    training_seconds: float | None = None
    """Over all processes that trained one after the other; None if it was not trained here."""
    flops_per_sample_pass: float | None = None
    evaluations_per_step: float = math.nan
    flops_per_step: float = math.nan
    flops_per_evaluation: float = math.nan
    peak_memory: int | None = None
    """Bytes by which the memory grew while it was trained."""
    device: str = "cpu"
    threads: int | None = None
    trained_elsewhere: bool = False
    """Whether a loop of the user's own trained it: nothing is known of what that cost."""
    trained_as: str | None = None
    """The forecaster whose weights it has, if it was not trained by itself."""


class ForecastSummary(Summary):
    """Of members that were drawn or brought."""

    members: int | None = None
    """Members of all inits together."""
    failed_members: int = 0
    failures: dict[str, int] = Field(default_factory=dict)
    """Failed members by reason."""
    member_counts: list[int] | None = None
    """Members of each init, where they differ."""
    seconds_per_member: float = math.nan
    """For all lead times; nan if nobody here drew them."""
    evaluations_per_step: float = math.nan
    """Network evaluations per member and output step."""
    rounding: "Rounding | None" = None


class Rounding(Summary):
    """What rounding did to a forecast."""

    keep_bits: dict[str, int] = Field(default_factory=dict)
    """Bits kept of each variable."""
    largest_error: dict[str, float] = Field(default_factory=dict)
    """By variable, in its units."""
    score_changes: dict[str, list[float | None]] = Field(default_factory=dict)
    """Rounded less unrounded, by column of a score and lead time."""


class ScoreSummary(Summary):
    """Of a scorer that was applied to all cases of a forecast."""

    cases: int | None = None
    better: str = ""
    """Which scores are better: lower, higher, one or zero."""
    lead_hours: list[float] = Field(default_factory=list)
    scores: dict[str, list[float | None]] = Field(default_factory=dict)
    """Mean over the cases by column, at each of the lead times; None where there is none."""
    scoring_seconds: float | None = None
    """Its share of the time in which the forecast was scored, by all scorers together."""


class EventsSummary(Summary):
    """Of events that were counted over the members of a forecast."""

    members: int | None = None
    """Members of each init."""


class ControlSummary(Summary):
    """Of a control run, whose counts give the thresholds of an event."""

    states: int
    trajectories: int | None = None
