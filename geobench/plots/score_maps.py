"""Maps of scores: they show where on the grid a model is bad."""

from typing import TYPE_CHECKING, Any

from geobench.contracts.scorer import excess
from geobench.errors import GeobenchError
from geobench.plots import fields, times
from geobench.plots.scored import Scored, place

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize


def score_map(
    scored: Scored,
    law: Scored | None = None,
    *,
    ax: "Axes | None" = None,
    variable: str | None = None,
    lead_time: Any = None,
    score: str | None = None,
    quantile: float | None = None,
    **options: Any,
) -> "Axes":
    """Draw a score of every cell of the grid: where is a model bad? Return the axes.

    `law`: the same score of the true distribution; the excess over it is drawn then, red where the
    model is worse. On one grid dim all lead times are drawn; on two the one that `lead_time` names
    ("3D", or a place; default: the last). Further options are those of `hovmoller` and `map`.
    """
    values, name = _scores(scored, score)
    if law is not None:
        better = scored.scorer.orientation(name)
        values, name = excess(better, values, _scores(law, score)[0]), f"excess {name}"
    cell = {
        dim: place(values.to_dataset(name="score"), dim, label)
        for dim, label in (("variable", variable), ("quantile", quantile))
        if dim in values.dims
    }
    drawn = _placed(values.isel(cell), scored, cell.get("variable", 0)).rename(None)
    drawn.attrs["long_name"] = name
    options = {"norm": _norm(drawn, signed=law is not None), **options}
    if drawn.ndim == 2:
        return fields.hovmoller(drawn, ax=ax, **options)
    lead = -1 if lead_time is None else times.place(values["lead_time"], lead_time)
    return fields.map(drawn.isel(lead_time=lead), ax=ax, **options)


def _scores(scored: Scored, score: str | None) -> "tuple[xr.DataArray, str]":
    """Return a score of each cell, and its name."""
    if scored.cells is None:
        raise GeobenchError(
            f"the scores of {scored.name} by {scored.scorer.name} hold no value for each cell. "
            f"Score with maps: true, for example {{use: {scored.scorer.name}, maps: true}}."
        )
    made = scored.scorer.metric(scored.cells)
    names = [str(name) for name in made.data_vars]
    if score is not None and score not in names:
        raise GeobenchError(f"there is no score '{score}'. There are: {', '.join(names)}.")
    return made[score or names[0]], score or names[0]


def _placed(values: "xr.DataArray", scored: Scored, variable: int) -> "xr.DataArray":
    """Give the cells their coordinates, and the score its units, where they are known."""
    if scored.spec is None:
        return values
    spec, units = scored.spec, {"of the variable": "{}", "of the variable, squared": "({})²"}
    coordinates: dict[str, Any] = {
        dim.name: (dim.name, dim.coordinates, {"units": dim.units}) for dim in spec.dims
    }
    own = spec.variables[variable].units
    written = units.get(scored.scorer.units, "").format(own) if own not in ("", "1") else ""
    return values.assign_coords(coordinates).assign_attrs(units=written)


def _norm(values: "xr.DataArray", *, signed: bool) -> "Normalize":
    """Range of colours: symmetric about zero for what is signed, from zero for what is not."""
    import numpy as np
    from matplotlib.colors import Normalize

    numbers = values.to_numpy()
    finite = numbers[np.isfinite(numbers)]
    most = float(np.quantile(abs(finite), 0.999)) if finite.size else 1.0
    if not signed and finite.size:
        return Normalize(0, most or 1.0) if finite.min() >= 0 else fields.norm_of(finite)
    return Normalize(-most or -1.0, most or 1.0)
