"""A table, apart from how it is written.

Each writer shows what its place has room for: a terminal, Markdown and LaTeX write a cell on one
line, a page puts the interval and the small print below the number, CSV and JSON take the values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Mark = Literal["best", "significant", "better", "worse"]
Value = float | int | str | bool | None


@dataclass(frozen=True)
class Remark:
    """A few words behind the text of a cell, such as `imported`."""

    text: str
    kind: Literal["plain", "law", "warning"] = "plain"


@dataclass(frozen=True)
class Cell:
    """Text for people and, where there is one, a value for programs."""

    text: str = ""
    value: Value = None
    ends: tuple[float, float] | None = None
    """Ends of the 95 % interval of `value`."""
    ends_text: tuple[str, str] | None = None
    """The same, as people read them."""
    marks: Sequence[Mark] = ()
    remarks: Sequence[Remark] = ()
    small: Sequence[str] = ()
    """Lines of small print; only a page shows them."""
    link: str = ""
    """Where the text leads to on a page."""
    shade: float | None = None
    """How dark a page shades the cell, from 0 to 1."""
    data: Mapping[str, object] = field(default_factory=dict)
    """What the script of a page reads (`data-…`), here and in rows and columns."""


@dataclass(frozen=True)
class Row:
    """The cells of a row, one for each column."""

    cells: Sequence[Cell]
    data: Mapping[str, object] = field(default_factory=dict)
    style: str = ""
    """Class of the row on a page; of a column: of its cells."""


@dataclass(frozen=True)
class Column:
    """A heading, and how the cells below it are written."""

    heading: str
    align: Literal["left", "right"] = "right"
    units: str = ""
    note: str = ""
    """Small print below the heading; only a page shows it."""
    key: str = ""
    """Name of the value in CSV and JSON; "": it is not there."""
    end_keys: tuple[str, str] | None = None
    """Names of the ends of its interval there."""
    interval: bool = False
    """Whether a cell on one line shows its interval, too."""
    wrap: bool | None = None
    """Whether long cells go on in the next line; default: those of left-aligned columns."""
    minor: int = 0
    """How readily a narrow terminal leaves it out: the largest number goes first, then the
    rightmost column."""
    names_rows: bool = False
    """Whether its cells name the rows; default: the first column does."""
    code: bool = False
    """Whether each line of a cell is code."""
    sortable: bool = True
    word: str = ""
    """The word of the glossary that defines the heading; default: the heading itself."""
    data: Mapping[str, object] = field(default_factory=dict)
    style: str = ""

    @property
    def line(self) -> str:
        """The heading on one line, with units."""
        heading = f"{self.heading}, {self.units}" if self.units else self.heading
        return f"{heading} [95 %]" if self.interval else heading

    @property
    def wraps(self) -> bool:
        """Whether long cells go on in the next line."""
        return self.align == "left" if self.wrap is None else self.wrap


@dataclass(frozen=True)
class Table:
    """Columns and rows, a title above them and notes below."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""
    notes: Sequence[str] = ()

    @classmethod
    def of_texts(
        cls,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        align: Literal["left", "right"] = "right",
        title: str = "",
    ) -> "Table":
        """Make a table of texts, the first column of which names the rows."""
        columns = [
            Column(heading, "left" if index == 0 else align)
            for index, heading in enumerate(headings)
        ]
        return cls(columns, [Row([Cell(text) for text in row]) for row in rows], title)

    @classmethod
    def of_columns(
        cls,
        columns: Sequence[tuple[Column, Sequence[Cell]]],
        title: str = "",
        notes: Sequence[str] = (),
    ) -> "Table":
        """Make a table of columns with their cells."""
        cells = zip(*(cells for _, cells in columns), strict=True)
        return cls([column for column, _ in columns], [Row(row) for row in cells], title, notes)

    @property
    def headed(self) -> bool:
        """Whether any column has a heading."""
        return any(column.heading for column in self.columns)

    def only(self, places: Sequence[int], note: str = "") -> "Table":
        """Return the table with the columns at these places, and one more note."""
        columns = [self.columns[place] for place in places]
        rows = [replace(row, cells=[row.cells[place] for place in places]) for row in self.rows]
        return replace(self, columns=columns, rows=rows, notes=[*self.notes, *filter(None, [note])])

    @property
    def naming(self) -> int:
        """Place of the column that names the rows."""
        return next((i for i, column in enumerate(self.columns) if column.names_rows), 0)


def line(column: Column, cell: Cell, between: str = " – ") -> str:
    """Write a cell on one line: its text, its interval if the column shows it, its remarks."""
    text = cell.text
    if column.interval and cell.ends_text:
        text = f"{text} [{', '.join(cell.ends_text)}]"
    return between.join([text, *(remark.text for remark in cell.remarks)])


def caption(table: Table) -> str:
    """Title and notes, one after another."""
    title = f"{table.title}." if table.title and not table.title.endswith(".") else table.title
    return " ".join(text for text in (title, *table.notes) if text)
