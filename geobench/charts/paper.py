"""Charts in files, for papers: SVG or PDF, drawn with matplotlib."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.charts.chart import Chart, Number, Series
from geobench.charts.shades import Shades
from geobench.charts.styles import MATPLOTLIB, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#7a838e"
_ABOVE, _UNDER = "#0b5cad", "#c25500"  # cells of a heat map, on either side of zero
_SIZE = (6.4, 3.6)
_CELL = 0.28  # inches, height of a line of a heat map
_LONGEST = 40  # letters of a name in a legend
_BARS = 0.8  # share of the room between two positions that bars take


def save(chart: Chart, styles: Sequence[Style], path: Path, *, title: str = "") -> None:
    """Write the chart to a file, by its ending .svg or .pdf."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Saved within the style: part of it is only looked at then. Nothing says when it was made, so
    # that equal boards make equal files.
    when = "CreationDate" if path.suffix == ".pdf" else "Date"
    undated: dict[str, Any] = {when: None, "Creator": None}
    with mpl.rc_context(MATPLOTLIB | {"pdf.fonttype": 42}):
        figure = Figure(figsize=_size(chart), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes, chart, styles, title)
        if chart.kind != "heat":
            figure.legend(
                loc="outside lower center",
                ncols=_abreast(chart),
                frameon=False,
                fontsize=8.5,
                columnspacing=1.2,
            )
        figure.savefig(path, metadata=undated)


def _size(chart: Chart) -> tuple[float, float]:
    width, height = _SIZE
    if chart.kind == "heat":
        return width, 1.2 + _CELL * len(chart.series)
    return width, height + 0.17 * -(-len(chart.named) // _abreast(chart))


def draw(axes: "Axes", chart: Chart, styles: Sequence[Style], title: str = "") -> None:
    """Draw the chart into axes, without a legend; its series have their names as labels."""
    if title:
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
    axes.set_xlabel(chart.x.label)
    if chart.kind == "heat":
        _heat_map(axes, chart)
        return
    axes.set_ylabel(chart.y.label)
    axes.set_xscale("log" if chart.x.log else "linear")
    axes.set_yscale("log" if chart.y.log else "linear")
    _guides(axes, chart)
    for number, series in enumerate(chart.series):
        if chart.kind == "bars":
            _bars(axes, chart, number, styles)
        else:
            _line(axes, chart, series, styles)
    _ends(axes, chart)


def _guides(axes: "Axes", chart: Chart) -> None:
    """Draw what is for orientation."""
    for height, label in chart.guides:
        axes.axhline(height, color=GREY, linewidth=1, linestyle="--")
        if label:
            axes.annotate(
                label, (0.99, height), xycoords=("axes fraction", "data"), xytext=(0, -2),
                textcoords="offset points", va="top", ha="right", color=GREY,
            )  # fmt: skip
    if chart.diagonal:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")


def _ends(axes: "Axes", chart: Chart) -> None:
    """Set ticks and ends of the axes."""
    if chart.kind == "points":
        axes.margins(x=0.2, y=0.12)
    if chart.x.ticks:
        names = [plain(name) for name in chart.x.names] or [f"{tick:g}" for tick in chart.x.ticks]
        axes.set_xticks(list(chart.x.ticks), names)
        axes.set_xticks([], minor=True)
    axes.set_xlim(chart.x.low, chart.x.high)
    axes.set_ylim(chart.y.low, chart.y.high)


def _abreast(chart: Chart) -> int:
    """Columns of the legend."""
    longest = max((len(plain(series.name)) for series in chart.series), default=1)
    return max(1, min(4, 80 // (longest + 6)))


def _line(axes: "Axes", chart: Chart, series: Series, styles: Sequence[Style]) -> None:
    look = _look(series, styles)
    if chart.kind == "points":
        look["linestyle"] = "none"
    shown = [i for i, y in enumerate(series.y) if y is not None]
    x, y = [series.x[i] for i in shown], [_number(series.y[i]) for i in shown]
    if series.band:
        low, high = ([_number(end) for end in ends] for ends in (series.low, series.high))
        axes.fill_between(series.x, low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes.errorbar(
        x, y, None if series.band else _intervals(series, shown), capsize=2, linewidth=1.6,
        elinewidth=1, label="_" if series.second else plain(series.name), **look,
    )  # fmt: skip
    axes.plot(
        [a for a, _ in series.most], [b for _, b in series.most],
        linestyle="none", marker="v", markersize=6, color=look["color"], fillstyle="none",
    )  # fmt: skip


def _bars(axes: "Axes", chart: Chart, number: int, styles: Sequence[Style]) -> None:
    """Draw the bars of a series beside those of the others."""
    series, positions = chart.series[number], chart.positions()
    room = _BARS * min((b - a for a, b in pairwise(positions)), default=1)
    width = room / len(chart.series)
    shown = [i for i, y in enumerate(series.y) if y is not None]
    axes.bar(
        [series.x[i] - room / 2 + width * (number + 0.5) for i in shown],
        [_number(series.y[i]) for i in shown],
        width,
        yerr=_intervals(series, shown),
        color=_look(series, styles)["color"],
        alpha=0.75,
        capsize=2,
        label=plain(series.name),
    )


def _heat_map(axes: "Axes", chart: Chart) -> None:
    """Draw a line of cells for each series, each with its value."""
    from matplotlib.patches import Rectangle

    positions, shades = chart.positions(), Shades.of(chart)
    for line, series in enumerate(chart.series):
        for x, value in zip(series.x, series.y, strict=True):
            column = positions.index(x)
            strength = 0.0 if value is None else shades.strength(value)
            colour = _ABOVE if strength >= 0 else _UNDER
            box = Rectangle((column, line), 1, 1, color=colour, alpha=0.45 * abs(strength), lw=0)
            axes.add_patch(box)
            text = shades.written(value)
            axes.text(column + 0.5, line + 0.5, text, ha="center", va="center", fontsize=8.5)
    names = chart.x.names or [f"{position:g}" for position in positions]
    axes.set_xticks([i + 0.5 for i in range(len(positions))], [plain(name) for name in names])
    rows = [plain(series.name) for series in chart.series]
    axes.set_yticks([i + 0.5 for i in range(len(rows))], rows)
    axes.set_xlim(0, len(positions))
    axes.set_ylim(len(rows), 0)
    axes.tick_params(length=0)
    axes.grid(visible=False)


def _intervals(series: Series, shown: Sequence[int]) -> list[list[float]] | None:
    """How far the intervals reach below and above what is shown; None: there are none."""
    if not (series.low and series.high):
        return None
    return [
        [max(0.0, _number(series.y[i]) - _number(series.low[i])) for i in shown],
        [max(0.0, _number(series.high[i]) - _number(series.y[i])) for i in shown],
    ]


def _look(series: Series, styles: Sequence[Style]) -> dict[str, Any]:
    if series.row is None:
        return {"color": GREY, "linestyle": "--", "marker": "none"}
    style = styles[series.row]
    if series.second:
        return {"color": style.colour, "linestyle": ":", "marker": "none"}
    marker = style.marker or "none"
    return {"color": style.colour, "marker": marker, "markersize": 5, "linestyle": style.dash}


def _number(value: Number) -> float:
    return float("nan") if value is None else value


def plain(name: str) -> str:
    """Write a name as it is: matplotlib would leave out one that begins with '_', and set maths."""
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    shown = short.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
