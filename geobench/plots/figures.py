"""The figures of a board: what is on it, and the curves that its scorers declare.

A function of a board that returns a `Figure`, listed in `_FIGURES`, is on every page and among the
figures for papers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from geobench.board.comparison import Comparison
from geobench.board.model import Board, Row
from geobench.board.text import title, units
from geobench.contracts.scorer import IDEALS
from geobench.plots import curves
from geobench.plots.chart import Axis, Chart, Figure, Series, finite
from geobench.plots.lead_axis import lead_axis, leads
from geobench.plots.styles import Style, styles
from geobench.statistics.estimates import Estimate

RANKING, COST = "ranking", "cost"
"""Sections of a page that are not those of a family of scores."""
COSTS: Sequence[tuple[str, Axis, Callable[[Row], float]]] = (
    ("time per member", Axis("time per member", "ms"), lambda row: 1e3 * row.seconds_per_member),
    ("network evaluations", Axis("network evaluations per step"), lambda row: row.evaluations),
    ("parameters", Axis("parameters of the network"), lambda row: float(row.parameters or 0)),
    ("training", Axis("training", "sample-passes"), lambda row: float(row.sample_passes or 0)),
)


def figures(board: Board, comparison: Comparison | None = None) -> list[Figure]:
    """Return every figure of a board; curves need the entries behind it."""
    made = [figure for make in _FIGURES if (figure := make(board))]
    return made + (curves.figures(comparison) if comparison else [])


def series_styles(board: Board) -> list[Style]:
    """Return the style of each row: colour and marker by model, line by seed."""
    return styles(
        [row.label for row in board.rows],
        [row.seed for row in board.rows],
        [title(board, index) for index in range(len(board.rows))],
        law={row.label for row in board.rows if row.knows_law},
        baseline=board.baseline,
    )


def excess(board: Board) -> Figure | None:
    """Excess over the oracle of each score that has one, against lead time."""
    return _figure(
        "excess",
        "Excess over the oracle by lead time",
        "How much worse than fresh draws of the truth, on the same cases; bars are 95 % intervals. "
        "The scale is logarithmic: where an interval reaches zero, a triangle stands at its upper "
        "end and says “at most this”.",
        [
            (column.name, excess_chart(board, index))
            for index, column in enumerate(board.columns)
            if column.better not in IDEALS
        ],
        RANKING,
        "Score",
    )


def excess_chart(board: Board, index: int) -> Chart:
    """Excess of a column by lead time; where its interval reaches zero, only its upper end."""
    column, lines = board.columns[index], []
    for row, cells in enumerate(column.cells):
        values = [cell.excess for cell in cells]
        most = [
            (day, value.high)
            for day, value in zip(leads(board.lead_hours), values, strict=True)
            if value.low <= 0 < value.high
        ]
        lines.append(_line(board, row, values, [value.low > 0 for value in values], most))
    y = Axis(f"excess {column.name}", units(column), log=True)
    return Chart(lead_axis(board.lead_hours), y, lines, cells=(index, "excess"))


def skill(board: Board) -> Figure | None:
    """Skill of each score that has one, by lead time."""
    return _figure(
        "skill",
        "Skill by lead time",
        f"0 is {board.baseline}, 1 is the true distribution. A dash: {board.baseline} is not "
        f"significantly worse than the true distribution, so that there is no skill.",
        [
            (column.name, _skill(board, index))
            for index, column in enumerate(board.columns)
            if column.better not in IDEALS
        ],
        RANKING,
        "Score",
    )


def _skill(board: Board, index: int) -> Chart:
    column, places = board.columns[index], leads(board.lead_hours)
    rows = [
        Series(
            title(board, row),
            row,
            places,
            finite(cell.skill.value if cell.skill else math.nan for cell in cells),
        )
        for row, cells in enumerate(column.cells)
    ]
    x = replace(lead_axis(board.lead_hours), ticks=places)
    return Chart(x, Axis(f"skill in {column.name}"), rows, kind="heat", cells=(index, "skill"))


def skill_lines(board: Board, index: int) -> Chart:
    """Skill of a column by lead time, with intervals; what is far below the baseline is cut off."""
    column = board.columns[index]
    rows = [
        _line(board, row, [cell.skill or _UNKNOWN for cell in cells], [True] * len(cells))
        for row, cells in enumerate(column.cells)
    ]
    least = min((y for series in rows for y in series.y if y is not None), default=0.0)
    y = Axis(f"skill in {column.name}", low=_WORST if least < _WORST else None)
    guides = [(0.0, ""), (1.0, "")]
    return Chart(lead_axis(board.lead_hours), y, rows, guides=guides)


def ideals(board: Board) -> Figure | None:
    """Scores that should be one or zero, against lead time."""
    return _figure(
        "ideals",
        "Scores with an ideal value, by lead time",
        "The dashed line is the ideal value; bars are 95 % intervals.",
        [
            (column.name, _values(board, index))
            for index, column in enumerate(board.columns)
            if column.better in IDEALS
        ],
        RANKING,
        "Score",
    )


def _values(board: Board, index: int) -> Chart:
    column = board.columns[index]
    lines = [
        _line(board, row, [cell.score for cell in cells], [True] * len(cells))
        for row, cells in enumerate(column.cells)
    ]
    return Chart(
        lead_axis(board.lead_hours),
        Axis(column.name, units(column)),
        lines,
        guides=[(float(IDEALS[column.better]), "")],
        cells=(index, "score"),
    )


def pareto(board: Board) -> Figure | None:
    """Mean excess against what a member, or the training, costs."""
    return _figure(
        "pareto",
        "Skill against cost",
        f"The {board.ranked_by}, averaged over lead times, with its 95 % interval, against what it "
        f"costs: lower left is better. The simulator itself, the numerical ensemble, is on the "
        f"same axes; where an interval reaches zero a triangle says “at most this”. Models without "
        f"such a cost are not shown. Times are those of the machine that drew the members.",
        [(name, cost_chart(board, replace(axis, log=True), cost)) for name, axis, cost in COSTS],
        COST,
        "Cost",
    )


def cost_chart(board: Board, axis: Axis, cost: Callable[[Row], float]) -> Chart:
    """Mean excess of each row over its cost, for those that have such a cost."""
    points = []
    for index, row in enumerate(board.rows):
        x, excess = cost(row), row.excess
        if not (x > 0 and math.isfinite(x)) or row.failed:
            continue
        clear = excess.low > 0
        points.append(
            Series(
                title(board, index),
                index,
                [x],
                finite([excess.value if clear else math.nan]),
                finite([excess.low]),
                finite([excess.high]),
                [(x, excess.high)] if not clear and excess.high > 0 else (),
            )
        )
    return Chart(axis, Axis("mean excess over the oracle", log=True), points, kind="points")


def _line(
    board: Board,
    row: int,
    values: Sequence[Estimate],
    shown: Sequence[bool],
    most: Sequence[tuple[float, float]] = (),
) -> Series:
    known = [v if yes else _UNKNOWN for v, yes in zip(values, shown, strict=True)]
    return Series(
        title(board, row),
        row,
        leads(board.lead_hours),
        finite(value.value for value in known),
        finite(value.low for value in known),
        finite(value.high for value in known),
        most,
    )


def _figure(
    key: str,
    title: str,
    caption: str,
    variants: Sequence[tuple[str, Chart]],
    section: str,
    choice: str,
) -> Figure | None:
    """Return a figure of the variants in which there is something to see; None: there is none."""
    seen = [(name, chart) for name, chart in variants if not chart.empty]
    return Figure(key, title, caption, seen, section, choice=choice) if seen else None


_WORST = -0.5  # skill, down to which lines are shown
_UNKNOWN = Estimate(math.nan, math.nan, math.nan)
_FIGURES = (excess, skill, ideals, pareto)
