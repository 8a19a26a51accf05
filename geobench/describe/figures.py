"""The picture of a description: one figure of its charts, and a sample of the climate."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geobench import plots
from geobench.describe.difficulty import CALLED, ENOUGH, RIVALS, SCORES
from geobench.describe.film import PICTURE, Shots, draw_maps
from geobench.describe.measuring import EDGES, HORIZONS, Description
from geobench.errors import GeobenchError
from geobench.plots.canvas import PAGE
from geobench.plots.chart import Axis, Chart, Series, finite
from geobench.plots.lead_axis import lead_axis, leads
from geobench.plots.styles import COLOURS, INK, MATPLOTLIB, Style

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

_CALLED = {"gaussian": "Gaussian", "shuffled": "shuffled"}
_ACROSS = 2  # charts in a row
_CHART, _SAMPLE = 2.4, 2.3  # inches, height of a row of charts and of the sample
_LINES = [Style("", colour, "") for colour in COLOURS]
_STD = "climate's sd"


def check(path: Path) -> None:
    """Raise unless a picture of this name can be made."""
    if path.suffix.lower() not in PICTURE:
        raise GeobenchError(f"{path.name}: pictures end in {', '.join(PICTURE)}.")


def png(description: Description) -> bytes:
    """Draw the figure as a PNG."""
    drawn = io.BytesIO()
    picture(description, drawn)
    return drawn.getvalue()


def picture(description: Description, path: Path | io.BytesIO) -> None:
    """Write the figure to a file (.png, .svg or .pdf), or as a PNG into a buffer."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn = charts(description)
    rows = -(-len(drawn) // _ACROSS)
    with mpl.rc_context(MATPLOTLIB):
        height = _CHART * rows + _SAMPLE
        figure = Figure(figsize=(PAGE, height), layout="constrained", dpi=160)
        figure.suptitle(
            description.title or description.name, x=0.01, ha="left", fontweight="bold", fontsize=9
        )
        heights = (_CHART * rows, _SAMPLE)
        upper, lower = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
        panels = upper.subplots(rows, _ACROSS)
        for axes, (title, chart, styles) in zip(panels.flat, drawn, strict=True):
            plots.draw(chart, styles, ax=axes, title=title)
        _sample(lower, description)
        plots.letter([*panels.flat, *(axes for axes in lower.axes if axes.axison)])
        figure.savefig(path)


def charts(description: Description) -> list[tuple[str, Chart, list[Style]]]:
    """The charts, each with its title and the styles of its series."""
    return [
        ("Climatological density", _density(description), _LINES),
        ("Autocorrelation", _autocorrelation(description), _LINES),
        ("Spread (band: 80 % of inits)", _spread(description), _LINES),
        ("Small errors, same noise", _growth(description), [_LINES[1], Style("", INK, "", "--")]),
        ("Lyapunov exponents", _exponents(description), [Style("", COLOURS[2])]),
        ("What part of the law is missed", _difficulty(description), _rivals()),
    ]


def _density(description: Description) -> Chart:
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    lines = []
    for index, variable in enumerate(description.spec.variables):
        seen = np.where(description.density[index] > 0, description.density[index], np.nan)
        lines.append(Series(variable.name, index % len(COLOURS), centres.tolist(), finite(seen)))
    normal = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    lines.append(Series("normal", None, centres.tolist(), finite(normal)))
    x, y = Axis("anomaly", "standard deviations"), Axis("density", log=True, low=1e-6, high=1)
    return Chart(x, y, lines)


def _autocorrelation(description: Description) -> Chart:
    days = (np.arange(description.autocorrelation.shape[1]) * description.days).tolist()
    lines = [
        Series(
            variable.name, index % len(COLOURS), days, finite(description.autocorrelation[index])
        )
        for index, variable in enumerate(description.spec.variables)
    ]
    return Chart(
        Axis("lag", "days"), Axis("autocorrelation"), lines, guides=[(float(np.exp(-1)), "1/e")]
    )


def _spread(description: Description) -> Chart:
    spread = np.sqrt(description.variances)
    days = (np.arange(1, spread.shape[1] + 1) * description.days).tolist()
    low, high = np.quantile(spread, (0.1, 0.9), axis=0)
    typical = np.sqrt(description.variances.mean(0))
    line = Series("", 0, days, finite(typical), finite(low), finite(high), band=True)
    guides = []
    for share in HORIZONS:
        reached = description.horizons[share]
        words = (
            f"{100 * share:g} % on day {reached.value * description.days:.3g}" if reached else ""
        )
        guides.append((share, words))
    return Chart(
        Axis("lead time", "days", low=0), Axis("spread", _STD, low=0), [line], guides=guides
    )


def _growth(description: Description) -> Chart:
    days = np.arange(description.errors.shape[1]) * description.days
    sizes = np.maximum(description.errors, 1e-300)
    low, high = np.quantile(sizes, (0.1, 0.9), axis=0)
    typical = np.exp(np.log(sizes).mean(0))
    lines = [
        Series("errors", 0, days.tolist(), finite(typical), finite(low), finite(high), band=True)
    ]
    if description.growth:
        rate, first, last = (
            description.growth.rate.value,
            description.growth.first,
            description.growth.last,
        )
        steps = np.array([first, last])
        line = typical[first] * np.exp(rate * (steps - first))
        lines.append(Series("rate measured", 1, (steps * description.days).tolist(), finite(line)))
    y = Axis("error", _STD, log=True, low=max(1e-12, float(typical.min()) / 3), high=3)
    return Chart(Axis("time", "days"), y, lines)


def _exponents(description: Description) -> Chart:
    values, errors = description.exponents.exponents, 2 * description.exponents.errors
    numbers = list(range(1, len(values) + 1))
    line = Series("", 0, numbers, finite(values), finite(values - errors), finite(values + errors))
    x = Axis("number", ticks=numbers[:: -(-len(numbers) // 10)])
    return Chart(x, Axis("Lyapunov exponent", "per day"), [line], guides=[(0.0, "")])


def _rivals() -> list[Style]:
    """A colour for each score, a marker and a line for each rival."""
    return [
        Style("", COLOURS[column], "os"[row], ("-", "--")[row])
        for row in range(len(RIVALS))
        for column in range(len(SCORES))
    ]


def _difficulty(description: Description) -> Chart:
    hours = [round(24 * card.lead * description.days, 6) for card in description.cards]
    lines = []
    for row, rival in enumerate(RIVALS):
        for column, score in enumerate(SCORES):
            if (rival, score) == ("shuffled", "crps"):
                continue  # exactly zero
            losses = [card.excess[rival][score].times(100) for card in description.cards]
            values, low, high = (finite(numbers) for numbers in zip(*losses, strict=True))
            name, style = f"{_CALLED[rival]}: {CALLED[score]}", row * len(SCORES) + column
            lines.append(Series(name, style, leads(hours), values, low, high))
    guides = [(0.0, ""), (100 * ENOUGH, "")]
    y = Axis("loss", "% of the truth's score")
    return Chart(lead_axis(hours), y, lines, guides=guides)


def _sample(figure: "SubFigure", description: Description) -> None:
    """Draw a trajectory of one grid dim, or a state of two."""
    spec, days = description.spec, description.days
    shown = Shots(description.sample.numpy(), spec, days, "")
    if len(spec.dims) == 2:
        draw_maps(figure, shown, -1)
        return
    panels = figure.subplots(1, len(spec.variables), squeeze=False)[0]
    for axes, field in zip(panels, shown.by_variable(), strict=True):
        plots.hovmoller(field, ax=axes, time_axis="x", title="A sample of the climate")
