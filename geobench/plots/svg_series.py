"""The series of a chart as SVG: lines, markers, intervals, bands and bars."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from geobench.plots.chart import Chart, Number, Series
from geobench.plots.scales import Scale
from geobench.plots.styles import INK, Style

_MOST_MARKS = 16  # of a line
_BARS = 0.8  # share of the room between two positions that bars take
_DASHES = {"-": "", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}
_MARKS = {
    "o": "h0",
    "s": "m-2.7-2.7h5.4v5.4h-5.4z",
    "D": "m0-3.6l3.6 3.6-3.6 3.6-3.6-3.6z",
    "^": "m0-3.5l3.3 6.2h-6.6z",
    "v": "m0 3.5l3.3-6.2h-6.6z",
    "P": "m-1.2-3.4h2.4v2.2h2.2v2.4h-2.2v2.2h-2.4v-2.2h-2.2v-2.4h2.2z",
    "X": "m-3.2-1.6l1.6-1.6 1.6 1.6 1.6-1.6 1.6 1.6-1.6 1.6 1.6 1.6-1.6 1.6-1.6-1.6-1.6 1.6-1.6-1.6"
    " 1.6-1.6z",
    "": "",
}
_AT_MOST = "m-4.5-3h9l-4.5 6z"


def drawn(chart: Chart, styles: Sequence[Style], x: Scale, y: Scale) -> Iterator[str]:
    """Draw every series within its axes."""
    if chart.kind == "bars":
        yield from _bars(chart, styles, x, y)
        return
    for series in chart.series:
        yield from _line(chart, series, styles, x, y)


def sample(
    chart: Chart, series: Series, styles: Sequence[Style], left: float, middle: float
) -> Iterator[str]:
    """Draw what a legend shows of a series."""
    colour, dash, mark = _look(series, styles)
    if chart.kind == "bars":
        yield f'<rect x="{left}" y="{middle - 5}" width="26" height="10" {filled(colour)}/>'
        return
    if chart.kind == "lines":
        yield f'<path d="M{left} {middle}h26" {stroked(colour, 1.8, dash)}/>'
    if mark:
        yield _marks([(left + 13, middle)], mark, colour)


def _line(
    chart: Chart, series: Series, styles: Sequence[Style], x: Scale, y: Scale
) -> Iterator[str]:
    """Draw a line with its intervals and markers."""
    colour, dash, mark = _look(series, styles)
    shown = [
        (x.at(across), y.at(height), number)
        for number, (across, height) in enumerate(zip(series.x, series.y, strict=True))
        if height is not None
    ]
    if series.band:
        yield _band(series, colour, x, y)
    if chart.kind == "lines" and len(shown) > 1:
        path = "L".join(f"{place(a)} {place(b)}" for a, b, _ in shown)
        yield f'<path d="M{path}" {stroked(colour, 1.8, dash)}/>'
    if series.low and shown and not series.band:
        path = "".join(_interval(a, series.low[i], series.high[i], y) for a, _, i in shown)
        yield f'<path d="{path}" {stroked(colour)}/>'
    if mark and shown:
        some = shown[:: -(-len(shown) // _MOST_MARKS)]
        yield _marks([(a, b) for a, b, _ in some], mark, colour)
    if series.most:
        marks = "".join(f"M{place(x.at(a))} {place(y.at(b))}{_AT_MOST}" for a, b in series.most)
        yield f'<path d="{marks}" {stroked(colour, 1.2)}/>'


def _band(series: Series, colour: str, x: Scale, y: Scale) -> str:
    """Fill the space between both ends of the intervals."""
    upper, lower = (
        [(x.at(a), y.at(b)) for a, b in zip(series.x, ends, strict=True) if b is not None]
        for ends in (series.high, series.low)
    )
    path = "L".join(f"{place(a)} {place(b)}" for a, b in [*upper, *reversed(lower)])
    return f'<path d="M{path}z" {filled(colour)} fill-opacity="0.2"/>'


def _bars(chart: Chart, styles: Sequence[Style], x: Scale, y: Scale) -> Iterator[str]:
    """Draw the bars of all series side by side, each from zero or from the lower edge."""
    positions = [x.at(position) for position in chart.positions()]
    steps = [b - a for a, b in pairwise(positions)]
    room = _BARS * min([*steps, (x.end - x.start) / max(1, len(positions))])
    width = room / max(1, len(chart.series))
    base = y.start if y.log else y.at(max(y.low, min(y.high, 0.0)))
    for number, series in enumerate(chart.series):
        colour, _, _ = _look(series, styles)
        bars, intervals = "", ""
        for i, (position, value) in enumerate(zip(series.x, series.y, strict=True)):
            if value is None:
                continue
            left = x.at(position) - room / 2 + width * number
            bars += (
                f"M{place(left)} {place(base)}V{place(y.at(value))}h{place(width)}V{place(base)}z"
            )
            if series.low:
                intervals += _interval(left + width / 2, series.low[i], series.high[i], y)
        yield f'<path d="{bars}" {filled(colour)} fill-opacity="0.75"/>'
        if intervals:
            yield f'<path d="{intervals}" {stroked("var(--ink)")}/>'


def _marks(places: Sequence[tuple[float, float]], mark: str, colour: str) -> str:
    """Markers; a disc is the round end of a line without length."""
    path = "".join(f"M{place(a)} {place(b)}{mark}" for a, b in places)
    disc = f'stroke="{colour}" stroke-width="6" stroke-linecap="round"'
    return f'<path d="{path}" {disc if mark == _MARKS["o"] else filled(colour)}/>'


def _interval(a: float, low: Number, high: Number, y: Scale) -> str:
    if low is None or high is None:
        return ""
    lower, upper = place(y.at(low)), place(y.at(high))
    return f"M{place(a - 2)} {lower}h4m-2 0V{upper}m-2 0h4"


def _look(series: Series, styles: Sequence[Style]) -> tuple[str, str, str]:
    """Colour, dashes and marker."""
    if series.row is None:
        return "var(--soft)", _DASHES["--"], ""
    style = styles[series.row]
    colour = "var(--ink)" if style.colour == INK else style.colour
    if series.second:
        return colour, "2 3", ""
    return colour, _DASHES[style.dash], _MARKS[style.marker]


def filled(colour: str) -> str:
    """Attributes of a shape without an edge."""
    return f'fill="{colour}"'


def stroked(colour: str, width: float = 1, dash: str = "") -> str:
    """Attributes of a line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}'


def place(value: float) -> str:
    """Write a coordinate."""
    return f"{value:.1f}".removesuffix(".0")
