"""One chart, drawn by every writer."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from geobench.plots import interactive, paper, svg
from geobench.plots.chart import Axis, Chart, Figure, Kind, Series, finite, numbers
from geobench.plots.shades import Shades
from geobench.plots.styles import COLOURS, INK, Style, styles

NAMES = ("<fgn> & _$x$", "gencast")
STYLES = styles(NAMES, [0, 1], NAMES)
KINDS: tuple[Kind, ...] = ("lines", "points", "bars", "heat")


def _chart(kind: Kind = "lines", *, band: bool = False) -> Chart:
    series = [
        Series(NAMES[0], 0, [1, 2, 3], [1.0, None, 3.0], [0.5, None, 2.5], [1.5, None, 3.5]),
        Series(NAMES[1], 1, [1, 2, 3], [-2.0, 2.0, 4.0], [-3.0, 1.0, 3.0], [-1.0, 3.0, 5.0]),
    ]
    if band:
        series = [Series(s.name, s.row, s.x, s.y, s.low, s.high, band=True) for s in series]
    x = Axis("lead time", "days", ticks=[1, 2, 3], names=["one", "two", "three"])
    return Chart(x, Axis("score", "K"), series, kind=kind, guides=[(0.0, "zero")])


def _drawn(chart: Chart) -> ElementTree.Element:
    """The SVG, which is well-formed XML."""
    return ElementTree.fromstring(svg.text(chart, STYLES))  # our own


def _texts(drawn: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in drawn.iter("text")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_names_its_series_and_axes_on_a_page(kind: Kind) -> None:
    texts = _texts(_drawn(_chart(kind)))
    assert {*NAMES, "lead time, days", "one", "two", "three"} <= {*texts}
    assert kind == "heat" or {"score, K", "zero"} <= {*texts}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".svg", ".pdf"])
def test_every_kind_makes_equal_files_for_papers(tmp_path: Path, kind: Kind, ending: str) -> None:
    files = [tmp_path / f"{number}{ending}" for number in (1, 2)]
    for file in files:
        paper.save(_chart(kind), STYLES, file, title="A title")
    assert files[0].read_bytes() == files[1].read_bytes()
    if ending == ".svg":
        text = files[0].read_text("utf-8")
        for name in ("&lt;fgn&gt; &amp; _$x$", "gencast", "lead time, days", "three", "A title"):
            assert name in text


def _numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", path)]


def test_bars_are_as_tall_as_their_values() -> None:
    bars = [path.get("d", "") for path in _drawn(_chart("bars")).iter("path")]
    first, second = (path for path in bars if re.fullmatch(r"(M\S+ \S+V\S+h\S+V\S+z)+", path))
    tops = [
        (float(base) - float(top))
        for path in (first, second)
        for base, top in re.findall(r"M\S+ (\S+?)V(\S+?)h", path)
    ]
    unit = tops[0]  # of the value 1
    assert [top / unit for top in tops] == pytest.approx([1, 3, -2, 2, 4], abs=0.02)


def test_a_band_lies_between_the_ends_of_the_intervals() -> None:
    paths = [path.get("d", "") for path in _drawn(_chart(band=True)).iter("path")]
    bands = [path for path in paths if path.endswith("z") and "L" in path]
    heights = [_numbers(path)[1::2] for path in bands]
    # 1.5, 3.5 above and 2.5, 0.5 below: equal widths, and 2 between both points.
    upper, later, lower_later, lower = heights[0]
    unit = (lower - upper) / 1.0
    assert (upper - later) / unit == pytest.approx(2, abs=0.01)
    assert (lower_later - later) / unit == pytest.approx(1, abs=0.01)
    assert len(heights[1]) == 6


def test_a_heat_map_shades_values_by_their_size_on_either_side_of_zero() -> None:
    shades = Shades.of(_chart("heat"))
    assert [shades.strength(value) for value in (4.0, 2.0, 0.0, -2.0)] == [1, 0.5, 0, -0.5]
    boxes = list(_drawn(_chart("heat")).iter("rect"))
    shown = [(box.get("fill"), float(box.get("fill-opacity", ""))) for box in boxes]
    better, worse = "rgb(var(--better))", "rgb(var(--worse))"
    assert shown[3:] == [(worse, 0.23), (better, 0.23), (better, 0.45)]
    assert shown[1] == (better, 0.0)  # no value
    assert {"1.000", "–", "−2.000", "4.000"} <= {*_texts(_drawn(_chart("heat")))}


def test_a_heat_map_without_negative_values_begins_at_the_least() -> None:
    shades = Shades(280.0, 300.0)
    assert [shades.strength(value) for value in (280.0, 290.0, 300.0)] == [0, 0.5, 1]
    assert shades.written(290.12) == "290.1"


def test_axes_end_where_they_say() -> None:
    series = [Series("one", 0, [0.0, 10.0], [0.0, 10.0])]
    chart = Chart(Axis("x", low=0, high=20), Axis("y", low=0, high=40), series)
    paths = [path.get("d", "") for path in _drawn(chart).iter("path")]
    (line,) = (path for path in paths if re.fullmatch(r"M\S+ \S+L\S+ \S+", path))
    (frame,) = (path for path in paths if re.fullmatch(r"M\S+ \S+V\S+H\S+", path))
    left, top, bottom, right = _numbers(frame)
    (x, y), (to_x, to_y) = (_numbers(part) for part in line[1:].split("L"))
    assert (x, y) == (left, bottom)
    assert to_x == pytest.approx((left + right) / 2, abs=0.1)
    assert to_y == pytest.approx(bottom - (bottom - top) / 4, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_gets_every_kind_in_few_bytes(kind: Kind) -> None:
    packed = interactive.chart(_chart(kind), STYLES)
    assert packed["kind"] == kind
    assert packed["x"]["title"] == "lead time, days"
    assert packed["along"] == [1, 2, 3]  # told once
    first, second = packed["series"]
    assert first == {
        "row": 0, "y": [1.0, None, 3.0], "low": [0.5, None, 2.5], "high": [1.5, None, 3.5]
    }  # fmt: skip
    assert set(second) == {"row", "y", "low", "high"}


def test_black_is_the_colour_of_the_text_on_a_page() -> None:
    black = Style("truth", INK, "o", "-")
    assert interactive.style(black)["colour"] == ""
    chart = Chart(Axis("x"), Axis("y"), [Series("truth", 0, [0.0, 1.0], [0.0, 1.0])])
    assert INK not in svg.text(chart, [black])


def test_models_have_colours_and_markers_and_seeds_have_lines() -> None:
    own = styles(["a", "a", "b"], [0, 1, 0], ["a0", "a1", "b0"])
    assert own[0].colour == own[1].colour != own[2].colour
    assert own[0].dash == own[2].dash != own[1].dash
    many = styles([str(n) for n in range(2 * len(COLOURS))], [0] * 12, [""] * 12)
    assert len({(style.colour, style.marker, style.dash) for style in many}) == 12


def test_the_numbers_of_a_chart_are_a_table() -> None:
    table = numbers(_chart())
    assert table.title == "score, K, by lead time, days"
    assert [cell.text for cell in table.rows[0].cells] == [NAMES[0], "1: 1; 3: 3; "]
    at_most = Series("one", 0, [1], [None], most=[(1, 0.25)])
    chart = Chart(Axis("x"), Axis("y"), [at_most])
    assert numbers(chart).rows[0].cells[1].text == "1: at most 0.25; "
    assert not chart.empty


def test_what_is_not_finite_is_not_drawn() -> None:
    assert finite([1.23456789, float("nan"), float("inf")]) == [1.2346, None, None]
    assert Chart(Axis("x"), Axis("y"), [Series("one", 0, [1], [None])]).empty


def test_a_figure_shows_the_chosen_variant() -> None:
    charts = [("day 1", _chart()), ("day 3", _chart("bars"))]
    assert Figure("key", "title", "", charts, "ranking", chosen=1).chart.kind == "bars"
