"""Charts of what is on the board: excess and scores against lead time, skill against cost."""

import math
from collections.abc import Callable, Sequence

from geobench.interfaces.scorer import IDEALS
from geobench.leaderboard.board import Board, Row
from geobench.leaderboard.charts import Chart, Figure, Line, Number, finite
from geobench.leaderboard.estimates import Estimate
from geobench.leaderboard.looks import title
from geobench.leaderboard.text import units

_COSTS: Sequence[tuple[str, str, Callable[[Row], float]]] = (
    ("time per member", "time per member, ms", lambda row: 1e3 * row.seconds_per_member),
    ("network evaluations", "network evaluations per step", lambda row: row.evaluations),
    ("parameters", "parameters of the network", lambda row: float(row.parameters or 0)),
    ("training", "training, sample-passes", lambda row: float(row.sample_passes or 0)),
)


def days(board: Board) -> list[float]:
    """Lead times, days."""
    return [hours / 24 for hours in board.lead_hours]


def ticks(board: Board) -> list[float]:
    """Ten lead times at most, to write at an axis."""
    own = days(board)
    return own[:: -(-len(own) // 10)]


def excess(board: Board) -> Figure | None:
    """Excess over the oracle of each score that has one, against lead time."""
    variants = [
        (column.name, _excess(board, place))
        for place, column in enumerate(board.columns)
        if column.better not in IDEALS
    ]
    return _figure(
        "excess",
        "Excess over the oracle by lead time",
        "How much worse than fresh draws of the truth, on the same cases; bars are 95 % intervals. "
        "The scale is logarithmic: where an interval reaches zero, a triangle stands at its upper "
        "end and says “at most this”.",
        variants,
        "Score",
    )


def _excess(board: Board, place: int) -> Chart:
    column, lines = board.columns[place], []
    for row, cells in enumerate(column.cells):
        clear = [cell.excess.low > 0 for cell in cells]
        each = [cell.excess for cell in cells]
        most = [
            (day, own.high)
            for day, own in zip(days(board), each, strict=True)
            if own.low <= 0 < own.high
        ]
        lines.append(_line(board, row, each, shown=clear, most=most))
    return Chart(
        "lead time, days",
        f"excess {column.name}{units(column)}",
        lines,
        y_log=True,
        x_ticks=ticks(board),
        cells=(place, "excess"),
    )


def ideals(board: Board) -> Figure | None:
    """Scores that should be one or zero, against lead time."""
    variants = [
        (column.name, _values(board, place))
        for place, column in enumerate(board.columns)
        if column.better in IDEALS
    ]
    return _figure(
        "ideals",
        "Scores with an ideal value, by lead time",
        "The dashed line is the ideal value; bars are 95 % intervals.",
        variants,
        "Score",
    )


def _values(board: Board, place: int) -> Chart:
    column = board.columns[place]
    lines = [
        _line(board, row, [cell.score for cell in cells], shown=[True] * len(cells))
        for row, cells in enumerate(column.cells)
    ]
    return Chart(
        "lead time, days",
        f"{column.name}{units(column)}",
        lines,
        x_ticks=ticks(board),
        ideal=float(IDEALS[column.better]),
        cells=(place, "score"),
    )


def pareto(board: Board) -> Figure | None:
    """Mean excess against what a member, or the training, costs."""
    variants = [(name, _pareto(board, label, cost)) for name, label, cost in _COSTS]
    return _figure(
        "pareto",
        "Skill against cost",
        f"The {board.ranked_by}, averaged over lead times, with its 95 % interval, against what it "
        f"costs: lower left is better. The simulator itself, the numerical ensemble, is on the "
        f"same axes; where an interval reaches zero a triangle says “at most this”. Models without "
        f"such a cost are not shown. Times are those of the machine that drew the members.",
        variants,
        "Cost",
    )


def _pareto(board: Board, label: str, cost: Callable[[Row], float]) -> Chart:
    lines = []
    for place, row in enumerate(board.rows):
        x = cost(row)
        if not (x > 0 and math.isfinite(x)) or row.failed:
            continue
        own, clear = row.excess, row.excess.low > 0
        lines.append(
            Line(
                title(board, place),
                place,
                [x],
                finite([own.value if clear else math.nan]),
                finite([own.low]),
                finite([own.high]),
                [(x, own.high)] if not clear and own.high > 0 else (),
            )
        )
    return Chart(
        label, "mean excess over the oracle", lines, x_log=True, y_log=True, marks="points"
    )


def _line(
    board: Board,
    row: int,
    each: Sequence[Estimate],
    *,
    shown: Sequence[bool],
    most: Sequence[tuple[float, float]] = (),
) -> Line:
    def drawn(values: Sequence[float]) -> list[Number]:
        told = [v if yes else math.nan for v, yes in zip(values, shown, strict=True)]
        return finite(told)

    return Line(
        title(board, row),
        row,
        days(board),
        drawn([own.value for own in each]),
        drawn([own.low for own in each]),
        drawn([own.high for own in each]),
        most,
    )


def _figure(
    key: str, title: str, caption: str, variants: Sequence[tuple[str, Chart]], choice: str
) -> Figure | None:
    seen = [each for each in variants if not each[1].empty]
    return Figure(key, title, caption, seen, choice=choice) if seen else None
