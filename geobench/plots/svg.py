"""Charts as SVG that stands in a page, in its colours, light or dark.

Written out here, since pages hold many: a drawing library takes half a second for each, and six
times the bytes.
"""

from collections.abc import Iterator, Sequence
from html import escape

from geobench.plots import svg_series
from geobench.plots.chart import Axis, Chart, Series
from geobench.plots.scales import Scale, labels, limits, ticks
from geobench.plots.shades import Shades
from geobench.plots.styles import Style
from geobench.plots.svg_series import filled, place, stroked

_WIDTH, _PLOT = 640, 300  # of all, and height of what is within the axes
_TOP, _RIGHT, _BELOW, _ROW = 10, 14, 46, 18
_LETTER = 6.3  # width, at the size of letters that is used
_LONGEST = 40  # letters of a name in a legend
_CELL = 24  # height of a line of a heat map
_MARGINS = {"lines": (0.04, 0.05), "points": (0.12, 0.1), "bars": (0.08, 0.05)}


def text(chart: Chart, styles: Sequence[Style]) -> str:
    """Return the chart as an `<svg>` element."""
    height, parts = _heat_map(chart) if chart.kind == "heat" else _plot(chart, styles)
    return "".join(
        [
            f'<svg viewBox="0 0 {_WIDTH} {height}" fill="var(--ink)" font-size="11.5" ',
            'focusable="false" aria-hidden="true">',
            *parts,
            "</svg>",
        ]
    )


def _plot(chart: Chart, styles: Sequence[Style]) -> tuple[int, Iterator[str]]:
    """Height and parts of series over two axes."""
    x, y = _scales(chart)
    rows = -(-len(chart.named) // _abreast(chart.named))

    def parts() -> Iterator[str]:
        yield from _frame(chart, x, y)
        yield from svg_series.drawn(chart, styles, x, y)
        yield from _legend(chart, styles)

    return _TOP + _PLOT + _BELOW + _ROW * rows + 4, parts()


def _scales(chart: Chart) -> tuple[Scale, Scale]:
    points = list(_points(chart))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if chart.diagonal:
        xs, ys = [*xs, 0, 1], [*ys, 0, 1]
    ys += [height for height, _ in chart.guides]
    if chart.kind == "bars":
        ys.append(0)
    across, upwards = _MARGINS[chart.kind]
    left, right = limits(xs, log=chart.x.log, margin=across)
    low, high = limits(ys, log=chart.y.log, margin=upwards)
    left, right = _ends(chart.x, left, right)
    low, high = _ends(chart.y, low, high)
    widest = max(map(len, labels(ticks(low, high, log=chart.y.log))), default=1)
    x = Scale(left, right, 30 + _LETTER * widest, _WIDTH - _RIGHT, chart.x.log)
    return x, Scale(low, high, _TOP + _PLOT, _TOP, chart.y.log)


def _ends(axis: Axis, low: float, high: float) -> tuple[float, float]:
    """Ends of an axis: those that it names, else those of what is drawn."""
    return low if axis.low is None else axis.low, high if axis.high is None else axis.high


def _points(chart: Chart) -> Iterator[tuple[float, float]]:
    """All that must be within the axes."""
    for series in chart.series:
        for heights in (series.y, series.low, series.high):
            yield from ((x, y) for x, y in zip(series.x, heights, strict=False) if y is not None)
        yield from series.most


def _frame(chart: Chart, x: Scale, y: Scale) -> Iterator[str]:
    """Grid, ticks, labels of the axes, and lines for orientation."""
    across, names = _along(chart, x)
    up = ticks(y.low, y.high, log=y.log)
    grid = "".join(f"M{place(x.at(tick))} {_TOP}v{_PLOT}" for tick in across)
    grid += "".join(f"M{place(x.start)} {place(y.at(tick))}H{place(x.end)}" for tick in up)
    yield f'<path d="{grid}" stroke="var(--line)"/>'
    edges = f"M{place(x.start)} {_TOP}V{place(y.start)}H{place(x.end)}"
    yield f'<path d="{edges}" {stroked("var(--soft)")}/>'
    yield '<g text-anchor="middle">'
    yield from _named_along([x.at(tick) for tick in across], names, y.start)
    yield _centred((x.start + x.end) / 2, y.start + 36, chart.x.label)
    turned = f"translate(14 {place((y.start + y.end) / 2)})rotate(-90)"
    yield f'<text transform="{turned}">{_name(chart.y.label)}</text>'
    yield '</g><g text-anchor="end">'
    for tick, label in zip(up, labels(up), strict=True):
        yield f'<text x="{place(x.start - 6)}" y="{place(y.at(tick) + 4)}">{label}</text>'
    for height, label in chart.guides:
        if label:
            at = place(x.end), place(y.at(height) + 13)
            yield f'<text x="{at[0]}" y="{at[1]}" fill="var(--soft)">{_name(label)}</text>'
    yield "</g>"
    dashed = stroked("var(--soft)", dash="7 4")
    for height, _ in chart.guides:
        yield f'<path d="M{place(x.start)} {place(y.at(height))}H{place(x.end)}" {dashed}/>'
    if chart.diagonal:
        ends = (f"{place(x.at(end))} {place(y.at(end))}" for end in (0, 1))
        yield f'<path d="M{"L".join(ends)}" {dashed}/>'


def _along(chart: Chart, x: Scale) -> tuple[Sequence[float], Sequence[str]]:
    """Ticks along x, and what is written at them."""
    across = list(chart.x.ticks) or ticks(x.low, x.high, log=x.log)
    return across, list(chart.x.names) or labels(across)


def _named_along(places: Sequence[float], names: Sequence[str], below: float) -> Iterator[str]:
    for at, name in zip(places, names, strict=True):
        yield _centred(at, below + 16, name)


def _centred(x: float, y: float, name: str) -> str:
    return f'<text x="{place(x)}" y="{place(y)}">{_name(name)}</text>'


def _abreast(named: Sequence[Series]) -> int:
    """Columns of the legend."""
    longest = max((min(_LONGEST, len(series.name)) for series in named), default=1)
    return max(1, min(4, 88 // (longest + 6)))


def _legend(chart: Chart, styles: Sequence[Style]) -> Iterator[str]:
    columns, top = _abreast(chart.named), _TOP + _PLOT + _BELOW + 10
    for number, series in enumerate(chart.named):
        left = 20 + (_WIDTH - 20) // columns * (number % columns)
        middle = top + _ROW * (number // columns)
        yield from svg_series.sample(chart, series, styles, left, middle)
        yield f'<text x="{left + 32}" y="{middle + 4}">{_name(series.name)}</text>'


def _heat_map(chart: Chart) -> tuple[int, Iterator[str]]:
    """Height and parts of a heat map: a line of cells for each series."""
    longest = max((min(_LONGEST, len(series.name)) for series in chart.series), default=1)
    left, bottom = 20 + _LETTER * longest, _TOP + _CELL * len(chart.series)
    positions = chart.positions()
    width = (_WIDTH - _RIGHT - left) / max(1, len(positions))
    shades = Shades.of(chart)

    def parts() -> Iterator[str]:
        for number, series in enumerate(chart.series):
            middle = _TOP + _CELL * number + _CELL / 2 + 4
            name = _name(series.name)
            yield f'<text x="{place(left - 6)}" y="{place(middle)}" text-anchor="end">{name}</text>'
        yield '<g text-anchor="middle">'
        for number, series in enumerate(chart.series):
            top = _TOP + _CELL * number
            for x, value in zip(series.x, series.y, strict=True):
                at = left + width * positions.index(x)
                yield from _heat_cell(at, top, width, value, shades)
        names = chart.x.names or labels(positions)
        centres = [left + width * (number + 0.5) for number in range(len(positions))]
        yield from _named_along(centres, names, bottom)
        yield _centred((left + _WIDTH - _RIGHT) / 2, bottom + 36, chart.x.label) + "</g>"

    return bottom + _BELOW, parts()


def _heat_cell(
    left: float, top: float, width: float, value: float | None, shades: Shades
) -> Iterator[str]:
    box = f'x="{place(left)}" y="{place(top)}" width="{place(width)}" height="{_CELL}"'
    strength = 0.0 if value is None else shades.strength(value)
    colour = "rgb(var(--better))" if strength >= 0 else "rgb(var(--worse))"
    yield f'<rect {box} {filled(colour)} fill-opacity="{0.45 * abs(strength):.2f}"/>'
    yield _centred(left + width / 2, top + _CELL / 2 + 4, shades.written(value))


def _name(name: str) -> str:
    return escape(name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…")
