"""Progress bars: of a notebook in its cell, of a terminal on its last line."""

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geobench.contracts.model import Progress, Watch

_EVERY = 0.2
"""Seconds between two pictures of a bar."""


def watcher() -> "Watch":
    """Return who watches: a notebook's cell, or a terminal."""
    from geobench.lab.watching import watch

    return _in_cell if _is_notebook() else watch


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def _in_cell(title: str) -> "Iterator[Progress]":
    from IPython.display import display

    began, last = time.perf_counter(), 0.0
    show_in_cell: Any = display
    handle = show_in_cell({"text/plain": title}, raw=True, display_id=True)

    def show(text: str, share: float | None) -> None:
        bar = "" if share is None else f"<progress value='{share:.3f}'></progress> "
        page = f"{bar}<code>{html.escape(title)}</code> {html.escape(text)}"
        handle.update({"text/html": page, "text/plain": f"{title}  {text}"}, raw=True)

    def report(done: int, total: int, text: str) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last > _EVERY:
            last = now
            show(text, done / total if total else None)

    yield report
    show(f"{time.perf_counter() - began:.1f} s", None)
