"""What plots draw is what they were given: checked on the axes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from geobench import Context, Dimension, GeobenchError, Scorer, StateSpec, Variable, plots
from geobench.plots.chart import Axis, Chart, Series
from geobench.plots.fields import LAND, of_states
from geobench.plots.styles import GREY, INK, Style, styles
from geobench.registry import Registry

HOUR = np.timedelta64(3600, "s")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def _axes() -> Axes:
    return Figure().add_subplot()


def _legend(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def _ring(hours: int = 24) -> xr.DataArray:
    """Four times of six sites."""
    values = np.random.default_rng(0).standard_normal((4, 6))
    coords = {"time": np.arange(4) * hours * HOUR, "x": ("x", np.arange(6.0), {"units": "1"})}
    attributes = {"long_name": "height", "units": "m"}
    return xr.DataArray(values, coords, ["time", "x"], "q", attributes)


def _sea() -> xr.Dataset:
    """Two states of a sea with one cell of land, 300 km apart each way."""
    dims = tuple(Dimension(name=name, size=3, spacing=3e5, units="m") for name in "yx")
    spec = StateSpec(variables=(Variable(name="h", units="m"),), dims=dims, land=(4,))
    return of_states(spec, np.arange(18, dtype="f4").reshape(2, 1, 3, 3), 5.0)


# -- axes in, axes out


def test_without_axes_each_plot_has_a_figure_of_its_own() -> None:
    first, second = plots.hovmoller(_ring()), plots.hovmoller(_ring())
    assert first.figure is not second.figure
    assert plt.get_fignums() == [1, 2]  # which a notebook shows


def test_given_axes_are_drawn_on_and_returned_without_pyplot() -> None:
    axes = _axes()
    assert plots.hovmoller(_ring(), ax=axes) is axes
    assert plt.get_fignums() == []


def test_panels_have_letters_before_their_titles() -> None:
    panels = Figure().subplots(1, 2)
    panels[1].set_title("Spread", loc="left")
    plots.letter(panels)
    assert [axes.get_title(loc="left") for axes in panels] == ["(a)", "(b) Spread"]


# -- fields


@pytest.mark.parametrize("time_axis", ["x", "y"])
def test_a_hovmoller_diagram_shows_time_over_site(time_axis: Any) -> None:
    field = _ring()
    axes = plots.hovmoller(field, ax=_axes(), time_axis=time_axis)
    (image,) = axes.get_images()
    shown = image.get_array()
    assert np.array_equal(shown if time_axis == "y" else shown.T, field)
    names = (axes.get_xlabel(), axes.get_ylabel())
    assert names == (("x", "time, days") if time_axis == "y" else ("time, days", "x"))
    along_time = axes.get_ylim() if time_axis == "y" else axes.get_xlim()
    assert along_time == (-0.5, 3.5)
    (bar,) = axes.child_axes
    assert bar.get_ylabel() == "height (q), m"


def test_times_that_are_not_whole_days_are_in_hours() -> None:
    axes = plots.hovmoller(_ring(hours=6), ax=_axes())
    assert axes.get_ylabel() == "time, hours"
    assert axes.get_ylim() == (-3, 21)


def test_dates_stand_at_an_axis_of_dates() -> None:
    field = _ring()
    dated = field.assign_coords(time=np.datetime64("2000-01-01", "ns") + field["time"].values)
    axes = plots.hovmoller(dated, ax=_axes())
    axes.figure.canvas.draw()
    assert "2000" in axes.yaxis.get_major_formatter().format_data(axes.get_ylim()[1])


def test_uneven_times_keep_their_distances() -> None:
    field = _ring().isel(time=[0, 1, 3])
    axes = plots.hovmoller(field, ax=_axes())
    (mesh,) = axes.collections
    assert np.array_equal(mesh.get_array(), field)
    assert axes.get_ylim() == (-0.5, 4.0)


def test_a_map_masks_land_and_is_not_distorted() -> None:
    field = _sea()["h"].isel(time=1)
    axes = plots.map(field, ax=_axes())
    (image,) = axes.get_images()
    assert np.array_equal(np.ma.getmaskarray(image.get_array()), np.isnan(field))
    assert image.get_array()[1, 1] is np.ma.masked
    assert np.array_equal(image.get_array().compressed(), [9, 10, 11, 12, 14, 15, 16, 17])
    assert to_hex(axes.get_facecolor()) == LAND
    assert axes.get_aspect() == 1
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x, km", "y, km")
    assert axes.get_xlim() == (-150, 750)
    assert axes.get_title(loc="left") == "day 5"
    assert axes.child_axes[0].get_ylabel() == "h, m"


def test_latitude_stands_upright_with_the_shape_of_the_middle() -> None:
    coords = {
        "lon": ("lon", [0.0, 10.0, 20.0], {"units": "degrees_east"}),
        "lat": ("lat", [50.0, 60.0, 70.0], {"units": "degrees_north"}),
    }
    field = xr.DataArray(np.arange(9.0).reshape(3, 3), coords, ["lon", "lat"], "t")
    axes = plots.map(field, ax=_axes())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lon, °E", "lat, °N")
    assert axes.get_aspect() == pytest.approx(2)  # 1 / cos 60°
    assert np.array_equal(axes.get_images()[0].get_array(), field.T)


def test_anomalies_have_diverging_colours_about_zero_and_speeds_begin_at_zero() -> None:
    signed = plots.hovmoller(_ring(), ax=_axes()).get_images()[0]
    assert signed.norm.vmin == -signed.norm.vmax
    assert signed.cmap == colormaps["RdBu_r"]
    speed = plots.hovmoller(abs(_ring()), ax=_axes()).get_images()[0]
    assert speed.norm.vmin == 0
    assert speed.cmap == colormaps["viridis"]


def test_a_state_is_a_hovmoller_diagram_or_a_map_by_its_grid() -> None:
    ring = xr.concat([_ring(), _ring() + 1], "trajectory").to_dataset(name="q")
    drawn = plots.state(ring, ax=_axes(), trajectory=1).get_images()[0].get_array()
    assert np.array_equal(drawn, _ring() + 1)
    for time in (0, "0D", np.timedelta64(0, "D")):
        drawn = plots.state(_sea(), "h", ax=_axes(), time=time).get_images()[0].get_array()
        assert drawn[2, 2] == 8
    with pytest.raises(GeobenchError, match=r"no variable 'u'. There are: h"):
        plots.state(_sea(), "u")
    with pytest.raises(GeobenchError, match=r"cannot be drawn. Give one or two grid dims"):
        plots.state(_ring().isel(time=0))
    with pytest.raises(GeobenchError, match=r"this field has time, y, x. Select one case"):
        plots.hovmoller(_sea()["h"])


def test_xarray_plots_what_is_plottable() -> None:
    dataset = _ring().to_dataset(name="q")
    with pytest.raises(TypeError):
        dataset["q"].plot(ax=_axes())  # type: ignore[call-arg]
    shown = plots.plottable(dataset)
    axes = _axes()
    shown["q"].plot(ax=axes)  # type: ignore[call-arg]
    assert axes.get_ylabel() == "time [days]"
    assert shown["time"].values.tolist() == [0, 1, 2, 3]
    assert plots.plottable(_ring(hours=6))["time"].attrs["units"] == "hours"


# -- plumes


def _members(count: int, scale: float = 1.0) -> xr.DataArray:
    """Members `(lead_time, member)` that are evenly spread from 0 to lead time times scale."""
    leads = np.arange(1, 4)
    values = scale * leads[:, None] * np.linspace(0, 1, count)
    coords = {"lead_time": leads * 24 * HOUR}
    return xr.DataArray(values, coords, ["lead_time", "member"], "q", {"units": "K"})


def test_a_plume_shows_quantiles_by_lead_time_and_the_truth_in_black() -> None:
    truth = _members(2).isel(member=1)
    axes = plots.plume(_members(21), _members(101, 2.0), truth, ax=_axes(), name="fgn")
    low, high, middle, seen = (np.array(line.get_ydata(), float) for line in axes.lines)
    leads = np.array([1, 2, 3])
    assert low == pytest.approx(0.05 * leads)
    assert high == pytest.approx(0.95 * leads)
    assert middle == pytest.approx(0.5 * leads)
    assert seen == pytest.approx(leads)
    assert axes.lines[3].get_color() == INK
    wide, narrow, model = (band.get_paths()[0].vertices for band in axes.collections)
    assert wide[:, 1].max() == pytest.approx(2 * 0.95 * 3)
    assert narrow[:, 1].max() == pytest.approx(2 * 0.75 * 3)
    assert model[:, 1].max() == pytest.approx(0.75 * 3)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lead time, days", "q, K")
    assert _legend(axes) == [
        "true distribution, 50 and 90 %", "fgn: median, 50 % (filled), 90 % (dashed)", "truth",
    ]  # fmt: skip


def test_a_plume_takes_one_init_and_one_site() -> None:
    whole = _members(5).expand_dims(init_time=2, x=3).copy()
    whole[1, 2] += 10
    axes = plots.plume(whole, ax=_axes(), init=1, site=2)
    assert np.array(axes.lines[2].get_ydata(), float) == pytest.approx([10.5, 11, 11.5])
    with pytest.raises(GeobenchError, match="site has 2 places, and the grid has the dims x"):
        plots.plume(whole, site=(0, 1))
    with pytest.raises(GeobenchError, match="needs the dim lead_time"):
        plots.plume(whole.isel(lead_time=0))


# -- charts


LOOKS = [Style("fgn", "#0072b2"), Style("oracle", INK, "s")]


def test_lines_of_a_chart_are_its_numbers() -> None:
    series = [
        Series("fgn", 0, [1, 2, 3], [1.0, None, 3.0], [0.5, None, 2.5], [1.5, None, 3.5]),
        Series("oracle", 1, [1, 2, 3], [2.0, 2.0, 4.0], most=[(2, 0.5)]),
        Series("error of fgn", 0, [1, 2, 3], [2.0, 2.5, 3.0], second=True),
    ]
    chart = Chart(Axis("lead time", "days", ticks=[1, 2, 3]), Axis("score", "K"), series)
    axes = plots.draw(chart, LOOKS, ax=_axes(), title="CRPS")
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    containers = {c.get_label(): c for c in axes.containers}
    fgn = containers["fgn"][0]
    assert (list(fgn.get_xdata()), list(fgn.get_ydata())) == ([1, 3], [1, 3])
    assert fgn.get_color() == "#0072b2"
    (bars,) = containers["fgn"][2]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[0.5, 1.5], [2.5, 3.5]]
    assert list(containers["oracle"][0].get_ydata()) == [2, 2, 4]
    assert not lines or "fgn" not in lines
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lead time, days", "score, K")
    assert axes.get_title(loc="left") == "CRPS"
    # The legend explains dotted lines and triangles, too.
    assert _legend(axes) == ["fgn", "oracle", "error", "at most (95 %)"]


def test_a_legend_stands_under_the_axes() -> None:
    series = [Series(name, row, [1, 2], [1.0, 2.0]) for row, name in enumerate(("fgn", "oracle"))]
    axes = plots.draw(Chart(Axis("lead time", "days"), Axis("score"), series), LOOKS)
    axes.figure.canvas.draw()
    legend = axes.get_legend().get_window_extent()
    assert legend.y1 < axes.xaxis.get_label().get_window_extent().y0
    assert legend.y0 >= 0  # within the figure


def test_a_log_axis_shorter_than_a_decade_has_several_numbers() -> None:
    chart = Chart(Axis("x"), Axis("y", log=True), [Series("fgn", 0, [1, 2], [0.25, 2.5])])
    axes = plots.draw(chart, LOOKS)
    axes.figure.canvas.draw()
    low, high = axes.get_ylim()
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    shown = [label.get_text() for tick, label in ticks if low <= tick <= high]
    assert shown == ["0.5", "1", "2"]


def test_the_true_distribution_is_black_the_baseline_grey_and_no_look_follows_the_rank() -> None:
    def looks(*labels: str) -> dict[str, Style]:
        made = styles(labels, [0] * len(labels), labels, law={"oracle"}, baseline="climatology")
        return dict(zip(labels, made, strict=True))

    first = looks("oracle", "fgn", "gencast", "climatology")
    assert first == looks("gencast", "oracle", "climatology", "fgn")
    assert (first["oracle"].colour, first["climatology"].colour) == (INK, GREY)
    assert len({look.colour for look in first.values()}) == 4


# -- scores


def _ranks(name: str, shares: list[float], **options: Any) -> plots.Scored:
    """Ranks of two cases at two lead times; the second lead time has them in reverse."""
    values = np.array([shares, shares[::-1]])[None, :, None].repeat(2, 0)
    dims = ["init_time", "lead_time", "variable", "rank"]
    coords = {"lead_time": np.array([24, 48]) * HOUR, "variable": ["q"]}
    statistics = xr.Dataset({"ranks": (dims, values)}, coords)
    return plots.Scored(name, Registry().scorer("rank-histogram"), statistics, **options)


def test_a_rank_histogram_shows_frequencies_over_what_is_right() -> None:
    one = plots.rank_histogram(_ranks("fgn", [0.5, 0.25, 0.25]), ax=_axes(), lead_time="1D")
    assert [bar.get_height() for bar in one.patches] == pytest.approx([1.5, 0.75, 0.75])
    assert one.get_title(loc="left") == "Rank histogram: day 1"
    assert one.get_ylim()[0] == 0
    scores = [_ranks("fgn", [0.5, 0.25, 0.25]), _ranks("oracle", [1 / 3] * 3, knows_law=True)]
    both = plots.rank_histogram(scores, ax=_axes(), lead_time=1)
    fgn, oracle = (container[0] for container in both.containers)
    assert list(fgn.get_ydata()) == pytest.approx([0.75, 0.75, 1.5])
    assert list(oracle.get_ydata()) == pytest.approx([1, 1, 1], abs=1e-4)
    assert oracle.get_color() == INK
    assert _legend(both) == ["fgn", "oracle"]


def test_a_curve_that_is_not_there_names_those_that_are() -> None:
    score = _ranks("fgn", [0.5, 0.5])
    with pytest.raises(
        GeobenchError, match=r"rank-histogram keeps the curve 'spectra'. They keep: r"
    ):
        plots.spectra(score)
    with pytest.raises(GeobenchError, match=r"no time '5D'. There are: 24h, 48h"):
        plots.rank_histogram(score, lead_time="5D")
    with pytest.raises(GeobenchError, match=r"no variable 'u'. There are: q"):
        plots.rank_histogram(score, variable="u")


class Miss(Scorer):
    """How far members are off."""

    name = "miss"
    sitewise = True

    def statistics(
        self, forecast: xr.DataArray, truth: xr.DataArray, context: Context
    ) -> xr.Dataset:
        return abs(forecast - truth).mean("member").to_dataset(name="miss")

    def metric(self, means: xr.Dataset) -> xr.Dataset:
        return means


def _mapped(name: str, values: np.ndarray[Any, Any], spec: StateSpec) -> plots.Scored:
    """Means of each cell `(lead_time, variable, *grid)`."""
    coords = {"lead_time": np.array([24, 48]) * HOUR, "variable": ["h"]}
    cells = xr.Dataset({"miss": (["lead_time", "variable", *spec.grid_dims], values)}, coords)
    return plots.Scored(name, Miss(maps=True), xr.Dataset(), cells, spec)


def test_a_score_map_shows_the_excess_of_every_cell_red_where_the_model_is_worse() -> None:
    dims = tuple(Dimension(name=name, size=2, spacing=1e4, units="m") for name in "yx")
    spec = StateSpec(variables=(Variable(name="h", units="m"),), dims=dims)
    values = np.arange(8.0).reshape(2, 1, 2, 2)
    model, law = _mapped("fgn", values, spec), _mapped("oracle", np.ones_like(values), spec)
    axes = plots.score_map(model, law, ax=_axes())
    (image,) = axes.get_images()
    assert np.array_equal(image.get_array(), values[1, 0] - 1)  # the last lead time
    assert image.norm.vmin == -image.norm.vmax
    assert axes.get_title(loc="left") == "day 2"
    assert axes.child_axes[0].get_ylabel() == "excess miss, m"
    assert axes.get_xlabel() == "x, km"
    alone = plots.score_map(model, ax=_axes(), lead_time="1D").get_images()[0]
    assert np.array_equal(alone.get_array(), values[0, 0])


def test_a_score_map_of_a_ring_shows_all_lead_times() -> None:
    spec = StateSpec(variables=(Variable(name="h"),), dims=(Dimension(name="x", size=3),))
    values = np.arange(6.0).reshape(2, 1, 3)
    axes = plots.score_map(_mapped("fgn", values, spec), ax=_axes())
    assert np.array_equal(axes.get_images()[0].get_array(), values[:, 0])
    assert axes.get_ylabel() == "lead time, days"


def test_scores_without_maps_say_how_to_have_them() -> None:
    with pytest.raises(GeobenchError, match=r"no value for each cell. Score with maps: true"):
        plots.score_map(_ranks("fgn", [0.5, 0.5]))


def test_the_page_on_plots_runs_and_lists_every_plot() -> None:
    page = (Path(__file__).parents[2] / "docs/plots.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/plots.md", "exec"), names)
    assert len(plt.get_fignums()) == 3  # the last draws on the axes that pyplot has
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.M))
    assert listed == set(plots.__all__) - {"Scored", "draw", "letter", "plottable"}
    assert names["axes"].get_xlabel() == "site, °E"


def test_what_a_notebook_sets_when_it_draws_first_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = plt.figure

    def first(**options: Any) -> Figure:
        mpl.rcParams["interactive"] = True  # as the backend of notebooks does when it is loaded
        return figure(**options)

    monkeypatch.setattr(plt, "figure", first)
    monkeypatch.setitem(mpl.rcParams, "interactive", False)
    values = xr.DataArray(np.zeros((3, 4)), dims=("time", "x"))
    plots.hovmoller(values)
    assert mpl.is_interactive()
    plt.close("all")
