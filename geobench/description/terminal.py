"""A description in a terminal."""

import io
import shutil
import sys
from typing import Literal

from geobench.description.section import Section
from geobench.leaderboard.terminal import keep_numbers
from geobench_catalog.plain_text import plain

_NUMBER = 16  # letters of a cell at most; what is longer is text, and goes on in the next line


def report(title: str, sections: list[Section]) -> str:
    """Headings, tables and notes; a report that is piped somewhere is 120 columns wide."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 120
    console = Console(file=io.StringIO(), width=10_000, force_terminal=sys.stdout.isatty() or None)
    with console.capture() as captured:
        console.print(Text(title, style="bold"))
        for section in sections:
            console.print()
            console.print(Text(section.title, style="bold"))
            if section.rows:
                named = section.named
                table = Table(box=box.SIMPLE_HEAD if named else None, show_header=named)
                for place, header in enumerate(section.headers):
                    right = named and place > 0
                    justify: Literal["left", "right"] = "right" if right else "left"
                    longest = max(len(row[place]) for row in section.rows)
                    numbers = right and longest <= _NUMBER  # which are never cut
                    table.add_column(header, justify=justify, no_wrap=numbers)
                for row in section.rows:
                    table.add_row(*(Text(plain(cell)) for cell in row))
                keep_numbers(table)
                console.print(table, width=max(width, console.measure(table).minimum))
            for note in section.notes:
                console.print(Text(note, style="dim"), width=width)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip() + "\n"
