"""Pictures and films of fields: what a trajectory looks like.

One grid dim: place against time (a Hovmöller diagram). Two: a map of each variable. Colours are
symmetric about each variable's middle and the same in every frame.
"""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geobench.errors import GeobenchError
from geobench.interfaces.simulator import Simulator
from geobench.interfaces.state import Dimension, StateSpec, Variable
from geobench.plotting import COLOURS, STYLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure, FigureBase
    from matplotlib.image import AxesImage

    Fields = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

_COLOURS = "RdBu_r"
_LAND = "#b8b2a7"
_STRIP = 6  # maps in a strip of pictures
_ABREAST = 3  # maps side by side
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
    shown = StateSpec(variables=there, dims=spec.dims, land=spec.land)
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
        if name not in known and field.shape[1:] == spec.grid
    }
    variables = (*spec.variables, *(Variable(name=name) for name in more))
    together = np.concatenate([fields, *(field[:, None] for field in more.values())], 1)
    return StateSpec(variables=variables, dims=spec.dims, land=spec.land), together


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
    with mpl.rc_context(STYLE):
        if path.suffix.lower() in PICTURE:
            _strip(shown, path)
        else:
            _film(shown, path)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


# -- colours


def scales(fields: "Fields", sea: "np.ndarray[Any, np.dtype[np.bool_]]") -> "list[Normalize]":
    """Colour scale of each channel of `(time, channel, *grid)`: symmetric, the outer 0.1 % cut.

    Around zero for a variable that has both signs; else around its median.
    """
    from matplotlib.colors import Normalize

    found = []
    for channel in range(fields.shape[1]):
        low, middle, high = np.quantile(fields[:, channel][:, sea], (0.001, 0.5, 0.999))
        centre = 0.0 if low < 0 < high else float(middle)
        half = float(max(high - centre, centre - low)) or 1.0
        found.append(Normalize(centre - half, centre + half))
    return found


def label(variable: Variable) -> str:
    """Long name, name and units."""
    name = variable.name
    if variable.long_name and variable.long_name != name:
        name = f"{variable.long_name} ({name})" if len(variable.long_name) < 40 else name
    return name if variable.units in ("", "1") else f"{name}, {variable.units}"


def _axis(dim: Dimension) -> tuple[str, float]:
    """What to write at an axis, and the distance between neighbours in those units."""
    if dim.units == "m" and dim.spacing * dim.size > 5000:
        return f"{dim.name}, km", dim.spacing / 1000
    return dim.name if dim.units in ("", "1") else f"{dim.name}, {dim.units}", dim.spacing


# -- one dim


def space_time(
    figure: "FigureBase", fields: "Fields", spec: StateSpec, days: float, title: str
) -> None:
    """Draw place against time for each channel of `(time, channel, x)`."""
    axes = figure.subplots(1, len(spec.variables), squeeze=False)[0]
    norms = scales(fields, spec.sea)
    for channel, (axis, variable) in enumerate(zip(axes, spec.variables, strict=True)):
        image = _hovmoeller(axis, fields[:, channel], spec.dims[0], days, norms[channel])
        figure.colorbar(image, ax=axis, label=label(variable), extend="both", pad=0.01)
    axes[0].set_title(title, loc="left", fontweight="bold", fontsize=10.5)


def _hovmoeller(
    axes: "Axes", field: "Fields", dim: Dimension, days: float, norm: "Normalize"
) -> "AxesImage":
    name, spacing = _axis(dim)
    half = days / 2
    image = axes.imshow(
        field.T,
        cmap=_COLOURS,
        norm=norm,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(-half, len(field) * days - half, -0.5 * spacing, (dim.size - 0.5) * spacing),
    )
    axes.grid(visible=False)
    axes.set_xlabel("time, days")
    axes.set_ylabel(name)
    return image


# -- two dims


def panels(
    figure: "FigureBase", fields: "Fields", spec: StateSpec, title: str
) -> "list[AxesImage]":
    """Draw a map of each channel of the last of the states `(time, channel, y, x)`.

    The colours are those of all the states. Returns the images.
    """
    norms = scales(fields, spec.sea)
    count = len(spec.variables)
    grid = figure.subplots(-(-count // _ABREAST), min(count, _ABREAST), squeeze=False)
    images = []
    for place, axes in enumerate(grid.flat):
        if place >= count:
            axes.set_axis_off()
            continue
        image = _map(axes, fields[-1, place], spec, norms[place], first=place % _ABREAST == 0)
        name = label(spec.variables[place])
        figure.colorbar(image, ax=axes, label=name, extend="both", shrink=0.85)
        images.append(image)
    if title:
        grid[0, 0].set_title(title, loc="left", fontweight="bold", fontsize=10.5)
    return images


def _map(
    axes: "Axes", field: "Fields", spec: StateSpec, norm: "Normalize", *, first: bool
) -> "AxesImage":
    (down, dy), (along, dx) = (_axis(dim) for dim in spec.dims)
    rows, columns = spec.grid
    axes.set_facecolor(_LAND)
    image = axes.imshow(
        np.where(spec.sea, field, np.nan),
        cmap=_COLOURS,
        norm=norm,
        origin="lower",
        interpolation="nearest",
        extent=(0, columns * dx, 0, rows * dy),
    )
    axes.grid(visible=False)
    axes.set_xlabel(along)
    if first:
        axes.set_ylabel(down)
    else:
        axes.tick_params(labelleft=False)
    return image


# -- files


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
        for place, time in enumerate(times):
            field = shown.fields[time, channel]
            axes = grid[channel, place]
            image = _map(axes, field, shown.spec, norms[channel], first=place == 0)
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
    name, spacing = _axis(dim)
    place = np.arange(dim.size) * spacing
    lines, images = [], []
    for channel, variable in enumerate(shown.spec.variables):
        above, below = grid[:, channel]
        (line,) = above.plot(place, shown.fields[0, channel], color=COLOURS[0], marker=".")
        above.set_ylim(norms[channel].vmin, norms[channel].vmax)
        above.set_ylabel(label(variable))
        image = below.imshow(
            np.full((len(shown.fields), dim.size), np.nan),
            cmap=_COLOURS,
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
    width, height = min(count, _ABREAST), -(-count // _ABREAST)
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
