"""Colour, marker and line of each series, the same in all charts of a board."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

# Okabe and Ito (2008): distinct with any kind of colour vision; markers differ as well.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "osD^vPX"
DASHES = ("-", "--", ":", "-.")
INK = "#000000"
"""Of black lines, which take the colour of the text on a page."""
GREY = "#7a838e"
"""Of the baseline, and of lines for orientation."""
MATPLOTLIB: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
    "svg.hashsalt": "geobench",  # equal boards make equal files
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#8a929c",
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Style:
    """How a series is drawn, in matplotlib's words."""

    name: str
    colour: str
    marker: str = "o"
    dash: str = "-"


def styles(
    labels: Sequence[str],
    seeds: Sequence[int],
    names: Sequence[str],
    *,
    law: Collection[str] = (),
    baseline: str = "",
) -> list[Style]:
    """Return a style for each entry: colour and marker by label, line by seed.

    The true distribution (labels in `law`) is black, the baseline grey. The other labels take
    colours in alphabetical order, so that no look depends on a model's rank.
    """
    models = sorted({*labels} - {*law, baseline})
    every_seed = sorted({*seeds})
    made = []
    for label, seed, name in zip(labels, seeds, names, strict=True):
        line = every_seed.index(seed)
        if label in models:
            made.append(_style(name, models.index(label), line))
            continue
        colour, marker = (INK, "o") if label in law else (GREY, "s")
        made.append(Style(name, colour, marker, DASHES[line % len(DASHES)]))
    return made


def _style(name: str, model: int, seed: int) -> Style:
    turn = model // len(
        COLOURS
    )  # a second round has other lines; markers are one more than colours
    return Style(
        name,
        COLOURS[model % len(COLOURS)],
        MARKERS[model % len(MARKERS)],
        DASHES[(seed + turn) % len(DASHES)],
    )
