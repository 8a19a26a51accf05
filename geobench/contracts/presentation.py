"""How a scorer wants to be shown: its family, and the curves that its statistics hold."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Family:
    """Scores that are shown together, under a title."""

    title: str
    about: str = ""


FAMILIES: Mapping[str, Family] = {
    "extremes": Family(
        "Extremes",
        "Exceedances of climatological quantiles, of each site and of whole fields. Those named "
        "after p, p*, value and return levels compare with the true distribution, without the "
        "noise of one outcome.",
    ),
    "fields": Family(
        "Whole fields",
        "Dependence between sites and scales: what scores of single sites cannot see.",
    ),
    "time": Family(
        "In time",
        "Dependence between lead times: paths, not states.",
    ),
    "calibration": Family(
        "Calibration",
        "Whether probabilities mean what they say. Several of these depend on the number of "
        "members (not fair): compare with the oracle's row.",
    ),
    "sites": Family(
        "Single sites",
        "Each site by itself: how far off, how wide. None of these sees dependence between sites.",
    ),
}
"""Families that geobench knows, in the order in which they are shown."""


@dataclass(frozen=True)
class Series:
    """Points of a curve. `name`: what they are, where they are not the model's first quantity."""

    x: "ArrayLike"
    y: "ArrayLike"
    name: str = ""


@dataclass(frozen=True)
class Curve:
    """A figure that mean statistics hold: more than the one number that each score makes.

    `series` turns the mean statistics of a model over cases into points. It is given one place
    along the dims `over`, each of which becomes a variant of the figure. `leads`: it is given each
    lead time by itself, which becomes a variant, too; or all of them, as points; or all of them,
    and the axis x is the lead time in days. `against` makes points of what is no model's, from the
    statistics of any of them. Several scorers may have a curve of the same `key`: the first shows
    it. `family`: where it stands, if not with its scorer.
    """

    key: str
    title: str
    caption: str
    x: str
    y: str
    series: "Callable[[xr.Dataset], Iterable[Series]]"
    over: Sequence[str] = ("variable",)
    against: "Callable[[xr.Dataset], Iterable[Series]] | None" = None
    leads: Literal["each", "all", "axis"] = "each"
    x_log: bool = False
    y_log: bool = False
    ideal: float | None = None
    diagonal: bool = False
    family: str | None = None
