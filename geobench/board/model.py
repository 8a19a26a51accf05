"""A board: rows and columns of scores, each with its interval, its excess and its skill.

The excess is how much worse a model scores than the true distribution, on the same cases. The skill
is 0 for the baseline (climatology) and 1 for the true distribution. Rows are numbered by the mean
excess of the first score.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from geobench.board.excess import OUTCOME
from geobench.contracts.scorer import Orientation
from geobench.statistics.estimates import Estimate
from geobench.statistics.seeds import Summary


@dataclass(frozen=True)
class ScoreCell:
    """One score of one model at one lead time. `skill` is None where climatology has no excess."""

    score: Estimate
    excess: Estimate
    skill: Estimate | None


@dataclass
class ScoreColumn:
    """One score."""

    name: str
    scorer: str
    version: str
    better: Orientation
    fair: bool
    units: str
    cells: list[list[ScoreCell]] = field(default_factory=list)
    """By row of the board, then by lead time."""
    excess_from: str = OUTCOME
    """Where excess and skill come from: the name of the law form, or 'outcome'."""


@dataclass
class Row:
    """One model."""

    label: str
    seed: int
    rank: int | None
    """Place by excess, from 1; None: it knows the true distribution, and is no candidate."""
    excess: Estimate
    failed: int
    knows_law: bool
    suspicious: bool
    parameters: int | None
    """None: nothing is known of the model, as of `sample_passes`, and its cost is NaN."""
    sample_passes: int | None
    training_seconds: float
    evaluations: float
    seconds_per_member: float
    members: int
    entries: dict[str, str]
    set_p: float | None = None
    """Level at which it just leaves the model confidence set.

    None: it is no candidate, since it knows the law, or failed."""
    in_set: bool = False
    """Whether it may be the best model, with 95 %."""
    seeds: list[int] = field(default_factory=list)
    """All that the row is the mean of; `entries` are those of the first."""
    imported: bool = False
    """Whether somebody brought the forecast: how it was made is not known here."""
    device: str = "cpu"
    """Where it was trained; of trainings on several, all: their mean seconds say little."""
    rank_range: tuple[int, int] | None = None
    """The ranks that it may have, at 95 % for all rows at once."""
    missing_seeds: list[int] = field(default_factory=list)
    """Seeds of the study that the mean should hold and does not."""
    degenerate: str = ""
    """What is wrong with its members, if they are copies of one another."""
    deterministic: bool = False
    """Whether it has a single member, or says itself that all are equal."""
    fewest_members: int = 0
    """Of an init with the fewest; 0: all have `members`."""

    @property
    def ensemble(self) -> str:
        """Number of members, or the fewest and the most where inits differ."""
        fewest = self.fewest_members or self.members
        return str(self.members) if fewest == self.members else f"{fewest}–{self.members}"


@dataclass
class Board:
    """One experiment: rows in order of rank, columns with the ranking one first."""

    name: str
    title: str
    dataset: str
    reference: str
    baseline: str
    ranked_by: str
    cases: int
    lead_hours: list[float]
    rows: list[Row]
    columns: list[ScoreColumn]
    notes: list[str]
    resampled: str = ""
    """What the bootstrap draws, in words."""
    models: list[Summary] = field(default_factory=list)
    """Those with several seeds, best first: the excess that ranks, over cases and seeds."""
    draws: int = 0
    """Draws of the bootstrap."""

    def __repr__(self) -> str:
        rows = ", ".join(dict.fromkeys(row.label for row in self.rows))
        return f"<Board {self.name}: {self.ranked_by}, {self.cases} cases; {rows}>"

    @property
    def seeds(self) -> list[int]:
        """Seeds of which every row is the mean; none where rows have one, or not all the same."""
        first = self.rows[0].seeds
        return first if len(first) > 1 and all(row.seeds == first for row in self.rows) else []

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return asdict(self)
