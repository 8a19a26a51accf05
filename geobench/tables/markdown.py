"""Tables in Markdown."""

import re

from geobench.tables import table as tables
from geobench.tables.table import Cell, Column, Table
from geobench_catalog.plain_text import plain


def text(table: Table) -> str:
    """Return a pipe table, and below it the title with the notes."""
    return f"{body(table)}\n\n{escaped(tables.caption(table))}\n"


def body(table: Table) -> str:
    """Return the pipe table alone; names are text, whatever stands in them."""
    sides = {"left": ":--", "right": "--:"}
    lines = [
        [escaped(column.line) for column in table.columns],
        [sides[column.align] for column in table.columns],
        *(
            [_cell(column, cell) for column, cell in zip(table.columns, row.cells, strict=True)]
            for row in table.rows
        ),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(column: Column, cell: Cell) -> str:
    text = escaped(tables.line(column, cell))
    return f"**{text}**" if "best" in cell.marks else text


def escaped(text: str) -> str:
    """Escape what Markdown, or HTML in it, would take for more than text."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", plain(" ".join(text.split())))
