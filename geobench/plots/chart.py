"""What a chart shows, apart from how it is drawn.

Three writers draw the same chart: `svg` for a page without script, `interactive` for one with
script, where the pointer shows values, and `paper` (matplotlib) for files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from geobench.tables.table import Cell, Column, Row, Table
from geobench_catalog.json_values import json_values

Number = float | None
"""None: there is nothing to draw there."""
Kind = Literal["lines", "points", "bars", "heat"]


@dataclass(frozen=True)
class Axis:
    """A title with units, and what is written along the axis."""

    title: str
    units: str = ""
    log: bool = False
    ticks: Sequence[float] = ()
    """Numbers that are written; default: round ones."""
    names: Sequence[str] = ()
    """What is written instead of them."""
    low: float | None = None
    """Lower end; default: that of what is drawn."""
    high: float | None = None

    @property
    def label(self) -> str:
        """Title and units."""
        return f"{self.title}, {self.units}" if self.units else self.title


@dataclass(frozen=True)
class Series:
    """Values of one entry, or something for orientation (`row` is None).

    `row` is the index of the entry's style. `low` and `high` are ends of intervals, drawn as bars,
    or as a `band`. `most`: points of which only "at most this" is known. `second`: another quantity
    of an entry that has a series already.
    """

    name: str
    row: int | None
    x: Sequence[float]
    y: Sequence[Number]
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    most: Sequence[tuple[float, float]] = ()
    second: bool = False
    band: bool = False


@dataclass(frozen=True)
class Chart:
    """Series over two axes.

    A heat map has a line of cells for each series, from left to right along x, and y is their
    colour. `guides` are dashed lines at a height, with a label. On the `diagonal` both axes agree.
    """

    x: Axis
    y: Axis
    series: Sequence[Series]
    kind: Kind = "lines"
    guides: Sequence[tuple[float, str]] = ()
    diagonal: bool = False
    cells: tuple[int, Literal["score", "excess", "skill"]] | None = None
    """Column of the board whose cells the series show, and what of them."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not any(s.most or any(y is not None for y in s.y) for s in self.series)

    @property
    def named(self) -> Sequence[Series]:
        """Series that a legend lists."""
        return [series for series in self.series if not series.second]

    def positions(self) -> list[float]:
        """Every x, in order."""
        return sorted({x for series in self.series for x in series.x})

    def extent(self) -> tuple[float, float]:
        """Smallest and largest y; of a heat map both ends of the colours."""
        values = [y for series in self.series for y in series.y if y is not None]
        return min(values, default=0.0), max(values, default=1.0)


@dataclass(frozen=True)
class Figure:
    """A chart with a heading, what is seen in it, and its variants (another lead time, say)."""

    key: str
    title: str
    caption: str
    variants: Sequence[tuple[str, Chart]]
    section: str
    """Where it stands on a page."""
    chosen: int = 0
    choice: str = "Shown"
    """What is chosen between the variants."""

    @property
    def chart(self) -> Chart:
        """The one that is seen first."""
        return self.variants[self.chosen][1]


def finite(values: Any, digits: int = 5) -> list[Number]:
    """Numbers to draw: what is not finite is left out."""
    drawn: list[Number] = json_values(list(values), digits)
    return drawn


def numbers(chart: Chart) -> Table:
    """The numbers of a chart as a table: a row for each series."""
    rows = [Row([Cell(series.name), Cell(_points(series))]) for series in chart.series]
    columns = [
        Column("Entry", "left"),
        Column(
            f"{chart.x.label}: {chart.y.label}", "left", style="wrap", word="numbers of a figure"
        ),
    ]
    return Table(columns, rows, f"{chart.y.label}, by {chart.x.label}")


def _points(series: Series) -> str:
    points = [f"{x:.4g}: {y:.4g}" for x, y in zip(series.x, series.y, strict=True) if y is not None]
    points += [f"{x:.4g}: at most {y:.4g}" for x, y in series.most]
    return "".join(f"{point}; " for point in points)
