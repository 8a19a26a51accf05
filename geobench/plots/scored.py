"""Plots of stored scores: the curves that scorers declare, and maps of where a model is bad."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geobench.board.comparison import Comparison
from geobench.board.text import lead_names, title
from geobench.contracts.presentation import Curve
from geobench.contracts.scorer import Scorer
from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError
from geobench.plots import times
from geobench.plots.curves import chart_of, over_runs
from geobench.plots.drawing import draw
from geobench.plots.figures import series_styles
from geobench.plots.styles import Style, styles
from geobench.scoring.cells import GROUP
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Scored:
    """The statistics of one forecast by one scorer, under the name of its model.

    `statistics`: of every case `(init_time, lead_time, …)`. `cells`: means over cases of every cell
    of the grid, which a scorer with `maps: true` keeps; `spec` says where these cells are.
    `knows_law`: it is drawn black.
    """

    name: str
    scorer: Scorer
    statistics: "xr.Dataset"
    cells: "xr.Dataset | None" = None
    spec: StateSpec | None = None
    knows_law: bool = False

    @classmethod
    def of(
        cls,
        entry: Entry,
        scorer: Scorer,
        name: str,
        spec: StateSpec | None = None,
        *,
        knows_law: bool = False,
    ) -> "Scored":
        """Read an entry of scores."""
        maps = entry.load(GROUP) if scorer.maps else None
        return cls(name, scorer, entry.load(), maps, spec, knows_law)


Source = Comparison | Scored | Sequence[Scored]
"""What curves are drawn of: the models of a comparison, or scores of one scorer."""


def curve(
    source: Source,
    key: str,
    *,
    ax: "Axes | None" = None,
    lead_time: Any = None,
    variable: str | None = None,
    legend: bool = True,
    **chosen: Any,
) -> "Axes":
    """Draw a curve that a scorer declares, by its key; return the axes.

    `lead_time`: such as "3D" or "6h", or a place; default: the middle one. `variable` and other
    dims of the statistics (`quantile=0.9`) by their labels; default: the first.
    """
    models = _models(source, key)
    declared = models.curve
    first = models.means[0]
    cell = {dim: place(first, dim, {"variable": variable, **chosen}.get(dim)) for dim in
            declared.over if dim in first.dims}  # fmt: skip
    hours = times.hours(first["lead_time"])
    name = ""
    if declared.leads == "each":
        cell["lead_time"] = times.place(first["lead_time"], lead_time)
        name = lead_names(hours)[cell["lead_time"]]
    drawn = chart_of(models.scorer, declared, models.means, models.names, hours, cell)
    if key == "ranks" and len(models.means) == 1:
        drawn = replace(drawn, kind="bars", y=replace(drawn.y, low=0.0))
    heading = ": ".join(part for part in (declared.title, name) if part)
    return draw(drawn, models.styles, ax=ax, title=heading, legend=legend)


def rank_histogram(source: Source, *, ax: "Axes | None" = None, **options: Any) -> "Axes":
    """Draw how often the outcome has each rank among the members; see `curve`."""
    return curve(source, "ranks", ax=ax, **options)


def reliability(source: Source, *, ax: "Axes | None" = None, **options: Any) -> "Axes":
    """Draw how often an event happens that so many members forecast; see `curve`."""
    return curve(source, "reliability", ax=ax, **options)


def spectra(
    source: Source, *, ax: "Axes | None" = None, of_spread: bool = False, **options: Any
) -> "Axes":
    """Draw power by wavenumber, of members or of what they differ by; see `curve`."""
    return curve(source, "spread-spectra" if of_spread else "spectra", ax=ax, **options)


@dataclass(frozen=True, eq=False)
class _Models:
    scorer: Scorer
    curve: Curve
    means: "Sequence[xr.Dataset]"
    names: Sequence[str]
    styles: Sequence[Style]


def _models(source: Source, key: str) -> _Models:
    if isinstance(source, Comparison):
        scorer, declared = _declared(source.scorers, key)
        index = list(source.scorers).index(scorer)
        means = [over_runs(competitor, index) for competitor in source.competitors]
        names = [title(source.board, row) for row in range(len(means))]
        return _Models(scorer, declared, means, names, series_styles(source.board))
    scores = [source] if isinstance(source, Scored) else list(source)
    if not scores:
        raise GeobenchError("there are no scores to draw. Give one at least.")
    scorer, declared = _declared([scores[0].scorer], key)
    if any(score.scorer.recipe() != scorer.recipe() for score in scores):
        raise GeobenchError(
            f"scores by {', '.join(dict.fromkeys(s.scorer.name for s in scores))} are of several "
            f"scorers. Draw those of one scorer together."
        )
    names = [score.name for score in scores]
    law = [score.name for score in scores if score.knows_law]
    means = [score.statistics.mean("init_time", skipna=False) for score in scores]
    return _Models(scorer, declared, means, names, styles(names, [0] * len(names), names, law=law))


def _declared(scorers: Sequence[Scorer], key: str) -> tuple[Scorer, Curve]:
    """Return the first scorer that declares the curve."""
    for scorer in scorers:
        for declared in scorer.curves():
            if declared.key == key:
                return scorer, declared
    known = sorted({declared.key for scorer in scorers for declared in scorer.curves()})
    raise GeobenchError(
        f"no scorer of {', '.join(scorer.name for scorer in scorers)} keeps the curve '{key}'. "
        f"They keep: {', '.join(known) or 'no curves'}. Score, or compare, with a scorer that has "
        f"it: for ranks, reliability and spectra the forecast's own `.plot` finds one."
    )


def place(data: "xr.Dataset", dim: str, label: Any) -> int:
    """Return the place along a dim of the value that is nearest to a label; None: the first."""
    import numpy as np

    if label is None:
        return 0
    values = data[dim].to_numpy()
    if isinstance(label, float):
        return int(np.abs(values - label).argmin())
    if label not in values:
        known = ", ".join(str(value) for value in values)
        raise GeobenchError(f"there is no {dim} '{label}'. There are: {known}.")
    return list(values).index(label)
