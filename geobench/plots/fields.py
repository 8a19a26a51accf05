"""Pictures of fields: Hovmöller diagrams of one grid dim, maps of two.

Colours are symmetric about a variable's middle. Cells without a value, such as land, are grey.
"""

import re
from typing import TYPE_CHECKING, Any, Literal

from geobench.contracts.state import TAKEN, Dimension, StateSpec
from geobench.errors import GeobenchError
from geobench.plots import times
from geobench.plots.canvas import canvas, name_axes
from geobench.plots.scales import RAISED

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from geobench.twin.dataset import Dataset

DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"
LAND = "#b8b2a7"
_TIMES = ("time", "lead_time", "init_time")
_BAR, _PAD = 0.08, 0.06  # inches, width of a colour bar and what is between it and the field
_UNITS = {"degrees_north": "°N", "degrees_east": "°E", "1": ""}
_FAR = 5000.0  # metres, beyond which an axis is in kilometres


def state(
    source: "Dataset | xr.Dataset | xr.DataArray",
    variable: str | None = None,
    *,
    ax: "Axes | None" = None,
    split: str = "test",
    trajectory: int = 0,
    init: int = 0,
    member: int = 0,
    time: Any = -1,
    **options: Any,
) -> "Axes":
    """Draw a trajectory: a Hovmöller diagram of one grid dim, or a map of two.

    `source`: a dataset, of which a `split` is drawn, or xarray. `trajectory`, `init`, `member`:
    places along these dims, where there are such. `time`, of maps: a place, or such as "20D".
    Default: the first variable. Further options are those of `hovmoller` and `map`.
    """
    field = _field(source, variable, split)
    chosen = {"trajectory": trajectory, "init_time": init, "member": member}
    grid = [dim for dim in field.dims if dim not in TAKEN]
    over = next((dim for dim in ("lead_time", "time", "init_time") if dim in field.dims), "")
    if len(grid) not in (1, 2) or not (over or len(grid) == 2):
        raise GeobenchError(
            f"a state with the dims {_names(field)} cannot be drawn. Give one or "
            f"two grid dims; with one, also a dim of time."
        )
    fixed = {dim: i for dim, i in chosen.items() if dim in field.dims and dim != over}
    field = field.isel(fixed)
    if len(grid) == 1:
        return hovmoller(_read(field, source), ax=ax, **options)
    when = {over: times.place(field[over], time)} if over else {}
    return map(_read(field.isel(when), source), ax=ax, **options)


def _field(
    source: "Dataset | xr.Dataset | xr.DataArray", variable: str | None, split: str
) -> "xr.DataArray":
    """One variable, not read yet."""
    import xarray as xr

    if isinstance(source, xr.DataArray):
        return source
    opened = source if isinstance(source, xr.Dataset) else source.entry.open(split)
    names = [str(name) for name in opened.data_vars]
    if variable is not None and variable not in names:
        raise GeobenchError(f"there is no variable '{variable}'. There are: {', '.join(names)}.")
    return opened[variable or names[0]]


def _names(field: "xr.DataArray") -> str:
    return ", ".join(str(dim) for dim in field.dims) or "no dims"


def _read(field: "xr.DataArray", source: Any) -> "xr.DataArray":
    """Load a field; of a dataset, land has no values."""
    import xarray as xr

    if isinstance(source, xr.Dataset | xr.DataArray):
        return field.load()
    with source.entry.reading():
        loaded = field.load()
    spec = source.spec
    return loaded.where(xr.DataArray(spec.sea, dims=spec.grid_dims)) if spec.land else loaded


def of_states(spec: StateSpec, states: Any, days: float) -> "xr.Dataset":
    """Turn states `(time, channel, *grid)`, so many days apart, into fields; NaN on land."""
    import numpy as np
    import xarray as xr

    steps = (np.arange(len(states)) * days * 86400e9).astype("timedelta64[ns]")
    dataset = spec.dataset(states, ("time",), {"time": steps})
    return dataset.where(xr.DataArray(spec.sea, dims=spec.grid_dims)) if spec.land else dataset


def hovmoller(
    field: "xr.DataArray",
    *,
    ax: "Axes | None" = None,
    time_axis: Literal["x", "y"] = "y",
    norm: "Normalize | None" = None,
    cmap: str | None = None,
    colorbar: bool = True,
    title: str = "",
) -> "Axes":
    """Draw time over site: a field of one dim of time and one grid dim; return the axes.

    Time runs upwards, or to the right with `time_axis="x"`. `norm`: the range of colours; default:
    of this field.
    """
    time = next((dim for dim in _TIMES if dim in field.dims), None)
    if field.ndim != 2 or time is None:
        raise GeobenchError(
            f"a Hovmöller diagram needs one of {', '.join(_TIMES)} and one grid dim; this field "
            f"has {_names(field)}. Select one case with isel."
        )
    (site,) = (dim for dim in field.dims if dim != time)
    order = (time, site) if time_axis == "y" else (site, time)
    with canvas(ax) as axes:
        _image(axes, field.transpose(*order), norm, cmap, colorbar=colorbar)
        axes.set_aspect("auto")
        axes.set_title(title, loc="left")
        return axes


def map(
    field: "xr.DataArray",
    *,
    ax: "Axes | None" = None,
    norm: "Normalize | None" = None,
    cmap: str | None = None,
    colorbar: bool = True,
    title: str | None = None,
) -> "Axes":
    """Draw a field of two grid dims; return the axes.

    Cells without a value are grey. `norm`: the range of colours; default: of this field. The title
    is the field's time, if it has one.
    """
    if field.ndim != 2:
        raise GeobenchError(
            f"a map needs two grid dims; this field has {_names(field)}. Select one case with isel."
        )
    down, along = field.dims
    if _is_latitude(field, along):
        field, (down, along) = field.transpose(along, down), (along, down)
    with canvas(ax) as axes:
        axes.set_facecolor(LAND)
        _image(axes, field, norm, cmap, colorbar=colorbar)
        axes.set_aspect(_aspect(field, down, along))
        axes.set_title(_when(field) if title is None else title, loc="left")
        return axes


def _image(
    axes: "Axes",
    field: "xr.DataArray",
    norm: "Normalize | None",
    cmap: str | None,
    *,
    colorbar: bool,
) -> None:
    """Draw a field `(y, x)`, name both axes, and add a colour bar."""
    import numpy as np

    values = np.ma.masked_invalid(field.to_numpy())
    norm = norm or norm_of(values.compressed())
    look: dict[str, Any] = {"cmap": cmap or colours(norm), "norm": norm}
    ends, names = zip(*(_ruler(field, dim) for dim in field.dims), strict=True)
    shown: ScalarMappable
    if all(_even(edges) for edges in ends):
        extent = (*ends[1][[0, -1]], *ends[0][[0, -1]])
        shown = axes.imshow(values, origin="lower", interpolation="nearest", extent=extent, **look)
    else:
        shown = axes.pcolormesh(ends[1], ends[0], values, rasterized=True, **look)
    axes.grid(visible=False)
    name_axes(axes, names[1], names[0])
    for axis, dim in zip((axes.yaxis, axes.xaxis), field.dims, strict=True):
        if coordinates(field, dim)[2]:
            axis.axis_date()
    if colorbar:
        colour_bar(axes, shown, label(field), extend=_extend(values.compressed(), norm))


def colour_bar(axes: "Axes", shown: "ScalarMappable", name: str, *, extend: str = "both") -> None:
    """Put a colour bar beside axes, as tall as they are."""
    figure: Any = axes.get_figure(root=True)
    width = axes.get_position(original=True).width * figure.get_figwidth()
    beside = axes.inset_axes((1 + _PAD / width, 0, _BAR / width, 1))
    figure.colorbar(shown, cax=beside, label=name, extend=extend)


def coordinates(field: "xr.DataArray", dim: Any) -> tuple[Any, str, bool]:
    """Coordinates along a dim as numbers, their unit, and whether they are dates."""
    import numpy as np

    if dim not in field.coords:
        return np.arange(field.sizes[dim], dtype=float), "", False
    values, unit = times.numbers(field[dim])
    if values.dtype.kind == "M":
        from matplotlib.dates import date2num

        return date2num(values), "", True  # type: ignore[no-untyped-call]
    unit = unit or str(field[dim].attrs.get("units", ""))
    if unit == "m" and np.ptp(values) > _FAR:
        return values / 1000, "km", False
    return values.astype(float), _UNITS.get(unit, unit), False


def _ruler(field: "xr.DataArray", dim: Any) -> tuple[Any, str]:
    """Edges of the cells along a dim, and what to write at the axis."""
    import numpy as np

    centres, unit, _ = coordinates(field, dim)
    half = np.diff(centres) / 2 if len(centres) > 1 else np.array([0.5])
    middles = centres[:-1] + half if len(centres) > 1 else centres[:0]
    edges = np.concatenate([[centres[0] - half[0]], middles, [centres[-1] + half[-1]]])
    name = str(dim).replace("_", " ")
    return edges, f"{name}, {unit}" if unit else name


def _even(edges: Any) -> bool:
    import numpy as np

    steps = np.diff(edges)
    return bool(np.allclose(steps, steps.mean(), rtol=1e-3, atol=0))


def _is_latitude(field: "xr.DataArray", dim: Any) -> bool:
    attributes = field[dim].attrs if dim in field.coords else {}
    units, standard_name = (str(attributes.get(key, "")) for key in ("units", "standard_name"))
    like = Dimension.model_construct(
        name=str(dim), size=1, units=units, standard_name=standard_name
    )
    return like.is_latitude


def _aspect(field: "xr.DataArray", down: Any, along: Any) -> float | Literal["auto"]:
    """Height of a unit along `down` over the width of one along `along`."""
    import numpy as np

    if _is_latitude(field, down):
        middle = float(np.abs(field[down].to_numpy()).mean())
        return float(1 / np.cos(np.deg2rad(min(middle, 80.0))))
    units = [coordinates(field, dim)[1] for dim in (down, along)]
    return 1.0 if units[0] == units[1] else "auto"


def _when(field: "xr.DataArray") -> str:
    """Time of a field that is at one time."""
    import numpy as np

    for dim in ("lead_time", "time"):
        if dim in field.coords and field[dim].ndim == 0:
            values, unit = times.numbers(field[dim].to_numpy()[None])
            if values.dtype.kind == "M":
                return str(np.datetime_as_string(values[0], unit="h")).replace("T", " ") + " h"
            return f"day {values[0]:g}" if unit == "days" else f"{values[0]:g} {unit}"
    return ""


# -- colours


def norm_of(values: Any) -> "Normalize":
    """Range of colours of finite values, the outer 0.1 % cut.

    Symmetric around zero for a variable that has both signs; from zero for one that starts there,
    such as a speed; else symmetric around the median.
    """
    import numpy as np
    from matplotlib.colors import Normalize

    if not np.size(values):
        return Normalize(-1, 1)
    low, middle, high = (float(end) for end in np.quantile(values, (0.001, 0.5, 0.999)))
    if 0 <= low < 0.2 * high:
        return Normalize(0, high)
    centre = 0.0 if low < 0 < high else middle
    half = max(high - centre, centre - low) or 1.0
    return Normalize(centre - half, centre + half)


def colours(norm: "Normalize") -> str:
    """Colour map that suits a range: diverging, or sequential from zero."""
    return SEQUENTIAL if norm.vmin == 0 else DIVERGING


def _extend(values: Any, norm: "Normalize") -> str:
    """Which ends of a colour bar are arrows: those that values lie beyond."""
    below = bool((values < norm.vmin).any())
    above = bool((values > norm.vmax).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (below, above), "neither"
    )


def label(field: "xr.DataArray") -> str:
    """Long name, name and units of a field."""
    name, long_name = str(field.name or ""), str(field.attrs.get("long_name", ""))
    units = str(field.attrs.get("units", ""))
    if long_name and long_name != name:
        name = f"{long_name} ({name})" if len(long_name) < 24 and name else name or long_name
    return name if units in ("", "1") else f"{name}, {_raised(units)}"


def _raised(units: str) -> str:
    """Write powers of units raised: m s-1 as m s⁻¹."""
    return re.sub(r"(?<=[A-Za-z])-?\d\b", lambda power: power[0].translate(RAISED), units)
