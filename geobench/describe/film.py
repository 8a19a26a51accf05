"""Pictures and films of fields: what a trajectory looks like.

One grid dim: place against time (a Hovmöller diagram). Two: a map of each variable. Colours are the
same in every frame.
"""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geobench.plots.maps import (
    ABREAST,
    colours,
    draw_map,
    label,
    panels,
    ruler,
    scales,
    space_time,
)
from geobench.plots.styles import COLOURS, MATPLOTLIB
from geobench.contracts.model import Watch, unwatched
from geobench.contracts.simulator import Simulator
from geobench.contracts.state import StateSpec, Variable
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from geobench.twin.dataset import Dataset

    Fields = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

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

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _strip(shown: Shots, path: Path) -> None:
    if len(shown.spec.dims) == 1:
        wide = min(16.0, 5 + len(shown.fields) / 20)
        figure = _figure(wide * len(shown.spec.variables) ** 0.5, 3.8)
        space_time(figure, shown.fields, shown.spec, shown.days, shown.title)
    else:
        figure = _map_strip(shown)
    figure.savefig(path)


def _map_strip(shown: Shots) -> "Figure":
    """Variables down, times along."""
    count = len(shown.spec.variables)
    times = np.unique(np.linspace(0, len(shown.fields) - 1, _STRIP).round().astype(int))
    norms = scales(shown.fields, shown.spec.sea)
    figure = _figure(2.5 * len(times) + 1.2, 2.5 * count + 0.6)
    grid = figure.subplots(count, len(times), squeeze=False)
    for channel, variable in enumerate(shown.spec.variables):
        for column, time in enumerate(times):
            field = shown.fields[time, channel]
            axes = grid[channel, column]
            image = draw_map(axes, field, shown.spec, norms[channel], first=column == 0)
            if channel < count - 1:
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
            if channel == 0:
                axes.set_title(f"day {time * shown.days:g}", fontsize=10)
        figure.colorbar(image, ax=grid[channel], label=label(variable), extend="both", pad=0.01)
    figure.suptitle(shown.title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return figure


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
    count, dim = len(shown.spec.variables), shown.spec.dims[0]
    norms = scales(shown.fields, shown.spec.sea)
    figure = _figure(6.4 * count**0.5, 6.4)
    grid = figure.subplots(2, count, squeeze=False, height_ratios=(1, 1.4), sharex="col")
    name, spacing = ruler(dim)
    positions = np.arange(dim.size) * spacing
    lines, images = [], []
    for channel, variable in enumerate(shown.spec.variables):
        above, below = grid[:, channel]
        (line,) = above.plot(positions, shown.fields[0, channel], color=COLOURS[0], marker=".")
        above.set_ylim(norms[channel].vmin, norms[channel].vmax)
        above.set_ylabel(label(variable))
        image = below.imshow(
            np.full((len(shown.fields), dim.size), np.nan),
            cmap=colours(norms[channel]),
            norm=norms[channel],
            aspect="auto",
            interpolation="nearest",
            extent=(-0.5 * spacing, (dim.size - 0.5) * spacing, len(shown.fields) * shown.days, 0),
        )
        below.grid(visible=False)
        below.set_xlabel(name)
        below.set_ylabel("time, days")
        figure.colorbar(image, ax=below, label=label(variable), extend="both", pad=0.01)
        lines.append(line)
        images.append(image)

    def update(time: int) -> None:
        _head(figure, shown, time)
        so_far = np.arange(len(shown.fields))[:, None] <= time
        for channel, (line, image) in enumerate(zip(lines, images, strict=True)):
            line.set_ydata(shown.fields[time, channel])
            image.set_data(np.where(so_far, shown.fields[:, channel], np.nan))

    return figure, update


def _map_film(shown: Shots) -> "tuple[Figure, Any]":
    count = len(shown.spec.variables)
    width, height = min(count, ABREAST), -(-count // ABREAST)
    figure = _figure(4.1 * width + 0.3, 3.5 * height + 0.4)
    images = panels(figure, shown.fields, shown.spec, "")

    def update(time: int) -> None:
        _head(figure, shown, time)
        for channel, image in enumerate(images):
            image.set_data(np.where(shown.spec.sea, shown.fields[time, channel], np.nan))

    return figure, update


def _head(figure: "Figure", shown: Shots, time: int) -> None:
    text = f"{shown.title}, day {time * shown.days:g}"
    figure.suptitle(text, x=0.01, ha="left", fontweight="bold", fontsize=11)
