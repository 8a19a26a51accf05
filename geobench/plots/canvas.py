"""Axes in, axes out: where a plot is drawn, and what all plots share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from string import ascii_lowercase
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from geobench.plots.styles import MATPLOTLIB

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

COLUMN, PAGE = 85 / 25.4, 180 / 25.4
"""Widths of one column and of a whole page of a journal, inches."""
_HEIGHT = 2.5  # inches, of a plot with a figure of its own
_LETTERS, _LINE = 17, 10  # letters of an axis's name in an inch; points from line to line
_DPI = 160  # a column is then 535 pixels wide on a screen
_BELOW = 30  # points from the axes down to a legend: room for ticks and the axis's name
_LETTER, _SAMPLE = 0.047, 0.4  # inches, of a letter of a legend and of what stands before a name
_OVER, _WITHIN = 1.15, 0.85  # lengths of its axis that a name may take, across and upwards
_WIDER = 1.4  # widths of its axes that a legend may take: there is room under their labels, too
_LONGEST = 40  # letters of a name in a legend


@contextmanager
def canvas(
    ax: "Axes | None", *, width: float = COLUMN, height: float = _HEIGHT
) -> "Iterator[Axes]":
    """Yield the axes to draw on; without any, those of a new figure of pyplot.

    A new figure, not pyplot's current axes as xarray takes: two plots in one cell of a notebook do
    not cover each other then. pyplot makes it, so notebooks and `plt.show()` display it. Given axes
    keep the settings of their owner, and pyplot is not touched.
    """
    if ax is not None:
        yield ax
        return
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    # Not within the settings below: a notebook's backend, loaded now, sets some that must last.
    figure = plt.figure(figsize=(width, height), layout="constrained", dpi=_DPI)
    with mpl.rc_context(MATPLOTLIB):
        yield figure.add_subplot()


def name_axes(axes: "Axes", across: str, upwards: str) -> None:
    """Name both axes; a name that is longer than its axis takes several lines."""
    figure: Any = axes.get_figure(root=True)
    box = axes.get_position(original=True)
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    axes.set_xlabel(_wrapped(across, _OVER * width))
    axes.set_ylabel(_wrapped(upwards, _WITHIN * height))


def _wrapped(name: str, inches: float) -> str:
    return "\n".join(wrap(name, max(12, int(_LETTERS * inches)), break_long_words=False))


def letter(axes: "Iterable[Axes]") -> None:
    """Put (a), (b), … before the titles of panels."""
    twice = (first + second for first in ascii_lowercase for second in ascii_lowercase)
    for name, panel in zip(chain(ascii_lowercase, twice), axes, strict=False):
        title = panel.get_title(loc="left")
        panel.set_title(f"({name}) {title}".rstrip(), loc="left")


def legend_below(axes: "Axes", handles: "Sequence[Artist]") -> None:
    """List the handles under the axes, where no line can be hidden."""
    from matplotlib.transforms import ScaledTranslation

    if not handles:
        return
    figure: Any = axes.get_figure(root=True)
    below = _BELOW + _LINE * axes.get_xlabel().count("\n")
    down = ScaledTranslation(0, -below / 72, figure.dpi_scale_trans)
    longest = max(len(str(handle.get_label())) for handle in handles)
    width = _WIDER * axes.get_position(original=True).width * figure.get_figwidth()
    axes.legend(
        handles=list(handles),
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=axes.transAxes + down,
        borderaxespad=0,
        ncols=max(1, min(len(handles), int(width / (_SAMPLE + _LETTER * longest)))),
        columnspacing=1.2,
        handlelength=2.2,
    )


def plain(name: str) -> str:
    """Write a name as it is: matplotlib would leave out one that begins with '_', and set maths."""
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    shown = short.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
