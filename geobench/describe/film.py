"""Pictures and films of fields: what a trajectory looks like.

One grid dim: place against time (a Hovmöller diagram). Two: a map of each variable. Colours are the
same in every frame.
"""

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geobench import plots
from geobench.board.text import lead_names
from geobench.contracts.model import Watch, unwatched
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import StateSpec, Variable
from geobench.errors import GeobenchError
from geobench.plots.canvas import COLUMN, PAGE
from geobench.plots.fields import coordinates, label, norm_of, of_states
from geobench.plots.styles import COLOURS, MATPLOTLIB

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

    from geobench.twin.dataset import Dataset

    Fields = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

ABREAST = 3  # maps side by side
_STRIP = 6  # maps in a strip of pictures
FILM, PICTURE = (".gif", ".mp4"), (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Shots:
    """What is shown: fields `(time, channel, *grid)`, one output step of `days` days apart."""

    fields: "Fields"
    spec: StateSpec
    days: float
    title: str
    frames: int = 120
    rate: int = 10

    @cached_property
    def names(self) -> list[str]:
        """Each time in words: day 3, or 6 h where not all are whole days."""
        return lead_names([round(24 * self.days * step, 6) for step in range(len(self.fields))])

    def by_variable(self) -> "list[xr.DataArray]":
        """Fields `(time, *grid)` of each variable; NaN on land."""
        return list(of_states(self.spec, self.fields, self.days).data_vars.values())


def shots(test: "xr.Dataset", simulator: Simulator, title: str) -> Shots:
    """Take the first trajectory of a test split `(trajectory, time, *grid)`.

    Fields among the simulator's diagnostics are shown beside the variables.
    """
    spec = simulator.spec
    there = tuple(variable for variable in spec.variables if variable.name in test)
    shown = spec.holding(there)
    fields = shown.values(test.isel(trajectory=0).load())
    if there == spec.variables:
        shown, fields = _with_diagnostics(simulator, fields)
    time = test["time"].to_numpy()
    return Shots(fields, shown, float((time[1] - time[0]) / np.timedelta64(1, "D")), title)


def _with_diagnostics(simulator: Simulator, fields: "Fields") -> "tuple[StateSpec, Fields]":
    import torch

    spec = simulator.spec
    known = [variable.name for variable in spec.variables]
    more = {
        name.replace("-", "_"): field.numpy()
        for name, field in simulator.diagnostics(torch.from_numpy(fields)).items()
        if name not in known and field.shape[1:] == spec.grid and not _copies(field.numpy(), fields)
    }
    variables = (*spec.variables, *(Variable(name=name) for name in more))
    together = np.concatenate([fields, *(field[:, None] for field in more.values())], 1)
    return spec.holding(variables), together


def _copies(field: "Fields", fields: "Fields") -> bool:
    """Whether a diagnostic `(time, *grid)` is a variable in other units: it would look the same."""
    anomaly = field.ravel() - field.mean()
    for channel in range(fields.shape[1]):
        other = fields[:, channel].ravel() - fields[:, channel].mean()
        size = float(np.linalg.norm(anomaly) * np.linalg.norm(other))
        if abs(float(anomaly @ other)) > 0.9999 * size:
            return True
    return False


def draw(dataset: "Dataset", path: Path, watch: Watch = unwatched) -> None:
    """Draw the first test trajectory: a film or a picture, by the ending of `path`."""
    with dataset.entry.reading():
        shown = shots(dataset.entry.open("test"), dataset.simulator, str(dataset.entry.reference))
    with watch(f"draw {path.name}"):
        save(shown, path)


def check(path: Path) -> None:
    """Raise unless a film or a picture of this name can be made here."""
    kinds = (*FILM, *PICTURE)
    if path.suffix.lower() not in kinds:
        raise GeobenchError(f"{path.name}: pictures and films end in {', '.join(kinds)}.")
    if path.suffix.lower() == ".mp4" and not shutil.which("ffmpeg"):
        raise GeobenchError(
            f"{path.name}: .mp4 needs the program ffmpeg, which is not here. Install it, or name a "
            f".gif."
        )


def save(shown: Shots, path: Path) -> None:
    """Write a film or a strip of pictures, by the ending of `path`."""
    import matplotlib as mpl

    check(path)
    if len(shown.spec.dims) > 2:
        raise GeobenchError(f"{len(shown.spec.dims)} grid dims cannot be drawn; one or two can.")
    with mpl.rc_context(MATPLOTLIB):
        if path.suffix.lower() in PICTURE:
            _strip(shown, path)
        else:
            _film(shown, path)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=160)


def _strip(shown: Shots, path: Path) -> None:
    """Hovmöller diagrams of one grid dim, side by side; or maps, variables down and times along."""
    if len(shown.spec.dims) == 1:
        count = len(shown.spec.variables)
        figure = _figure(min(2 * PAGE, max(COLUMN * count, 3 + len(shown.fields) / 40)), 2.6)
        panels = figure.subplots(1, count, squeeze=False)[0]
        for axes, field in zip(panels, shown.by_variable(), strict=True):
            plots.hovmoller(field, ax=axes, time_axis="x")
        _head(figure, shown.title, panels)
    else:
        figure = _map_strip(shown)
    figure.savefig(path)


def _map_strip(shown: Shots) -> "Figure":
    count = len(shown.spec.variables)
    times = np.unique(np.linspace(0, len(shown.fields) - 1, _STRIP).round().astype(int))
    size = _panel(shown.spec, 1.4)
    figure = _figure(1.4 * len(times) + 1.1, (size + 0.3) * count + 0.6)
    grid = figure.subplots(count, len(times), squeeze=False)
    for row, field in enumerate(shown.by_variable()):
        norm = norm_of(field.to_numpy()[np.isfinite(field)])
        for column, time in enumerate(times):
            axes = grid[row, column]
            last = column == len(times) - 1
            when = "" if row else shown.names[time]
            plots.map(field[time], ax=axes, norm=norm, colorbar=last, title=when)
            if row < count - 1:
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
            if column:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
    _head(figure, shown.title, grid.flat)
    return figure


def _panel(spec: StateSpec, width: float) -> float:
    """Height of a map that is so wide, inches."""
    high, wide = (dim.size * dim.spacing for dim in spec.dims)
    return width * min(3.0, max(1 / 3, high / wide))


def _head(figure: "Figure", title: str, panels: "Iterable[Axes]") -> None:
    """Write the title; give letters to several panels."""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=9)
    several = list(panels)
    if len(several) > 1:
        plots.letter(several)


def _film(shown: Shots, path: Path) -> None:
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

    every = math.ceil(len(shown.fields) / shown.frames)
    times = range(0, len(shown.fields), every)
    figure, update = _line_film(shown) if len(shown.spec.dims) == 1 else _map_film(shown)
    writer = (PillowWriter if path.suffix.lower() == ".gif" else FFMpegWriter)(fps=shown.rate)
    film = FuncAnimation(figure, update, frames=list(times), blit=False)
    film.save(path, writer=writer)


def _line_film(shown: Shots) -> "tuple[Figure, Any]":
    """The state as a line, above the diagram that it draws."""
    count, fields = len(shown.spec.variables), shown.by_variable()
    figure = _figure(COLUMN * count, 4.4)
    grid = figure.subplots(2, count, squeeze=False, height_ratios=(1, 1.6), sharex="col")
    lines, images = [], []
    for (above, below), field in zip(grid.T, fields, strict=True):
        norm = norm_of(field.to_numpy())
        (line,) = above.plot(
            coordinates(field, field.dims[1])[0], field[0], color=COLOURS[0], marker="."
        )
        above.set_ylim(norm.vmin, norm.vmax)
        above.set_ylabel(label(field))
        plots.hovmoller(field, ax=below, norm=norm)
        lines.append(line)
        images.append(below.get_images()[0])

    def update(time: int) -> None:
        _at(figure, shown, time)
        so_far = np.arange(len(shown.fields))[:, None] <= time
        for line, image, field in zip(lines, images, fields, strict=True):
            line.set_ydata(field[time])
            image.set_data(np.where(so_far, field, np.nan))

    return figure, update


def _map_film(shown: Shots) -> "tuple[Figure, Any]":
    """Maps of all variables, side by side."""
    fields = shown.by_variable()
    figure = maps(shown, 0)
    images = [axes.get_images()[0] for axes in figure.axes if axes.get_images()]

    def update(time: int) -> None:
        _at(figure, shown, time)
        for image, field in zip(images, fields, strict=True):
            image.set_data(np.ma.masked_invalid(field[time]))

    return figure, update


def maps(shown: Shots, time: int) -> "Figure":
    """Draw a map of each variable at one time, in the colours of all times."""
    count = len(shown.spec.variables)
    width, height = min(count, ABREAST), -(-count // ABREAST)
    figure = _figure(2.5 * width, (_panel(shown.spec, 1.6) + 0.7) * height + 0.3)
    draw_maps(figure, shown, time)
    plots.letter(figure.axes[:count])
    return figure


def draw_maps(figure: "FigureBase", shown: Shots, time: int) -> None:
    """Draw them into a figure, or a part of one."""
    count = len(shown.spec.variables)
    grid = figure.subplots(-(-count // ABREAST), min(count, ABREAST), squeeze=False)
    for axes, field in zip(grid.flat, shown.by_variable(), strict=False):
        norm = norm_of(field.to_numpy()[np.isfinite(field)])
        plots.map(field[time], ax=axes, norm=norm, title="")
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")


def _at(figure: "Figure", shown: Shots, time: int) -> None:
    text = f"{shown.title}, {shown.names[time]}"
    figure.suptitle(text, x=0.01, ha="left", fontweight="bold", fontsize=9)
