"""Tables as objects: text in a terminal, a table in a notebook, a frame for pandas."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.tables.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    import pandas as pd

_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_STYLE = (
    "<style>.geobench table{border-collapse:collapse}.geobench td,.geobench th{padding:.2em .7em;"
    "text-align:right;vertical-align:top}.geobench th{border-bottom:1px solid}.geobench caption,"
    ".geobench td:first-child,.geobench th:first-child,.geobench .left{text-align:left}"
    ".geobench caption{font-weight:bold}.geobench small{display:block}</style>"
)


@dataclass(frozen=True, repr=False)
class View:
    """Tables that are shown below one another."""

    tables: Sequence[Table]

    @classmethod
    def of_texts(
        cls, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = ""
    ) -> "View":
        """Return the view of a table of texts."""
        return cls([Table.of_texts(headings, rows, align="left", title=title)])

    def __repr__(self) -> str:
        from geobench.tables import terminal

        return _STYLES.sub("", terminal.text(*self.tables)).rstrip("\n")

    def _repr_html_(self) -> str:
        from geobench.tables.html import html

        return f"<div class='geobench'>{_STYLE}{''.join(html(t) for t in self.tables)}</div>"

    def __len__(self) -> int:
        return sum(len(table.rows) for table in self.tables)

    @property
    def frame(self) -> "pd.DataFrame":
        """The first table as a pandas frame: values where there are some, else texts."""
        import pandas as pd

        table = self.tables[0]
        return pd.DataFrame(
            {
                column.key or column.line: [_value(row.cells[index]) for row in table.rows]
                for index, column in enumerate(table.columns)
            }
        )

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        from geobench.tables import markdown

        return "\n\n".join(markdown.text(table) for table in self.tables)

    def to_latex(self) -> str:
        """Return the tables as LaTeX, with the package booktabs."""
        from geobench.tables import latex

        return "\n\n".join(latex.text(table) for table in self.tables)


def _value(cell: Cell) -> Any:
    return cell.text if cell.value is None else cell.value


def facts(title: str, lines: Mapping[str, Any]) -> View:
    """Return the view of named facts; those that are empty are left out."""
    rows = [Row([Cell(name), Cell(str(text))]) for name, text in lines.items() if text != ""]
    columns = [Column("", "left", key="fact"), Column("", "left", key="value", wrap=True)]
    return View([Table(columns, rows, title)])
