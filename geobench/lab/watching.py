"""How far a step is: a bar in a terminal, a line a minute in a log, and a line at its end."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from geobench.contracts.model import Progress

EVERY = 60.0
"""Seconds between two lines about a step in a log."""
_WORTH_A_LINE = 10.0  # seconds, for the many and quick scores
_BESIDE = 4 + 8 + 4  # per cent, time left and spaces, beside title, bar and text
_BAR = (6, 24)  # least and most characters of a bar
_TEXT = 16  # characters that a title leaves for the text, where there are any


@contextmanager
def watch(title: str) -> Iterator["Progress"]:
    """Show how far a step is while it lasts, and a line when it took a while."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    step = _Step(title)
    in_terminal = sys.stderr.isatty()
    with _bar(step, console) if in_terminal else _lines(step, console):
        yield step.report
    seconds = step.seconds()
    if seconds > _WORTH_A_LINE or not title.startswith("score"):
        line = f"{title}  {seconds:.0f} s  {step.text}".rstrip()
        console.print(line, markup=False, soft_wrap=not in_terminal)


@dataclass
class _Step:
    """What is known of a step."""

    title: str
    done: int = 0
    total: int = 0
    text: str = ""
    began: float = field(default_factory=time.perf_counter)

    def report(self, done: int, total: int, text: str) -> None:
        self.done, self.total, self.text = done, total, text

    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def line(self) -> str:
        """What is done, of how much, and how long the rest takes if it goes on like this."""
        parts = [self.title]
        if self.total:
            parts.append(f"{self.done:,} of {self.total:,}")
        parts.append(self.text)
        if 0 < self.done < self.total:
            left = self.seconds() * (self.total - self.done) / self.done
            parts.append(f"about {duration(left)} left")
        else:
            parts.append(f"{duration(self.seconds())} so far")
        return "  ".join(filter(None, parts))


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


@contextmanager
def _lines(step: _Step, console: "Console") -> Iterator[None]:
    """Print a plain line a minute, also while the step reports nothing."""
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(EVERY):
            console.print(step.line(), markup=False, soft_wrap=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


@contextmanager
def _bar(step: _Step, console: "Console") -> Iterator[None]:
    """Show a bar on one line, however narrow the terminal is."""
    from rich import progress
    from rich.table import Column

    room = max(_BAR[0] + 8, console.width - _BESIDE)
    title = shortened(step.title, max(8, room - _BAR[0] - _TEXT))
    bar_width = min(_BAR[1], max(_BAR[0], room - len(title) - 3 * _TEXT))

    def column(least: int | None = None) -> Column:
        return Column(no_wrap=True, min_width=least)

    shown = progress.Progress(
        progress.TextColumn("{task.description}", markup=False, table_column=column(len(title))),
        progress.BarColumn(bar_width=bar_width),
        progress.TaskProgressColumn(table_column=column(4)),
        progress.TimeRemainingColumn(compact=True, table_column=column(5)),
        progress.TextColumn("{task.fields[text]}", markup=False, table_column=column()),
        console=console,
        transient=True,
    )
    with shown as bar:
        task = bar.add_task(title, text="", total=None)

        def report(done: int, total: int, text: str) -> None:
            _Step.report(step, done, total, text)
            fitting = whole_parts(text, room - len(title) - bar_width)
            bar.update(task, completed=done, total=total, text=fitting)

        step.report = report  # type: ignore[method-assign]
        yield


def shortened(title: str, width: int) -> str:
    """Return a title of at most `width` characters: its first words and the end of its name."""
    if len(title) <= width:
        return title
    first = (width - 1) // 2
    return f"{title[:first]}…{title[len(title) - (width - 1 - first) :]}"


def whole_parts(text: str, width: int) -> str:
    """Return as many parts of a text, which two spaces separate, as there is room for."""
    kept = ""
    for part in text.split("  "):
        longer = f"{kept}  {part}" if kept else part
        if len(longer) > width:
            break
        kept = longer
    return kept
