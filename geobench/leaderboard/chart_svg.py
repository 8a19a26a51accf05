"""Charts as SVG that stands in a page, in its colours, light or dark.

Written out here, since pages hold many: a drawing library takes half a second for each, and six
times the bytes. `chart_files` draws the same charts for papers.
"""

from collections.abc import Iterator, Sequence
from html import escape

from geobench.leaderboard.axes import Axis, labels, limits, ticks
from geobench.leaderboard.charts import Chart, Line, Number
from geobench.leaderboard.looks import Look

INK = "#000000"
"""Of black lines, which take the colour of the text."""
_WIDTH, _PLOT = 640, 300  # of all, and height of what is within the axes
_TOP, _RIGHT, _BELOW, _ROW = 10, 14, 46, 18
_LETTER = 6.3  # width, at the size of letters that is used
_LONGEST = 40  # letters of a name in a legend
_MOST_MARKS = 16  # of a line
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
}
_AT_MOST = "m-4.5-3h9l-4.5 6z"


def text(chart: Chart, looks: Sequence[Look]) -> str:
    """Return the chart as an `<svg>` element."""
    x, y = _axes(chart)
    named = [line for line in chart.lines if not line.second]
    height = _TOP + _PLOT + _BELOW + _ROW * -(-len(named) // _abreast(named)) + 4
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" fill="var(--ink)" font-size="11.5" ',
        'focusable="false" aria-hidden="true">',
        *_frame(chart, x, y),
        *(part for line in chart.lines for part in _drawn(chart, line, looks, x, y)),
        *_legend(named, chart, looks),
        "</svg>",
    ]
    return "".join(parts)


def _axes(chart: Chart) -> tuple[Axis, Axis]:
    points = chart.marks == "points"
    own = list(_points(chart))
    xs, ys = [x for x, _ in own], [y for _, y in own]
    if chart.diagonal:
        xs, ys = [*xs, 0, 1], [*ys, 0, 1]
    if chart.ideal is not None:
        ys.append(chart.ideal)
    across = limits(xs, log=chart.x_log, margin=0.12 if points else 0.04)
    up = limits(ys, log=chart.y_log, margin=0.1 if points else 0.05)
    widest = max((len(each) for each in labels(ticks(*up, log=chart.y_log))), default=1)
    left = 30 + _LETTER * widest
    x = Axis(*across, left, _WIDTH - _RIGHT, chart.x_log)
    return x, Axis(*up, _TOP + _PLOT, _TOP, chart.y_log)


def _points(chart: Chart) -> Iterator[tuple[float, float]]:
    """All that must be within the axes."""
    for line in chart.lines:
        for each in (line.y, line.low, line.high):
            yield from ((x, y) for x, y in zip(line.x, each, strict=False) if y is not None)
        yield from line.most


def _frame(chart: Chart, x: Axis, y: Axis) -> Iterator[str]:
    """Grid, ticks, labels of the axes, and lines for orientation."""
    across = list(chart.x_ticks) or ticks(x.low, x.high, log=x.log)
    up = ticks(y.low, y.high, log=y.log)
    grid = "".join(f"M{_n(x.at(each))} {_TOP}v{_PLOT}" for each in across)
    grid += "".join(f"M{_n(x.start)} {_n(y.at(each))}H{_n(x.end)}" for each in up)
    yield f'<path d="{grid}" stroke="var(--line)"/>'
    yield f'<path d="M{_n(x.start)} {_TOP}V{_n(y.start)}H{_n(x.end)}" {_stroked("var(--soft)")}/>'
    yield '<g text-anchor="middle">'
    for value, label in zip(across, labels(across), strict=True):
        yield f'<text x="{_n(x.at(value))}" y="{_n(y.start + 16)}">{label}</text>'
    yield f'<text x="{_n((x.start + x.end) / 2)}" y="{_n(y.start + 36)}">{_name(chart.x)}</text>'
    middle = (y.start + y.end) / 2
    yield f'<text transform="translate(14 {_n(middle)})rotate(-90)">{_name(chart.y)}</text></g>'
    yield '<g text-anchor="end">'
    for value, label in zip(up, labels(up), strict=True):
        yield f'<text x="{_n(x.start - 6)}" y="{_n(y.at(value) + 4)}">{label}</text>'
    yield "</g>"
    dashed = _stroked("var(--soft)", dash="7 4")
    if chart.ideal is not None:
        yield f'<path d="M{_n(x.start)} {_n(y.at(chart.ideal))}H{_n(x.end)}" {dashed}/>'
    if chart.diagonal:
        ends = (f"{_n(x.at(each))} {_n(y.at(each))}" for each in (0, 1))
        yield f'<path d="M{"L".join(ends)}" {dashed}/>'


def _drawn(chart: Chart, line: Line, looks: Sequence[Look], x: Axis, y: Axis) -> Iterator[str]:
    """A line with its bars and markers."""
    colour, dash, mark = _look(line, looks)
    own = [(x.at(a), b, place) for place, (a, b) in enumerate(zip(line.x, line.y, strict=True))]
    shown = [(a, y.at(b), place) for a, b, place in own if b is not None]
    if chart.marks == "lines" and len(shown) > 1:
        path = "L".join(f"{_n(a)} {_n(b)}" for a, b, _ in shown)
        yield f'<path d="M{path}" {_stroked(colour, 1.8, dash)}/>'
    if line.low and shown:
        bars = "".join(_bar(a, line.low[place], line.high[place], y) for a, _, place in shown)
        yield f'<path d="{bars}" {_stroked(colour)}/>'
    if mark and shown:
        some = shown[:: -(-len(shown) // _MOST_MARKS)]
        yield _marks([(a, b) for a, b, _ in some], mark, colour)
    if line.most:
        marks = "".join(f"M{_n(x.at(a))} {_n(y.at(b))}{_AT_MOST}" for a, b in line.most)
        yield f'<path d="{marks}" {_stroked(colour, 1.2)}/>'


def _marks(places: Sequence[tuple[float, float]], mark: str, colour: str) -> str:
    """Markers; a disc is the round end of a line without length."""
    path = "".join(f"M{_n(a)} {_n(b)}{mark}" for a, b in places)
    disc = f'stroke="{colour}" stroke-width="6" stroke-linecap="round"'
    return f'<path d="{path}" {disc if mark == _MARKS["o"] else _filled(colour)}/>'


def _bar(a: float, low: Number, high: Number, y: Axis) -> str:
    if low is None or high is None:
        return ""
    lower, upper = _n(y.at(low)), _n(y.at(high))
    return f"M{_n(a - 2)} {lower}h4m-2 0V{upper}m-2 0h4"


def _look(line: Line, looks: Sequence[Look]) -> tuple[str, str, str]:
    """Colour, dashes and marker."""
    if line.row is None:
        return "var(--soft)", _DASHES["--"], ""
    own = looks[line.row]
    colour = "var(--ink)" if own.colour == INK else own.colour
    return (colour, "2 3", "") if line.second else (colour, _DASHES[own.dash], _MARKS[own.marker])


def _abreast(named: Sequence[Line]) -> int:
    """Columns of the legend."""
    longest = max((min(_LONGEST, len(line.name)) for line in named), default=1)
    return max(1, min(4, 88 // (longest + 6)))


def _legend(named: Sequence[Line], chart: Chart, looks: Sequence[Look]) -> Iterator[str]:
    columns, top = _abreast(named), _TOP + _PLOT + _BELOW + 10
    for place, line in enumerate(named):
        left = 20 + (_WIDTH - 20) // columns * (place % columns)
        middle = top + _ROW * (place // columns)
        colour, dash, mark = _look(line, looks)
        if chart.marks == "lines":
            yield f'<path d="M{left} {middle}h26" {_stroked(colour, 1.8, dash)}/>'
        if mark:
            yield _marks([(left + 13, middle)], mark, colour)
        yield f'<text x="{left + 32}" y="{middle + 4}">{_name(line.name)}</text>'


def _filled(colour: str) -> str:
    return f'fill="{colour}"'


def _stroked(colour: str, width: float = 1, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}'


def _name(name: str) -> str:
    return escape(name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
