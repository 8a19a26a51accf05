"""Members beside the truth: small pictures of a few inits, read from the stored forecasts.

One grid dim: place against lead time (Hovmöller). Two: maps at one lead time. All pictures of an
init and a variable share their colours, so that they can be compared by eye.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.board.comparison import Comparison
from geobench.board.text import lead_name, lead_names, title
from geobench.twin.cases import member_counts

if TYPE_CHECKING:
    import xarray as xr

_INITS = 3
_MAPPED_INITS = 2  # a map weighs four times as much as place against time, and there are more
_MEMBERS = 4
_LARGEST = 128  # cells of a picture along a dim
_GAP = 20  # widths of a picture to the gap beside it
_COLOURS = 62  # more take twice the bytes: there are hundreds of small pictures


@dataclass(frozen=True)
class Picture:
    """A PNG, one pixel for each cell, and what it shows; of several members, side by side."""

    file: str
    png: bytes
    shown: str


@dataclass(frozen=True)
class Strip:
    """Members of one source."""

    name: str
    row: int | None
    picture: Picture


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


def scenes(comparison: Comparison) -> list[Scene]:
    """Return pictures of a few inits, spread over the test split."""
    truth = comparison.outcome()
    count = truth.sizes["init_time"]
    some = _INITS if len(comparison.spec.dims) == 1 else _MAPPED_INITS
    inits = sorted({round((i + 0.5) * count / some - 0.5) for i in range(some)})
    sources = [("oracle (reference)", None, _cut(comparison.reference.forecast, inits))] + [
        (title(comparison.board, row), row, _cut(competitor.forecast, inits))
        for row, competitor in enumerate(comparison.competitors)
    ]
    outcome = truth.isel(init_time=inits).load()
    return [
        scene
        for index in range(len(inits))
        for scene in _of_init(comparison, index, inits[index], outcome, sources)
    ]


def _cut(forecast: Any, inits: Sequence[int]) -> "xr.Dataset":
    with forecast.reading():
        members = slice(min([_MEMBERS, *(member_counts(forecast) or ())]))
        dataset: xr.Dataset = forecast.open().isel(init_time=list(inits), member=members).load()
    return dataset


def _of_init(
    comparison: Comparison,
    index: int,
    init: int,
    outcome: "xr.Dataset",
    sources: "Sequence[tuple[str, int | None, xr.Dataset]]",
) -> Iterator[Scene]:
    flat = len(comparison.spec.dims) == 1
    leads = outcome.sizes["lead_time"]
    shown: Sequence[int | None] = (None,) if flat else (0, leads - 1)
    for variable in comparison.spec.variables:
        for lead in dict.fromkeys(shown):
            at = {"init_time": index} | ({} if lead is None else {"lead_time": lead})
            truth = outcome[variable.name].isel(at).expand_dims("member")
            cases: list[tuple[str, int | None, xr.DataArray]] = [("truth", None, truth)]
            cases += [(name, row, data[variable.name].isel(at)) for name, row, data in sources]
            when = "" if lead is None else f", {lead_name(comparison.board, lead)}"
            yield _scene(
                comparison, variable, f"init {init + 1}{when}", f"{init}-{lead or 0}", cases
            )


def _scene(
    comparison: Comparison,
    variable: Any,
    when: str,
    key: str,
    cases: "Sequence[tuple[str, int | None, xr.DataArray]]",
) -> Scene:
    import numpy as np

    dims = comparison.spec.dims
    hovmoeller = len(dims) == 1
    channel = [listed.name for listed in comparison.spec.variables].index(variable.name)
    first = cases[0][2]
    norm = _limits(first.to_numpy(), comparison.spec.sea)
    name = variable.name if len(comparison.spec.variables) == 1 else f"{variable.name}, "
    order = ("member", "lead_time", dims[0].name) if hovmoeller else (
        "member", dims[0].name, dims[1].name
    )  # fmt: skip
    strips = []
    for index, (called, row, values) in enumerate(cases):
        fields = values.transpose(*order).to_numpy()
        if not hovmoeller:
            fields = np.where(comparison.spec.sea, fields, np.nan)[:, ::-1]
        shown = (
            f"{called}{f', members 1 to {len(fields)}' if index else ''}, {variable.name}, {when}"
        )
        picture = Picture(f"{key}-{channel}-{index}.png", _png(list(fields), norm, _MEMBERS), shown)
        strips.append(Strip(called, row, picture))
    bar = Picture(
        f"{key}-{channel}-scale.png", _png([np.linspace(*norm, 128)[None]], norm), "colour scale"
    )
    names = lead_names(comparison.board.lead_hours)
    return Scene(
        when if len(comparison.spec.variables) == 1 else f"{name}{when}",
        f"{dims[-1].name} →",
        f"{names[0]} to {names[-1]} ↓" if hovmoeller else f"{dims[0].name} ↑",
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

    values = truth[..., sea] if truth.ndim > 2 else truth
    low, high = (float(end) for end in np.nanquantile(values, (0.005, 0.995)))
    if low < 0 < high:
        most = max(-low, high)
        return -most, most
    return (low, high) if high > low else (low - 1, high + 1)


def _png(fields: Sequence[Any], limits: tuple[float, float], room: int = 1) -> bytes:
    """Return a picture with a palette: a pixel for each cell, land and failures in grey.

    Fields stand side by side, with room for so many; what is between and beyond is transparent.
    """
    import matplotlib as mpl
    import numpy as np
    from PIL import Image

    low, high = limits
    step = max(1, -(-max(fields[0].shape) // _LARGEST))
    height, width = fields[0][::step, ::step].shape
    pitch = width + (-(-width // _GAP) if room > 1 else 0)
    index = np.full((height, room * pitch - (pitch - width)), _COLOURS + 1, np.uint8)
    for number, field in enumerate(fields):
        thinned = field[::step, ::step]
        with np.errstate(invalid="ignore"):
            level = np.clip((thinned - low) / (high - low) * _COLOURS, 0, _COLOURS - 1)
        index[:, number * pitch :][:, :width] = np.where(np.isfinite(thinned), level, _COLOURS)
    colours = mpl.colormaps["RdBu_r" if low < 0 else "viridis"](np.linspace(0, 1, _COLOURS))[:, :3]
    palette = np.vstack([colours, [[0.72, 0.7, 0.65]], [[1, 1, 1]]])
    image = Image.fromarray(index, "P")
    image.putpalette((palette * 255).round().astype(np.uint8).tobytes())
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True, transparency=_COLOURS + 1)
    return written.getvalue()
