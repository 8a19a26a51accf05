"""Plots of a board: skill by lead time, skill against cost, every model beside every other."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geobench.board.comparison import Comparison
from geobench.board.model import Board
from geobench.board.scorecard import scorecards
from geobench.board.text import lead_name, title
from geobench.contracts.scorer import IDEALS
from geobench.errors import GeobenchError
from geobench.plots import times
from geobench.plots.canvas import COLUMN, PAGE, canvas, name_axes, plain
from geobench.plots.chart import Chart
from geobench.plots.drawing import ABOVE, UNDER, draw
from geobench.plots.figures import COSTS, cost_chart, excess_chart, series_styles, skill_lines
from geobench.plots.styles import Style
from geobench.tables.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 6  # models that stand out, and that a column of a journal has room for
_OTHER = "#c9ced4"  # of models that do not stand out
_STRONG = 20.0  # per cent, from which on a cell has the full colour


def skill_by_lead(
    source: Board | Comparison,
    score: str | None = None,
    *,
    ax: "Axes | None" = None,
    models: Sequence[str] | None = None,
    legend: bool = True,
) -> "Axes":
    """Draw the skill of each model against lead time, with 95 % intervals; return the axes.

    0 is the baseline, 1 the true distribution. `score`: a column of the board; default: the one
    that ranks. `models`: labels of those to draw; default: all, the first six in colours.
    """
    board = _board(source)
    chart = skill_lines(board, _column(board, score))
    return draw(*_shown(board, chart, models), ax=ax, legend=legend)


def excess_by_lead(
    source: Board | Comparison,
    score: str | None = None,
    *,
    ax: "Axes | None" = None,
    models: Sequence[str] | None = None,
    legend: bool = True,
) -> "Axes":
    """Draw how much worse each model is than the true distribution; see `skill_by_lead`.

    A triangle: the interval reaches zero, so the excess is at most that.
    """
    board = _board(source)
    chart = excess_chart(board, _column(board, score))
    return draw(*_shown(board, chart, models), ax=ax, legend=legend)


def skill_against_cost(
    source: Board | Comparison,
    cost: str = "time per member",
    *,
    ax: "Axes | None" = None,
    models: Sequence[str] | None = None,
    legend: bool = True,
) -> "Axes":
    """Draw the mean excess over the true distribution against cost; lower left is better.

    `cost`: time per member, network evaluations, parameters or training.
    """
    board = _board(source)
    known = {name: (axis, value) for name, axis, value in COSTS}
    if cost not in known:
        raise GeobenchError(f"there is no cost '{cost}'. There are: {', '.join(known)}.")
    axis, value = known[cost]
    chart = cost_chart(board, replace(axis, log=True), value)
    return draw(*_shown(board, chart, models), ax=ax, legend=legend)


def pairwise(
    source: Comparison,
    score: str | None = None,
    *,
    ax: "Axes | None" = None,
    lead_time: Any = None,
) -> "Axes":
    """Draw by how many per cent each model (row) is better than each other (column).

    Coloured: significantly different at 95 %, by a paired test; blue where the row is better.
    `score`: one that has such pairs; default: the first. `lead_time`: such as "3D", or a place;
    default: the middle one.
    """
    import numpy as np

    board = source.board
    cards = {
        column: (card, i) for card in scorecards(source) for i, column in enumerate(card.columns)
    }
    if score is not None and score not in cards:
        raise GeobenchError(f"no pairs of '{score}'. There are: {', '.join(cards) or 'none'}.")
    if not cards:
        raise GeobenchError("no score of this board has pairs. Score with crps, for example.")
    name = score or next(iter(cards))
    card, column = cards[name]
    lead = times.place(np.array(board.lead_hours) * np.timedelta64(3600, "s"), lead_time)
    rows = range(len(board.rows))
    cells = [
        [
            (card.change(column, other, row)[lead], card.clear[column][other][row][lead])
            for other in rows
        ]
        for row in rows
    ]
    wide = len(board.rows) > _FEW
    size = {"width": PAGE if wide else COLUMN, "height": 1.2 + 0.22 * len(board.rows)}
    with canvas(ax, **size) as axes:
        _matrix(axes, cells, [title(board, row) for row in rows])
        axes.set_title(f"{name}, {lead_name(board, lead)}", loc="left")
        name_axes(axes, "how many per cent the row is better than this model", "")
        return axes


def _matrix(
    axes: "Axes", cells: Sequence[Sequence[tuple[float | None, bool]]], names: Sequence[str]
) -> None:
    """Write each cell; colour those that differ significantly."""
    from matplotlib.patches import Rectangle

    for row, line in enumerate(cells):
        for column, (value, clear) in enumerate(line):
            if row == column or value is None:
                continue
            strength = min(1.0, abs(value) / _STRONG) if clear else 0.0
            colour = ABOVE if value > 0 else UNDER
            alpha = 0.15 + 0.35 * strength if clear else 0.0
            axes.add_patch(Rectangle((column, row), 1, 1, color=colour, alpha=alpha, lw=0))
            axes.text(
                column + 0.5, row + 0.5, number(value, 1), ha="center", va="center",
                fontsize="small", color="black" if clear else "#6b7580",
            )  # fmt: skip
    places = [place + 0.5 for place in range(len(names))]
    shown = [plain(name) for name in names]
    axes.set_xticks(places, shown, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, shown)
    axes.set_xlim(0, len(names))
    axes.set_ylim(len(names), 0)
    axes.tick_params(length=0)
    axes.grid(visible=False)


def _board(source: Board | Comparison) -> Board:
    return source.board if isinstance(source, Comparison) else source


def _column(board: Board, score: str | None) -> int:
    """Return the place of a score that has an excess; default: the first."""
    places = {
        column.name: place
        for place, column in enumerate(board.columns)
        if column.better not in IDEALS
    }
    if score is not None and score not in places:  # as the scorer is called, in any case
        alike = [
            name
            for name in places
            if score.lower() in (name.lower(), board.columns[places[name]].scorer)
        ]
        score = alike[0] if alike else score
    if score is not None and score not in places:
        known = ", ".join(places)
        raise GeobenchError(f"there is no score '{score}' with skill. There are: {known}.")
    if not places:
        raise GeobenchError("no score of this board has a skill. Score with crps, for example.")
    return places[score] if score else next(iter(places.values()))


def _shown(board: Board, chart: Chart, models: Sequence[str] | None) -> tuple[Chart, list[Style]]:
    """Keep the series of some models, in their looks; of many, the first stand out from grey."""
    looks = series_styles(board)
    labels = [row.label for row in board.rows]
    unknown = [label for label in models or () if label not in labels]
    if unknown:
        known = ", ".join(dict.fromkeys(labels))
        raise GeobenchError(f"the board has no model '{unknown[0]}'. It has: {known}.")
    if models is not None:
        kept = [s for s in chart.series if s.row is None or labels[s.row] in models]
        return replace(chart, series=kept), looks
    candidates = dict.fromkeys(
        row.label for row in board.rows if not row.knows_law and row.label != board.baseline
    )
    others = {*list(candidates)[_FEW:]}
    grey = [s for s in chart.series if s.row is not None and labels[s.row] in others]
    unnamed = [replace(s, name="", low=(), high=(), most=()) for s in grey]
    unnamed[:1] = [replace(s, name="other models") for s in unnamed[:1]]
    other = Style("", _OTHER, "o" if chart.kind == "points" else "")
    looks = [other if label in others else look for label, look in zip(labels, looks, strict=True)]
    first = [series for series in chart.series if series not in grey]
    return replace(chart, series=[*unnamed, *first]), looks
