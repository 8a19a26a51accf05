"""Pictures of fields: place against time for one grid dim, maps for two.

Colours are symmetric about a variable's middle.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from geobench.contracts.state import Dimension, StateSpec, Variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import FigureBase
    from matplotlib.image import AxesImage

    Fields = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

COLOURS = "RdBu_r"
ABREAST = 3  # maps side by side
_LAND = "#b8b2a7"

# -- colours


def scales(fields: "Fields", sea: "np.ndarray[Any, np.dtype[np.bool_]]") -> "list[Normalize]":
    """Colour scale of each channel of `(time, channel, *grid)`, the outer 0.1 % cut.

    Symmetric around zero for a variable that has both signs; from zero for one that starts there,
    such as a speed; else symmetric around the median.
    """
    from matplotlib.colors import Normalize

    norms = []
    for channel in range(fields.shape[1]):
        low, middle, high = np.quantile(fields[:, channel][:, sea], (0.001, 0.5, 0.999))
        if 0 <= low < 0.2 * high:
            norms.append(Normalize(0, float(high)))
            continue
        centre = 0.0 if low < 0 < high else float(middle)
        half = float(max(high - centre, centre - low)) or 1.0
        norms.append(Normalize(centre - half, centre + half))
    return norms


def colours(norm: "Normalize") -> str:
    """Colour map that suits a scale: diverging, or sequential from zero."""
    return "viridis" if norm.vmin == 0 else COLOURS


def label(variable: Variable) -> str:
    """Long name, name and units."""
    name = variable.name
    if variable.long_name and variable.long_name != name:
        name = f"{variable.long_name} ({name})" if len(variable.long_name) < 24 else name
    return name if variable.units in ("", "1") else f"{name}, {variable.units}"


def ruler(dim: Dimension) -> tuple[str, float]:
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
    name, spacing = ruler(dim)
    half = days / 2
    image = axes.imshow(
        field.T,
        cmap=colours(norm),
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
    grid = figure.subplots(-(-count // ABREAST), min(count, ABREAST), squeeze=False)
    images = []
    for channel, axes in enumerate(grid.flat):
        if channel >= count:
            axes.set_axis_off()
            continue
        image = draw_map(
            axes, fields[-1, channel], spec, norms[channel], first=channel % ABREAST == 0
        )
        name = label(spec.variables[channel])
        figure.colorbar(image, ax=axes, label=name, extend="both", shrink=0.85)
        images.append(image)
    if title:
        grid[0, 0].set_title(title, loc="left", fontweight="bold", fontsize=10.5)
    return images


def draw_map(
    axes: "Axes", field: "Fields", spec: StateSpec, norm: "Normalize", *, first: bool
) -> "AxesImage":
    """Draw one field `(y, x)`; the first of a row names its vertical axis."""
    (down, dy), (along, dx) = (ruler(dim) for dim in spec.dims)
    rows, columns = spec.grid
    axes.set_facecolor(_LAND)
    image = axes.imshow(
        np.where(spec.sea, field, np.nan),
        cmap=colours(norm),
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
