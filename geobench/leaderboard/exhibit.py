"""What a board is of: the entries behind its rows, and what a closer look needs beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geobench.interfaces.scorer import Scorer
from geobench.interfaces.state import StateSpec
from geobench.leaderboard.board import Board, Competitor
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Exhibit:
    """A board, and where its numbers come from."""

    board: Board
    dataset: Entry
    scorers: Sequence[Scorer]
    reference: Competitor
    competitors: Sequence[Competitor]
    """In the order of the board's rows; their scores in that of `scorers`."""
    spec: StateSpec
    outcome: "Callable[[], xr.Dataset]"
    """What happened after each init, `(init_time, lead_time, *grid)`."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What models say of themselves, by the name of their plugin."""
    forms: Sequence[Scorer | None] = ()
    """Law forms of `scorers`; empty: the dataset has no exact law."""

    def score_of(self, name: str) -> int | None:
        """Place of the first scorer of this name; None: there is none."""
        return next((i for i, own in enumerate(self.scorers) if own.name == name), None)
