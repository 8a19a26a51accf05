"""Tables in a terminal. Numbers are never cut, however narrow it is."""

import io
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.tables import table as tables
from geobench.tables.table import Table
from geobench_catalog.narrow_tables import left_out, shown_columns
from geobench_catalog.plain_text import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

_WIDE = 10_000  # columns: what a table needs is measured there
_LONGEST_WORD = 40  # characters of a word of a name that are never cut
_PIPED = 160  # columns of a table that is piped somewhere: its lines stay whole


def text(*shown: Table, piped: int = _PIPED, others: str = "--json") -> str:
    """Write tables one below another, all as wide as the terminal, or as the widest needs.

    `piped`: width where there is no terminal. `others`: options that print columns which a narrow
    terminal leaves out.
    """
    console = new_console()
    width = width_of(piped)
    drawn = [drawing(narrowed(table, width, others)) for table in shown]
    needed = max(console.measure(table).minimum for table in drawn)
    with console.capture() as captured:
        for table in drawn:
            console.print(table, width=max(width, needed))
    return lines_of(captured.get())


def narrowed(table: Table, width: int, others: str = "--json") -> Table:
    """Return the table with as many columns as a terminal has room for; a pipe has for all."""
    if not in_terminal():
        return table
    console = new_console()

    def fits(places: Sequence[int]) -> bool:
        return console.measure(drawing(table.only(places))).minimum <= width

    places = shown_columns([column.minor for column in table.columns], table.naming, fits)
    hidden = [c.line for place, c in enumerate(table.columns) if place not in places]
    return table.only(places, left_out(hidden, width, others)) if hidden else table


def new_console() -> "Console":
    """Return a console that keeps what is printed, in colours if a terminal will show it."""
    from rich.console import Console

    in_terminal = sys.stdout.isatty() or None
    # Within a notebook rich would show what is printed a second time.
    return Console(file=io.StringIO(), width=_WIDE, force_terminal=in_terminal, force_jupyter=False)


def width_of(piped: int) -> int:
    """Return the width of the terminal; `piped` where there is none."""
    return shutil.get_terminal_size().columns if in_terminal() else piped


def in_terminal() -> bool:
    """Whether people look at what is printed, and no pipe takes it."""
    return sys.stdout.isatty()


def lines_of(printed: str) -> str:
    """Return lines without the spaces at their ends, and without empty ones around them."""
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n") + "\n"


def drawing(table: Table) -> "RichTable":
    """Return the table as rich draws it; names in it are text, whatever they hold."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=Text(plain(table.title)) if table.title else None,
        caption=Text(plain("\n".join(table.notes))) if table.notes else None,
        box=box.SIMPLE_HEAD if table.headed else None,
        show_header=table.headed,
        title_justify="left",
        caption_justify="left",
    )
    for index, column in enumerate(table.columns):
        texts = [plain(tables.line(column, row.cells[index])) for row in table.rows]
        # rich would cut numbers and names in a narrow terminal
        least = None if column.wraps else max(map(cell_len, [column.line, *texts]))
        if column.wraps and index == table.naming and in_terminal():
            words = [word for text in texts for word in text.split()]
            least = min(_LONGEST_WORD, max(map(cell_len, words), default=0))
        drawn.add_column(
            Text(plain(column.line)),
            justify=column.align,
            no_wrap=not column.wraps,
            min_width=least,
        )
    for row in table.rows:
        cells = zip(table.columns, row.cells, strict=True)
        drawn.add_row(
            *(
                Text(plain(tables.line(column, cell)), "bold" if "best" in cell.marks else "")
                for column, cell in cells
            )
        )
    return drawn
