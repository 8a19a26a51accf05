"""Plots of a board show its numbers; papers, descriptions and notebooks share one drawing."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from geobench import GeobenchError, plots
from geobench.board.comparison import Comparison
from geobench.board.ranking import ranking
from geobench.board.scorecard import scorecards
from geobench.board.text import lead_names
from geobench.nodes.engine import Engine
from geobench.plots import drawing, figures, paper
from geobench.plots.styles import GREY, INK
from geobench.registry import Registry
from geobench.study import compare
from geobench.study.file import read_study
from geobench.study.graph import StudyGraph
from geobench_catalog import Catalog


@pytest.fixture
def comparison(ran: Path, study: Path) -> Comparison:
    registry = Registry()
    graph = StudyGraph(read_study(study, ()), registry)
    (made,) = compare.boards(graph, Engine(Catalog(ran), registry)).comparisons
    return made


def _axes() -> Axes:
    return Figure().add_subplot()


def _lines(axes: Axes) -> dict[str, Any]:
    return {str(drawn.get_label()): drawn[0] for drawn in axes.containers}  # type: ignore[index]


def test_skill_by_lead_shows_the_skill_of_every_row(comparison: Comparison) -> None:
    board = comparison.board
    axes = plots.skill_by_lead(comparison, ax=_axes())
    lines = _lines(axes)
    assert list(lines) == [row.label for row in board.rows]
    for row, cells in zip(board.rows, board.columns[0].cells, strict=True):
        skills = [cell.skill.value for cell in cells if cell.skill]
        assert list(lines[row.label].get_ydata()) == pytest.approx(skills, rel=1e-3)
    assert list(lines["fgn"].get_xdata()) == [1, 2, 3]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lead time, days", "skill in CRPS")
    assert (lines["oracle"].get_color(), lines["climatology"].get_color()) == (INK, GREY)


def test_some_models_keep_their_looks(comparison: Comparison) -> None:
    every = _lines(plots.excess_by_lead(comparison.board, ax=_axes()))
    some = _lines(plots.excess_by_lead(comparison.board, ax=_axes(), models=["fm"]))
    assert list(some) == ["fm"]
    assert some["fm"].get_color() == every["fm"].get_color()
    with pytest.raises(GeobenchError, match=r"no model 'x'. It has: "):
        plots.skill_by_lead(comparison, models=["x"])
    with pytest.raises(GeobenchError, match=r"no score 'spread/skill' with skill. There are: CRPS"):
        plots.skill_by_lead(comparison, "spread/skill")


def test_skill_against_cost_has_a_point_for_each_model_that_costs(comparison: Comparison) -> None:
    axes = plots.skill_against_cost(comparison, "parameters", ax=_axes())
    rows = {row.label: row for row in comparison.board.rows}
    lines = _lines(axes)
    assert set(lines) == {"fgn", "fm"}
    for label, line in lines.items():
        assert list(line.get_xdata()) == [rows[label].parameters]
        assert list(line.get_ydata()) == pytest.approx([rows[label].excess.value], rel=1e-3)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    with pytest.raises(GeobenchError, match=r"no cost 'money'. There are: time per member, "):
        plots.skill_against_cost(comparison, "money")


def test_a_pairwise_matrix_holds_the_scorecard_and_colours_what_is_significant(
    comparison: Comparison,
) -> None:
    (card,) = scorecards(comparison)
    axes = plots.pairwise(comparison, ax=_axes(), lead_time="3D")
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    colours = {patch.get_xy(): to_hex(patch.get_facecolor()) for patch in axes.patches}
    count = len(comparison.board.rows)
    for row in range(count):
        for other in range(count):
            if row == other:
                assert (other + 0.5, row + 0.5) not in shown
                continue
            value = card.change(0, other, row)[2]
            assert value is not None
            assert shown[other + 0.5, row + 0.5] == f"{value:,.1f}".replace("-", "−")
            assert colours[other, row] == (drawing.ABOVE if value > 0 else drawing.UNDER)
            patch = next(patch for patch in axes.patches if patch.get_xy() == (other, row))
            assert (patch.get_alpha() > 0) == card.clear[0][other][row][2]
    assert axes.get_title(loc="left") == "CRPS, day 3"
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        row.label for row in comparison.board.rows
    ]


def test_curves_of_a_comparison_are_means_over_its_cases(comparison: Comparison) -> None:
    axes = plots.curve(comparison, "spread", ax=_axes())
    index = [scorer.name for scorer in comparison.scorers].index("spread-skill")
    lines = _lines(axes)
    for row, competitor in zip(comparison.board.rows, comparison.competitors, strict=True):
        means = competitor.statistics(index).mean("init_time").isel(variable=0)
        assert list(lines[row.label].get_ydata()) == pytest.approx(
            np.sqrt(means["spread"].values), rel=1e-4
        )


def test_a_plume_of_a_forecast_knows_its_truth(comparison: Comparison, ran: Path) -> None:
    engine = Engine(Catalog(ran), Registry())
    forecast, law = (
        engine.forecast(competitor.forecast)
        for competitor in (comparison.competitors[1], comparison.reference)
    )
    axes = plots.plume(forecast, law, ax=_axes(), init=3, site=7)
    members = forecast.members["q"].isel(init_time=3, x=7).transpose("lead_time", "member").load()
    assert list(axes.lines[2].get_ydata()) == pytest.approx(np.median(members, 1))
    assert list(axes.lines[3].get_ydata()) == pytest.approx(
        forecast.outcome()["q"].isel(init_time=3, x=7).values
    )


def test_a_state_of_a_dataset_is_its_first_test_trajectory(
    comparison: Comparison, ran: Path
) -> None:
    dataset = Engine(Catalog(ran), Registry()).dataset(comparison.dataset)
    axes = plots.state(dataset, ax=_axes())
    expected = comparison.dataset.load("test")["q"].isel(trajectory=0)
    assert np.array_equal(axes.get_images()[0].get_array(), expected)


def test_papers_and_notebooks_draw_with_one_function(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []
    guides: Callable[..., None] = drawing._guides

    @functools.wraps(guides)
    def spy(axes: Axes, chart: object) -> None:
        drawn.append(chart)
        guides(axes, chart)

    monkeypatch.setattr(drawing, "_guides", spy)
    plots.excess_by_lead(comparison, ax=_axes())
    (chart,) = drawn
    files = paper.save_all(comparison, tmp_path)
    assert drawn.count(chart) == 3  # again for SVG and PDF
    made = figures.figures(comparison.board, comparison)
    names = {f"tiny-{figure.key}.{ending}" for figure in made for ending in ("svg", "pdf")}
    assert {file.name for file in files} == {*names, "tiny-captions.md"}
    captions = (tmp_path / "tiny-captions.md").read_text("utf-8")
    assert all(f"## tiny-{figure.key}\n" in captions for figure in made)


def test_a_figure_for_papers_is_a_column_wide_and_has_no_title(
    comparison: Comparison, tmp_path: Path
) -> None:
    paper.save_all(comparison, tmp_path)
    text = (tmp_path / "tiny-excess.svg").read_text("utf-8")
    assert 'width="240.9' in text  # points: 85 mm
    assert "Excess over the oracle by lead time" not in text


def test_leads_of_hours_are_headed_in_hours(comparison: Comparison) -> None:
    board = comparison.board
    assert lead_names([24.0, 72.0]) == ["day 1", "day 3"]
    assert lead_names([6.0, 24.0]) == ["6 h", "24 h"]
    board.lead_hours = [6.0, 12.0, 18.0]
    table = ranking(board)
    assert [column.heading for column in table.columns][4:7] == ["6 h", "12 h", "18 h"]
    assert "N h: skill in CRPS" in table.notes[0]
    axes = plots.skill_by_lead(board, ax=_axes())
    assert axes.get_xlabel() == "lead time, hours"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["6", "12", "18"]


def test_of_many_models_six_stand_out_from_grey_ones(comparison: Comparison) -> None:
    board = comparison.board
    first = next(index for index, row in enumerate(board.rows) if row.label == "fgn")
    for number in range(8):
        board.rows.append(dataclasses.replace(board.rows[first], label=f"model-{number}"))
        for column in board.columns:
            column.cells.append(column.cells[first])
    axes = plots.skill_by_lead(board, ax=_axes())
    legend = axes.get_legend()
    assert legend
    assert [text.get_text() for text in legend.get_texts()] == [
        "other models", "oracle", *(row.label for row in board.rows[1:4]),
        "model-0", "model-1", "model-2", "model-3",
    ]  # fmt: skip
    colours = [drawn[0].get_color() for drawn in axes.containers]  # type: ignore[index]
    assert colours[:4] == ["#c9ced4"] * 4
    assert "#c9ced4" not in colours[4:]
    assert len(set(_lines(plots.skill_by_lead(board, ax=_axes(), models=["model-7"])))) == 1
