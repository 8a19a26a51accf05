"""What a board is computed from: the entries that are compared, the scorers, the resampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from geobench.board.competitor import Competitor
from geobench.contracts.scorer import Scorer
from geobench.statistics.seeds import Mean, means
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws
    from geobench.statistics.resampling import Resampling


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that a board is computed from. `baseline` is one of the `competitors`."""

    dataset: Entry
    scorers: Sequence[Scorer]
    forms: Sequence[Scorer | None]
    """Law forms of `scorers`."""
    reference: Competitor
    baseline: Competitor
    competitors: Sequence[Competitor]
    cases: Sequence[int] | None
    """Places of the cases; None: all."""
    resampling: "Resampling"

    @cached_property
    def entries(self) -> list[Competitor]:
        """The reference, then the competitors."""
        return [self.reference, *self.competitors]

    @cached_property
    def runs(self) -> list[Competitor]:
        """Every seed of every entry, the reference first."""
        return [run for entry in self.entries for run in entry.runs]

    @property
    def base(self) -> int:
        """Place of the baseline among the entries."""
        return 1 + list(self.competitors).index(self.baseline)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the bootstrap."""
        return self.resampling.degrees

    def means(self, entries: Sequence[Competitor], draws: "Sequence[Draws]") -> list[Mean]:
        """Means over seeds of `entries`, from draws of all their runs."""
        import numpy as np

        left = iter(draws)
        stacked = [np.stack([next(left) for _ in entry.runs]) for entry in entries]
        return means(stacked, self.degrees, [entry.trained for entry in entries])

    def joined(self, entries: Sequence[Competitor], draws: "Sequence[Draws]") -> "Draws":
        """Draws of those means `(entry, draw, …)`."""
        import numpy as np

        return np.stack([mean.draws for mean in self.means(entries, draws)])
