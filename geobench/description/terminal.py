"""A description in a terminal."""

import io
import shutil
import sys

from geobench.description.section import Section


def report(title: str, sections: list[Section]) -> str:
    """Headings, tables and notes; a report that is piped somewhere is 120 columns wide."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 120
    console = Console(file=io.StringIO(), width=width, force_terminal=sys.stdout.isatty())
    with console.capture() as captured:
        console.print(Text(title, style="bold"))
        for section in sections:
            console.print()
            console.print(Text(section.title, style="bold"))
            if section.rows:
                named = section.named
                table = Table(box=box.SIMPLE_HEAD if named else None, show_header=named)
                for place, header in enumerate(section.headers):
                    table.add_column(header, justify="right" if named and place else "left")
                for row in section.rows:
                    table.add_row(*map(Text, row))
                console.print(table)
            for note in section.notes:
                console.print(Text(note, style="dim"))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip() + "\n"
