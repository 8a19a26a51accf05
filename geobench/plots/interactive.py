"""Charts for the script of a page (`charts.js`), as JSON values in few bytes.

The script draws them with plotly, and shows values under the pointer.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from geobench.plots.chart import Axis, Chart, Figure, Series
from geobench.plots.styles import INK, Style

_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip
_USUAL = {field.name: field.default for field in fields(Series)}


def style(style: Style) -> dict[str, str]:
    """Name, colour, marker and line of an entry; black is the colour of the text."""
    return {
        "name": style.name,
        "colour": "" if style.colour == INK else style.colour,
        "symbol": _SYMBOLS[style.marker],
        "dash": _DASHES[style.dash],
    }


def figure(figure: Figure, styles: Sequence[Style]) -> dict[str, Any]:
    """A figure with all its variants."""
    variants = [{"name": name, "chart": chart(shown, styles)} for name, shown in figure.variants]
    return {"variants": variants, "chosen": figure.chosen}


def chart(chart: Chart, styles: Sequence[Style]) -> dict[str, Any]:
    """A chart. Series that show cells of a column are not written, nor equal positions again."""
    values = {field.name: getattr(chart, field.name) for field in fields(chart)}
    values |= {"x": _axis(chart.x), "y": _axis(chart.y)}
    if chart.cells:
        return values | {"series": []}
    first = list(chart.series[0].x)
    shared = first if all(list(series.x) == first for series in chart.series) else []
    return values | {
        "along": shared,
        "series": [_series(series, shared, styles) for series in chart.series],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {"title": axis.label, "log": axis.log, "ticks": axis.ticks, "names": axis.names}


def _series(series: Series, shared: Sequence[float], styles: Sequence[Style]) -> dict[str, Any]:
    usual = _USUAL | {"x": shared}
    if series.row is not None:
        usual["name"] = styles[series.row].name
    values = {field.name: getattr(series, field.name) for field in fields(series)}
    return {key: value for key, value in values.items() if value != usual[key]}
