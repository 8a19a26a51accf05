"""What a chart of entries shows, apart from how it is drawn.

A chart is drawn twice from one description: as SVG that needs no script (`chart_svg`), and by the
library that is shipped with the site, with values under the pointer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Number = float | None
"""None: there is nothing to draw there."""


@dataclass(frozen=True)
class Line:
    """One entry of a chart, or something for orientation (`row` is None).

    `low` and `high` are ends of intervals. `most`: points of which only "at most this" is known.
    `second`: another quantity of an entry that has a line already.
    """

    name: str
    row: int | None
    x: Sequence[float]
    y: Sequence[Number]
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    most: Sequence[tuple[float, float]] = ()
    second: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over two axes. `ideal`: where the best value lies; `diagonal`: so do equal values."""

    x: str
    y: str
    lines: Sequence[Line]
    x_log: bool = False
    y_log: bool = False
    x_ticks: Sequence[float] = ()
    ideal: float | None = None
    diagonal: bool = False
    marks: Literal["lines", "points"] = "lines"
    cells: tuple[int, Literal["score", "excess"]] | None = None
    """Column of the board whose cells the lines show, and what of them."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not any(line.most or any(y is not None for y in line.y) for line in self.lines)


@dataclass(frozen=True)
class Figure:
    """A chart with a heading, what is seen in it, and its variants (another lead time, say)."""

    key: str
    title: str
    caption: str
    variants: Sequence[tuple[str, Chart]]
    chosen: int = 0
    choice: str = "Shown"
    """What is chosen between the variants."""

    @property
    def chart(self) -> Chart:
        """The one that is seen first."""
        return self.variants[self.chosen][1]


def finite(values: Any, digits: int = 5) -> list[Number]:
    """Numbers to draw: what is not finite is left out."""
    return [float(f"{each:.{digits}g}") if math.isfinite(each) else None for each in values]
