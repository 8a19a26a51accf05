"""The picture of a description: one figure of six panels."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geobench.charts.styles import COLOURS, MATPLOTLIB
from geobench.description.measuring import EDGES, HORIZONS, Description
from geobench.difficulty import CALLED, ENOUGH, RIVALS, SCORES
from geobench.errors import GeobenchError
from geobench.film import PICTURE
from geobench.maps import panels, space_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#8a929c"
_CALLED = {"gaussian": "Gaussian", "shuffled": "shuffled"}


def check(path: Path) -> None:
    """Raise unless a picture of this name can be made."""
    if path.suffix.lower() not in PICTURE:
        raise GeobenchError(f"{path.name}: pictures end in {', '.join(PICTURE)}.")


def png(found: Description) -> bytes:
    """Draw the figure as a PNG."""
    drawn = io.BytesIO()
    picture(found, drawn)
    return drawn.getvalue()


def picture(found: Description, path: Path | io.BytesIO) -> None:
    """Write the figure to a file (.png, .svg or .pdf), or as a PNG into a buffer."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(12.5, 11), layout="constrained", dpi=110)
        figure.suptitle(found.title or found.name, x=0.01, ha="left", fontweight="bold")
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.75, 1), squeeze=False)[:, 0]
        axes = upper.subplots(2, 3)
        _density(axes[0, 0], found)
        _autocorrelation(axes[0, 1], found)
        _spread(axes[0, 2], found)
        _growth(axes[1, 0], found)
        _exponents(axes[1, 1], found)
        _difficulty(axes[1, 2], found)
        _sample(lower, found)
        figure.savefig(path)


def _titled(axes: "Axes", title: str, x: str, y: str = "") -> None:
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _density(axes: "Axes", found: Description) -> None:
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    for place, variable in enumerate(found.spec.variables):
        seen = np.where(found.density[place] > 0, found.density[place], np.nan)
        axes.plot(centres, seen, color=COLOURS[place % len(COLOURS)], label=variable.name)
    normal = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    axes.plot(centres, normal, color=_GREY, linestyle="--", label="normal")
    axes.set_yscale("log")
    axes.set_ylim(1e-6, 1)
    _titled(axes, "Climatological density", "anomaly, standard deviations")
    axes.legend(frameon=False)


def _autocorrelation(axes: "Axes", found: Description) -> None:
    days = np.arange(found.autocorrelation.shape[1]) * found.days
    for place, variable in enumerate(found.spec.variables):
        curve = found.autocorrelation[place]
        axes.plot(days, curve, color=COLOURS[place % len(COLOURS)], label=variable.name)
    axes.axhline(np.exp(-1), color=_GREY, linestyle="--", linewidth=1)
    axes.annotate("1/e", (days[-1], np.exp(-1)), va="bottom", ha="right", color=_GREY)
    _titled(axes, "Autocorrelation", "lag, days")
    if len(found.spec.variables) > 1:
        axes.legend(frameon=False)


def _spread(axes: "Axes", found: Description) -> None:
    spread = np.sqrt(found.variances)
    days = np.arange(1, spread.shape[1] + 1) * found.days
    low, high = np.quantile(spread, (0.1, 0.9), axis=0)
    axes.fill_between(days, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(days, np.sqrt(found.variances.mean(0)), color=COLOURS[0])
    for share in HORIZONS:
        place = found.horizons[share]
        axes.axhline(share, color=_GREY, linestyle="--", linewidth=1)
        if place:
            told = f"{100 * share:g} % on day {place.value * found.days:.3g}"
            axes.annotate(
                told, (days[-1], share), va="top", ha="right", color=_GREY,
                xytext=(0, -2), textcoords="offset points",
            )  # fmt: skip
    axes.set_ylim(0, None)
    axes.set_xlim(0, None)
    _titled(axes, "Spread of the law (band: 80 % of inits)", "lead, days", "climatological std")


def _growth(axes: "Axes", found: Description) -> None:
    days = np.arange(found.errors.shape[1]) * found.days
    sizes = np.maximum(found.errors, 1e-300)
    low, high = np.quantile(sizes, (0.1, 0.9), axis=0)
    axes.fill_between(days, low, high, color=COLOURS[1], alpha=0.2, linewidth=0)
    typical = np.exp(np.log(sizes).mean(0))
    axes.plot(days, typical, color=COLOURS[1])
    if found.growth:
        rate, first, last = found.growth.rate.value, found.growth.first, found.growth.last
        steps = np.array([first, last])
        line = typical[first] * np.exp(rate * (steps - first))
        axes.plot(steps * found.days, line, color="black", linestyle="--", label="rate measured")
        axes.legend(frameon=False, loc="lower right")
    axes.set_yscale("log")
    axes.set_ylim(max(1e-12, typical.min() / 3), 3)
    _titled(axes, "Small errors, same noise", "days", "climatological std")


def _exponents(axes: "Axes", found: Description) -> None:
    from matplotlib.ticker import MaxNLocator

    values = found.exponents.exponents
    place = np.arange(1, len(values) + 1)
    axes.axhline(0, color=_GREY, linewidth=1)
    axes.errorbar(
        place, values, 2 * found.exponents.errors, color=COLOURS[2], marker="o", markersize=3.5,
        linewidth=1, capsize=1.5,
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _titled(axes, "Lyapunov exponents", "number", "per day")


def _difficulty(axes: "Axes", found: Description) -> None:
    days = [card.lead * found.days for card in found.cards]
    for row, rival in enumerate(RIVALS):
        for column, score in enumerate(SCORES):
            if (rival, score) == ("shuffled", "crps"):
                continue  # exactly zero
            losses = [card.excess[rival][score].times(100) for card in found.cards]
            axes.errorbar(
                days,
                [each.value for each in losses],
                [[e.value - e.low for e in losses], [e.high - e.value for e in losses]],
                color=COLOURS[column],
                linestyle=("-", "--")[row],
                marker="os"[row],
                markersize=4,
                capsize=2,
                label=f"{_CALLED[rival]}: {CALLED[score]}",
            )
    axes.axhline(0, color=_GREY, linewidth=1)
    axes.axhline(100 * ENOUGH, color=_GREY, linewidth=1, linestyle=":")
    _titled(axes, "What part of the law is missed", "lead, days", "loss, % of the truth's score")
    axes.set_xticks(days)
    axes.legend(
        frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.16)
    )


def _sample(figure: "Figure", found: Description) -> None:
    if len(found.spec.dims) == 1:
        space_time(figure, found.sample.numpy(), found.spec, found.days, "A sample of the climate")
    else:
        panels(figure, found.sample.numpy(), found.spec, "A state of the climate")
