"""A chart on matplotlib's axes: in notebooks, in papers and in descriptions alike."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from geobench.plots.canvas import COLUMN, PAGE, canvas, legend_below, name_axes, plain
from geobench.plots.chart import Axis, Chart, Number, Series
from geobench.plots.scales import labels, ticks
from geobench.plots.shades import Shades
from geobench.plots.styles import GREY, Style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis as AxisOfAxes

ABOVE, UNDER = "#0b5cad", "#c25500"  # cells of a heat map, on either side of zero
_BARS = 0.8  # share of the room between two positions that bars take
_HEIGHT, _ROW = 2.3, 0.16  # inches, without the legend, and of a row of it
_CELL = 0.2  # inches, height of a line of a heat map
_FEW = 5  # columns of a heat map that a column of a journal has room for
_MANY = 12  # points of a line, beyond which not each has a marker


def draw(
    chart: Chart,
    styles: Sequence[Style] = (),
    *,
    ax: "Axes | None" = None,
    title: str = "",
    legend: bool = True,
) -> "Axes":
    """Draw a chart; return the axes.

    `styles`: the look of each entry, by `Series.row`. The legend stands under the axes.
    """
    width, height = size(chart)
    with canvas(ax, width=width, height=height) as axes:
        if title:
            axes.set_title(title, loc="left")
        name_axes(axes, chart.x.label, "" if chart.kind == "heat" else chart.y.label)
        if chart.kind == "heat":
            _heat_map(axes, chart)
            return axes
        _scale(axes.xaxis, chart.x)
        _scale(axes.yaxis, chart.y)
        _guides(axes, chart)
        handles: list[Artist] = []
        for number, series in enumerate(chart.series):
            if chart.kind == "bars":
                handles.append(_bars(axes, chart, number, styles))
            else:
                handles.append(_line(axes, chart, series, styles))
        _ends(axes, chart)
        if legend:
            legend_below(axes, _listed(chart, handles))
        return axes


def size(chart: Chart) -> tuple[float, float]:
    """Width and height of a figure of its own, inches: the width of a column, or of a page."""
    if chart.kind == "heat":
        wide = len(chart.positions()) > _FEW
        return PAGE if wide else COLUMN, 0.9 + _CELL * len(chart.series)
    return COLUMN, _HEIGHT + _ROW * sum(bool(series.name) for series in chart.named) / 2


def _scale(axis: "AxisOfAxes", declared: Axis) -> None:
    """Set a linear or a logarithmic scale; the latter has round numbers also within a decade."""
    from matplotlib.ticker import FuncFormatter, Locator, NullFormatter

    class Round(Locator):
        def __call__(self) -> Sequence[float]:
            return self.tick_values(*sorted(axis.get_view_interval()))

        def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
            return ticks(vmin, vmax, log=True) if vmin > 0 else []

    axes = axis.axes
    scale = "log" if declared.log else "linear"
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)(scale)
    if declared.log:
        axis.set_major_locator(Round())
        axis.set_major_formatter(FuncFormatter(lambda value, _: labels([value])[0]))
        axis.set_minor_formatter(NullFormatter())


def _guides(axes: "Axes", chart: Chart) -> None:
    """Draw what is for orientation."""
    for height, label in chart.guides:
        axes.axhline(height, color=GREY, linewidth=1, linestyle="--", zorder=1)
        if label:
            axes.annotate(
                label, (0.99, height), xycoords=("axes fraction", "data"), xytext=(0, -2),
                textcoords="offset points", va="top", ha="right", color="#52606d", fontsize="small",
            )  # fmt: skip
    if chart.diagonal:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", zorder=1)


def _ends(axes: "Axes", chart: Chart) -> None:
    """Set ticks and ends of the axes."""
    if chart.kind == "points":
        axes.margins(x=0.2, y=0.12)
    if chart.x.ticks:
        names = list(chart.x.names) or labels(list(chart.x.ticks))
        axes.set_xticks(list(chart.x.ticks), [plain(name) for name in names])
        axes.set_xticks([], minor=True)
    axes.set_xlim(chart.x.low, chart.x.high)
    axes.set_ylim(chart.y.low, chart.y.high)


def _listed(chart: Chart, handles: "Sequence[Artist]") -> "list[Artist]":
    """What a legend lists: each named series, and what dotted lines and triangles mean."""
    from matplotlib.lines import Line2D

    drawn = [
        handle
        for series, handle in zip(chart.series, handles, strict=True)
        if series.name and not series.second
    ]
    shown = drawn if len(drawn) > 1 else []
    seconds = dict.fromkeys(s.name.partition(" of ")[0] for s in chart.series if s.second)
    for name in seconds:
        shown.append(Line2D([], [], color=GREY, linestyle=":", label=plain(name)))
    if any(series.most for series in chart.series):
        triangle = {"marker": "v", "fillstyle": "none", "linestyle": "none"}
        shown.append(Line2D([], [], color=GREY, label="at most (95 %)", **triangle))  # type: ignore[arg-type]
    return shown


def _line(axes: "Axes", chart: Chart, series: Series, styles: Sequence[Style]) -> "Artist":
    from matplotlib.lines import Line2D

    look = _look(series, styles)
    if chart.kind == "points":
        look["linestyle"] = "none"
    shown = [i for i, y in enumerate(series.y) if y is not None]
    x, y = [series.x[i] for i in shown], [_number(series.y[i]) for i in shown]
    label = "_" if series.second else plain(series.name)
    if series.band:
        low, high = ([_number(end) for end in ends] for ends in (series.low, series.high))
        axes.fill_between(series.x, low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes.errorbar(
        x, y, None if series.band else _intervals(series, shown), capsize=1.5, linewidth=1.3,
        elinewidth=0.8, label=label, markevery=-(-len(x) // _MANY) or None, **look,
    )  # fmt: skip
    if series.most:
        axes.plot(
            [a for a, _ in series.most], [b for _, b in series.most], label="_at most",
            linestyle="none", marker="v", markersize=5, color=look["color"], fillstyle="none",
        )  # fmt: skip
    return Line2D([], [], linewidth=1.3, label=label, **look)


def _bars(axes: "Axes", chart: Chart, number: int, styles: Sequence[Style]) -> "Artist":
    """Draw the bars of a series beside those of the others."""
    from matplotlib.patches import Patch

    series, positions = chart.series[number], chart.positions()
    room = _BARS * min((b - a for a, b in pairwise(positions)), default=1)
    width = room / len(chart.series)
    shown = [i for i, y in enumerate(series.y) if y is not None]
    look = {"color": _look(series, styles)["color"], "alpha": 0.75, "label": plain(series.name)}
    axes.bar(
        [series.x[i] - room / 2 + width * (number + 0.5) for i in shown],
        [_number(series.y[i]) for i in shown],
        width,
        yerr=_intervals(series, shown),
        capsize=2,
        **look,
    )
    return Patch(**look)


def _heat_map(axes: "Axes", chart: Chart) -> None:
    """Draw a line of cells for each series, each with its value."""
    from matplotlib.patches import Rectangle

    if not axes.get_title(loc="left"):
        axes.set_title(chart.y.label, loc="left")
    positions, shades = chart.positions(), Shades.of(chart)
    for line, series in enumerate(chart.series):
        for x, value in zip(series.x, series.y, strict=True):
            column = positions.index(x)
            strength = 0.0 if value is None else shades.strength(value)
            colour = ABOVE if strength >= 0 else UNDER
            box = Rectangle((column, line), 1, 1, color=colour, alpha=0.45 * abs(strength), lw=0)
            axes.add_patch(box)
            text = shades.written(value)
            axes.text(column + 0.5, line + 0.5, text, ha="center", va="center", fontsize="small")
    names = chart.x.names or labels(positions)
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
    return {"color": style.colour, "marker": marker, "markersize": 4, "linestyle": style.dash}


def _number(value: Number) -> float:
    return float("nan") if value is None else value
