"""Members beside the truth: small pictures of a few inits, read from the stored forecasts.

One grid dim: place against lead time (Hovmöller). Two: maps at one lead time. All pictures of an
init and a variable share their colours, so that they can be compared by eye.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.looks import title

if TYPE_CHECKING:
    import xarray as xr

_INITS = 3
_MEMBERS = 4
_LARGEST = 128  # cells of a picture along a dim


@dataclass(frozen=True)
class Picture:
    """A PNG, one pixel for each cell, and what it shows."""

    file: str
    png: bytes
    shown: str


@dataclass(frozen=True)
class Strip:
    """Pictures of one source, side by side."""

    name: str
    row: int | None
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Scene:
    """One init (and lead time, of maps) of one variable: the truth, draws of the law, members."""

    title: str
    across: str
    down: str
    low: str
    high: str
    units: str
    bar: Picture
    strips: Sequence[Strip]
    hovmoeller: bool


def scenes(exhibit: Exhibit) -> list[Scene]:
    """Return pictures of a few inits, spread over the test split."""
    truth = exhibit.outcome()
    count = truth.sizes["init_time"]
    inits = sorted({round((i + 0.5) * count / _INITS - 0.5) for i in range(_INITS)})
    sources = [("oracle (reference)", None, _cut(exhibit.reference.forecast, inits))] + [
        (title(exhibit.board, row), row, _cut(own.forecast, inits))
        for row, own in enumerate(exhibit.competitors)
    ]
    outcome = truth.isel(init_time=inits).load()
    return [
        scene
        for place in range(len(inits))
        for scene in _of_init(exhibit, place, inits[place], outcome, sources)
    ]


def _cut(forecast: Any, inits: Sequence[int]) -> "xr.Dataset":
    with forecast.reading():
        members = slice(_MEMBERS)
        found: xr.Dataset = forecast.open().isel(init_time=list(inits), member=members).load()
    return found


def _of_init(
    exhibit: Exhibit,
    place: int,
    init: int,
    outcome: "xr.Dataset",
    sources: "Sequence[tuple[str, int | None, xr.Dataset]]",
) -> Iterator[Scene]:
    flat = len(exhibit.spec.dims) == 1
    leads = outcome.sizes["lead_time"]
    shown: Sequence[int | None] = (None,) if flat else (0, leads - 1)
    for variable in exhibit.spec.variables:
        for lead in dict.fromkeys(shown):
            at = {"init_time": place} | ({} if lead is None else {"lead_time": lead})
            truth = outcome[variable.name].isel(at).expand_dims("member")
            cases: list[tuple[str, int | None, xr.DataArray]] = [("truth", None, truth)]
            cases += [(name, row, data[variable.name].isel(at)) for name, row, data in sources]
            day = "" if lead is None else f", day {exhibit.board.lead_hours[lead] / 24:g}"
            yield _scene(exhibit, variable, f"init {init + 1}{day}", f"{init}-{lead or 0}", cases)


def _scene(
    exhibit: Exhibit,
    variable: Any,
    when: str,
    key: str,
    cases: "Sequence[tuple[str, int | None, xr.DataArray]]",
) -> Scene:
    import numpy as np

    dims = exhibit.spec.dims
    hovmoeller = len(dims) == 1
    channel = [each.name for each in exhibit.spec.variables].index(variable.name)
    first = cases[0][2]
    norm = _limits(first.to_numpy(), exhibit.spec.sea)
    name = variable.name if len(exhibit.spec.variables) == 1 else f"{variable.name}, "
    order = ("member", "lead_time", dims[0].name) if hovmoeller else (
        "member", dims[0].name, dims[1].name
    )  # fmt: skip
    strips = []
    for place, (called, row, values) in enumerate(cases):
        fields = values.transpose(*order).to_numpy()
        if not hovmoeller:
            fields = np.where(exhibit.spec.sea, fields, np.nan)[:, ::-1]
        pictures = [
            Picture(
                f"{key}-{channel}-{place}-{member}.png",
                _png(field, norm),
                f"{called}{f', member {member + 1}' if place else ''}, {variable.name}, {when}",
            )
            for member, field in enumerate(fields)
        ]
        strips.append(Strip(called, row, pictures))
    bar = Picture(
        f"{key}-{channel}-scale.png", _png(np.linspace(*norm, 128)[None], norm), "colour scale"
    )
    last = exhibit.board.lead_hours[-1] / 24
    first_day = exhibit.board.lead_hours[0] / 24
    return Scene(
        when if len(exhibit.spec.variables) == 1 else f"{name}{when}",
        f"{dims[-1].name} →",
        f"day {first_day:g} to {last:g} ↓" if hovmoeller else f"{dims[0].name} ↑",
        f"{norm[0]:.3g}".replace("-", "−"),
        f"{norm[1]:.3g}".replace("-", "−"),
        f"{variable.name}{'' if variable.units in ('', '1') else f', {variable.units}'}",
        bar,
        strips,
        hovmoeller,
    )


def _limits(truth: Any, sea: Any) -> tuple[float, float]:
    """Ends of the colours: those of the truth, symmetric about zero where it has both signs."""
    import numpy as np

    own = truth[..., sea] if truth.ndim > 2 else truth
    low, high = (float(each) for each in np.nanquantile(own, (0.005, 0.995)))
    if low < 0 < high:
        most = max(-low, high)
        return -most, most
    return (low, high) if high > low else (low - 1, high + 1)


def _png(field: Any, limits: tuple[float, float]) -> bytes:
    """Return a picture with a palette: a pixel for each cell, land and failures in grey."""
    import matplotlib as mpl
    import numpy as np
    from PIL import Image

    low, high = limits
    step = max(1, -(-max(field.shape) // _LARGEST))
    field = field[::step, ::step]
    with np.errstate(invalid="ignore"):
        level = np.clip((field - low) / (high - low) * 254, 0, 254)
    index = np.where(np.isfinite(field), level, 255).astype(np.uint8)
    colours = mpl.colormaps["RdBu_r" if low < 0 else "viridis"](np.linspace(0, 1, 255))[:, :3]
    palette = np.vstack([colours, [[0.72, 0.7, 0.65]]])
    image = Image.fromarray(index, "P")
    image.putpalette((palette * 255).round().astype(np.uint8).tobytes())
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()
