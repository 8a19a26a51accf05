"""Charts in files of their own, for papers: SVG or PDF, drawn with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.leaderboard.charts import Chart, Line
from geobench.leaderboard.looks import Look
from geobench.plotting import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY = "#7a838e"
_SIZE = (6.4, 3.6)
_LONGEST = 40  # letters of a name in a legend


def save(chart: Chart, looks: Sequence[Look], path: Path, *, title: str = "") -> None:
    """Write the chart to a file, by its ending .svg or .pdf."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Saved within the style: part of it is only looked at then. Nothing says when it was made, so
    # that equal boards make equal files.
    when = "CreationDate" if path.suffix == ".pdf" else "Date"
    undated: dict[str, Any] = {when: None, "Creator": None}
    with mpl.rc_context(STYLE | {"pdf.fonttype": 42}):
        width, height = _SIZE
        lines = -(-sum(not line.second for line in chart.lines) // _abreast(chart))
        figure = Figure(figsize=(width, height + 0.17 * lines), layout="constrained")
        figure.patch.set_alpha(0)
        _draw(figure.add_subplot(), chart, looks, title)
        figure.savefig(path, metadata=undated)


def _draw(axes: "Axes", chart: Chart, looks: Sequence[Look], title: str) -> None:
    axes.patch.set_alpha(0)
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    axes.set_xscale("log" if chart.x_log else "linear")
    axes.set_yscale("log" if chart.y_log else "linear")
    if title:
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
    if chart.ideal is not None:
        axes.axhline(chart.ideal, color=_GREY, linewidth=1, linestyle="--")
    if chart.diagonal:
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--")
    for line in chart.lines:
        _line(axes, chart, line, looks)
    if chart.x_ticks:
        axes.set_xticks(list(chart.x_ticks))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    if chart.marks == "points":
        axes.margins(x=0.2, y=0.12)
    axes.figure.legend(
        loc="outside lower center",
        ncols=_abreast(chart),
        frameon=False,
        fontsize=8.5,
        columnspacing=1.2,
    )


def _abreast(chart: Chart) -> int:
    """Columns of the legend."""
    longest = max((len(_plain(line.name)) for line in chart.lines), default=1)
    return max(1, min(4, 80 // (longest + 6)))


def _line(axes: "Axes", chart: Chart, line: Line, looks: Sequence[Look]) -> None:
    look = _look(line, looks)
    shown = [i for i, y in enumerate(line.y) if y is not None]
    if chart.marks == "points":
        look["linestyle"] = "none"
    if line.second:
        look |= {"linestyle": ":", "marker": "none"}
    y = [_number(line.y[i]) for i in shown]
    bars = None
    if line.low and line.high:
        bars = [
            [max(0.0, own - _number(line.low[i])) for own, i in zip(y, shown, strict=True)],
            [max(0.0, _number(line.high[i]) - own) for own, i in zip(y, shown, strict=True)],
        ]
    axes.errorbar(
        [line.x[i] for i in shown], y, bars, label="_" if line.second else _plain(line.name),
        capsize=2, linewidth=1.6, elinewidth=1, **look,
    )  # fmt: skip
    axes.plot(
        [x for x, _ in line.most], [y for _, y in line.most],
        linestyle="none", marker="v", markersize=6, color=look["color"], fillstyle="none",
    )  # fmt: skip


def _look(line: Line, looks: Sequence[Look]) -> dict[str, Any]:
    if line.row is None:
        return {"color": _GREY, "linestyle": "--", "marker": "none"}
    own = looks[line.row]
    return {
        "color": own.colour, "marker": own.marker, "markersize": 5, "linestyle": own.dash
    }  # fmt: skip


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _plain(name: str) -> str:
    """Write a name as it is: matplotlib would leave out one that begins with '_', and set maths."""
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    shown = short.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
