"""Charts for the script of a page (`charts.js`), as JSON values in few bytes.

The script draws them with plotly, and shows values under the pointer.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from geobench.charts.chart import Axis, Chart, Figure, Series
from geobench.charts.styles import INK, Style

_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip
_USUAL = {field.name: field.default for field in fields(Series)}


def style(own: Style) -> dict[str, str]:
    """Name, colour, marker and line of an entry; black is the colour of the text."""
    return {
        "name": own.name,
        "colour": "" if own.colour == INK else own.colour,
        "symbol": _SYMBOLS[own.marker],
        "dash": _DASHES[own.dash],
    }


def figure(own: Figure, styles: Sequence[Style]) -> dict[str, Any]:
    """A figure with all its variants."""
    variants = [{"name": name, "chart": chart(shown, styles)} for name, shown in own.variants]
    return {"variants": variants, "chosen": own.chosen}


def chart(own: Chart, styles: Sequence[Style]) -> dict[str, Any]:
    """A chart. Series that show cells of a column are not written, nor equal positions again."""
    values = {field.name: getattr(own, field.name) for field in fields(own)}
    values |= {"x": _axis(own.x), "y": _axis(own.y)}
    if own.cells:
        return values | {"series": []}
    first = list(own.series[0].x)
    shared = first if all(list(series.x) == first for series in own.series) else []
    return values | {
        "along": shared,
        "series": [_series(series, shared, styles) for series in own.series],
    }


def _axis(own: Axis) -> dict[str, Any]:
    return {"title": own.label, "log": own.log, "ticks": own.ticks, "names": own.names}


def _series(own: Series, shared: Sequence[float], styles: Sequence[Style]) -> dict[str, Any]:
    usual = _USUAL | {"x": shared}
    if own.row is not None:
        usual["name"] = styles[own.row].name
    values = {field.name: getattr(own, field.name) for field in fields(own)}
    return {key: value for key, value in values.items() if value != usual[key]}
