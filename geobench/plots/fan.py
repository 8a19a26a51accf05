"""Plumes: how members of one site spread with lead time, the true distribution behind them."""

from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench.plots import times
from geobench.plots.canvas import canvas, legend_below, name_axes, plain
from geobench.plots.fields import label
from geobench.plots.styles import COLOURS, INK, Style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from geobench.forecasts.forecast import Forecast

_WIDE, _NARROW = (0.05, 0.95), (0.25, 0.75)
_BANDS = ("#e2e4e7", "#c3c7cc")  # of the true distribution: 90 % and 50 %
_TICKS = 8  # lead times that are written, at most
_MODEL = Style("", COLOURS[0], "")


def plume(
    members: "Forecast | xr.DataArray",
    law: "Forecast | xr.DataArray | None" = None,
    truth: "xr.DataArray | None" = None,
    *,
    ax: "Axes | None" = None,
    variable: str | None = None,
    init: int = 0,
    site: tuple[int, ...] | int = 0,
    name: str = "forecast",
    style: Style | None = None,
) -> "Axes":
    """Draw a fan chart of a site: members `(lead_time, member)` by lead time; return the axes.

    Grey bands hold 50 and 90 % of the draws of the true distribution (`law`), the black line is the
    `truth`. Of the members: median, middle 50 % (filled) and 90 % (dashed). `members` and `law` are
    forecasts or arrays; dims beyond `lead_time` and `member` are taken at place `init` and `site`.
    The truth of a forecast is known.
    """
    drawn, outcome = _at(members, variable, init, site)
    draws = None if law is None else _at(law, variable, init, site)[0]
    if truth is not None:
        outcome = _at(truth, variable, init, site)[0]
    look = style or _MODEL
    with canvas(ax, height=2.8) as axes:
        handles: list[Artist] = []
        if draws is not None:
            handles += _background(axes, draws)
        handles += _fan(axes, drawn, look, name)
        if outcome is not None:
            line = axes.plot(
                _leads(outcome)[0], outcome, color=INK, marker="o", markersize=3, linewidth=1.2,
                label="truth", zorder=4,
            )  # fmt: skip
            handles += line
        unit = _leads(drawn)[1]
        name_axes(axes, f"lead time, {unit}" if unit else "lead time", label(drawn))
        axes.margins(x=0.02)
        ticks = _leads(drawn)[0]
        axes.set_xticks(ticks[:: -(-len(ticks) // _TICKS)])
        legend_below(axes, handles)
        return axes


def _at(
    source: "Forecast | xr.DataArray", variable: str | None, init: int, site: tuple[int, ...] | int
) -> "tuple[xr.DataArray, xr.DataArray | None]":
    """Members at an init and a site, and what happened, if that is known."""
    import xarray as xr

    if isinstance(source, xr.DataArray):
        return _site(source, init, site).load(), None
    name = variable or source.dataset.spec.variables[0].name
    with source.entry.reading():
        members = _site(source.members[name], init, site).load()
    return members, _site(source.outcome()[name], init, site).load()


def _site(array: "xr.DataArray", init: int, site: tuple[int, ...] | int) -> "xr.DataArray":
    if "lead_time" not in array.dims:
        raise GeobenchError(
            f"a plume needs the dim lead_time; there are {', '.join(map(str, array.dims))}."
        )
    known = ("init_time", "lead_time", "member")
    grid = [dim for dim in array.dims if dim not in known]
    places = (site,) if isinstance(site, int) else tuple(site)
    if len(places) == 1:
        places *= len(grid)
    if len(places) != len(grid) and grid:
        raise GeobenchError(
            f"site has {len(places)} places, and the grid has the dims {', '.join(map(str, grid))}."
        )
    chosen: dict[Any, int] = dict(zip(grid, places, strict=False))
    if "init_time" in array.dims:
        chosen["init_time"] = init
    for dim, place in chosen.items():
        if not -array.sizes[dim] <= place < array.sizes[dim]:
            raise GeobenchError(
                f"there is no place {place} along {dim}: it has the places 0 to "
                f"{array.sizes[dim] - 1}."
            )
    return array.isel(chosen).transpose("lead_time", ...)


def _leads(array: "xr.DataArray") -> tuple[Any, str]:
    if "lead_time" not in array.coords:
        import numpy as np

        return np.arange(1, array.sizes["lead_time"] + 1), "steps"
    values, unit = times.numbers(array["lead_time"])
    return values, unit or str(array["lead_time"].attrs.get("units", ""))


def _background(axes: "Axes", draws: "xr.DataArray") -> "list[Artist]":
    from matplotlib.patches import Patch

    leads, _ = _leads(draws)
    for ends, colour in zip((_WIDE, _NARROW), _BANDS, strict=True):
        low, high = draws.quantile(ends, "member").transpose("quantile", ...).to_numpy()
        axes.fill_between(leads, low, high, color=colour, linewidth=0, zorder=1)
    return [Patch(color=_BANDS[1], label="true distribution, 50 and 90 %")]


def _fan(axes: "Axes", members: "xr.DataArray", look: Style, name: str) -> "list[Artist]":
    leads, _ = _leads(members)
    ends = (*_WIDE, *_NARROW, 0.5)
    low, high, lower, upper, middle = (
        members.quantile(ends, "member").transpose("quantile", ...).to_numpy()
    )
    label_of_fan = f"{plain(name)}: median, 50 % (filled), 90 % (dashed)"
    axes.fill_between(leads, lower, upper, color=look.colour, alpha=0.3, linewidth=0, zorder=2)
    for edge in (low, high):
        axes.plot(leads, edge, color=look.colour, linewidth=1, linestyle="--", zorder=3)
    return list(
        axes.plot(leads, middle, color=look.colour, linewidth=1.6, label=label_of_fan, zorder=3)
    )
