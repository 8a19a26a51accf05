"""Plots: axes in, axes out; and one `Chart` with a writer for each place that shows it.

The names below are imported when they are used: matplotlib takes its time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geobench.plots.boards import excess_by_lead, pairwise, skill_against_cost, skill_by_lead
    from geobench.plots.canvas import letter
    from geobench.plots.drawing import draw
    from geobench.plots.fan import plume
    from geobench.plots.fields import hovmoller, map, state
    from geobench.plots.score_maps import score_map
    from geobench.plots.scored import Scored, curve, rank_histogram, reliability, spectra
    from geobench.plots.times import plottable

_HOME = {
    "Scored": "scored",
    "curve": "scored",
    "draw": "drawing",
    "excess_by_lead": "boards",
    "hovmoller": "fields",
    "letter": "canvas",
    "map": "fields",
    "pairwise": "boards",
    "plottable": "times",
    "plume": "fan",
    "rank_histogram": "scored",
    "reliability": "scored",
    "score_map": "score_maps",
    "skill_against_cost": "boards",
    "skill_by_lead": "boards",
    "spectra": "scored",
    "state": "fields",
}
"""Module of each public name."""

__all__ = [
    "Scored",
    "curve",
    "draw",
    "excess_by_lead",
    "hovmoller",
    "letter",
    "map",
    "pairwise",
    "plottable",
    "plume",
    "rank_histogram",
    "reliability",
    "score_map",
    "skill_against_cost",
    "skill_by_lead",
    "spectra",
    "state",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
