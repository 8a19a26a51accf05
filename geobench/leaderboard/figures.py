"""Figures of a board, as SVG text to put into a page."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geobench.interfaces.scorer import IDEALS
from geobench.leaderboard.board import Board, Column
from geobench.plotting import COLOURS, MARKERS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _svg(draw: Callable[["Figure"], None], width: float = 6.4, height: float = 3.9) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Saved within the style: part of it is only looked at then.
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _days(board: Board) -> list[float]:
    return [hours / 24 for hours in board.lead_hours]


def _look(board: Board, row: int) -> dict[str, Any]:
    """Colour and marker by model, line by seed."""
    own = board.rows[row]
    labels = list(dict.fromkeys(each.label for each in board.rows))
    seeds = sorted({each.seed for each in board.rows})
    place = labels.index(own.label)
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
        "markersize": 5,
        "linestyle": ("-", "--", ":", "-.")[seeds.index(own.seed) % 4],
    }


def _title(board: Board, row: int) -> str:
    own = board.rows[row]
    several = sum(each.label == own.label for each in board.rows) > 1
    return f"{own.label} (seed {own.seed})" if several else own.label


def _label_axes(axes: "Axes", board: Board, title: str) -> None:
    days = _days(board)
    axes.set_xticks(days[:: -(-len(days) // 10)])
    axes.xaxis.set_major_formatter(lambda day, _: f"{day:g}")
    axes.set_xlabel("lead time, days")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
    axes.figure.legend(
        loc="outside lower center", ncols=5, frameon=False, fontsize=8.5, columnspacing=1.2
    )


def excess(board: Board, column: Column) -> str:
    """Excess over the reference against lead time, on a log scale.

    Where the interval reaches zero, its lower end cannot be drawn: an arrow points down from the
    upper end, "at most this".
    """

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.set_yscale("log")
        days = _days(board)
        for row, cells in enumerate(column.cells):
            look = _look(board, row)
            clear = [
                (day, c.excess) for day, c in zip(days, cells, strict=True) if c.excess.low > 0
            ]
            unclear = [
                (day, c.excess)
                for day, c in zip(days, cells, strict=True)
                if c.excess.low <= 0 < c.excess.high
            ]
            points = [each.value for _, each in clear]
            bars = [
                [each.value - each.low for _, each in clear],
                [each.high - each.value for _, each in clear],
            ]
            axes.errorbar(
                [day for day, _ in clear],
                points,
                bars,
                label=_title(board, row),
                capsize=2,
                linewidth=1.6,
                **look,
            )
            axes.plot(
                [day for day, _ in unclear],
                [each.high for _, each in unclear],
                linestyle="none",
                marker=r"$\downarrow$",
                markersize=9,
                color=look["color"],
            )
        _label_axes(axes, board, f"Excess {column.name} over the oracle (log scale; ↓ at most)")

    return _svg(draw)


def values(board: Board, column: Column) -> str:
    """A score against lead time, with the ideal value if it has one."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        if column.better in IDEALS:
            axes.axhline(IDEALS[column.better], color="#8a929c", linewidth=1, linestyle="--")
        for row, cells in enumerate(column.cells):
            days, scores = _days(board), [cell.score for cell in cells]
            axes.plot(
                days,
                [each.value for each in scores],
                label=_title(board, row),
                linewidth=1.6,
                **_look(board, row),
            )
            axes.fill_between(
                days,
                [each.low for each in scores],
                [each.high for each in scores],
                color=_look(board, row)["color"],
                alpha=0.15,
                linewidth=0,
            )
        ideal = f" ({IDEALS[column.better]} is best)" if column.better in IDEALS else ""
        _label_axes(axes, board, f"{column.name}{ideal}")

    return _svg(draw)
