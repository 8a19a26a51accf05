"""A board with the entries behind its rows, and what a closer look needs beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geobench.board.competitor import Competitor
from geobench.board.model import Board
from geobench.contracts.scorer import Scorer
from geobench.contracts.state import StateSpec
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Comparison:
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
