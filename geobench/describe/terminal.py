"""A description in a terminal."""

from collections.abc import Sequence
from dataclasses import replace

from geobench.tables import terminal
from geobench.tables.table import Table

_PIPED = 120  # columns of a report that is piped somewhere


def report(title: str, sections: Sequence[Table]) -> str:
    """Headings, tables and notes."""
    from rich.text import Text

    width, console = terminal.width_of(_PIPED), terminal.new_console()
    with console.capture() as captured:
        console.print(Text(title, style="bold"))
        for section in sections:
            console.print()
            console.print(Text(section.title, style="bold"))
            shown = terminal.narrowed(section, width) if section.rows else section
            if shown.rows:
                drawn = terminal.drawing(replace(shown, title="", notes=()))
                console.print(drawn, width=max(width, console.measure(drawn).minimum))
            for note in shown.notes:
                console.print(Text(note, style="dim"), width=width)
    return terminal.lines_of(captured.get())
