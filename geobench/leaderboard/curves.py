"""Figures of the curves that scorers declare: more than the one number each score makes.

All are of means over cases, as the scores are. What a study does not score is not there.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from geobench.errors import GeobenchError
from geobench.interfaces.presentation import Curve, Series
from geobench.interfaces.scorer import Scorer
from geobench.leaderboard.board import Competitor
from geobench.leaderboard.board_charts import days, ticks
from geobench.leaderboard.charts import Chart, Figure, Line, finite
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.looks import title
from geobench.leaderboard.text import headline_leads

if TYPE_CHECKING:
    import xarray as xr

_FEW = 12  # points on a logarithmic axis that are all written at it


def declared(exhibit: Exhibit) -> list[tuple[Scorer, Curve]]:
    """Curves of the study's scorers; of several with one key the first."""
    found: dict[str, tuple[Scorer, Curve]] = {}
    for scorer in exhibit.scorers:
        for curve in scorer.curves():
            found.setdefault(curve.key, (scorer, curve))
    return list(found.values())


def figures(exhibit: Exhibit) -> list[Figure]:
    """Every curve that the study's scores allow."""
    made = (_figure(exhibit, scorer, curve) for scorer, curve in declared(exhibit))
    return [figure for figure in made if figure is not None]


def _figure(exhibit: Exhibit, scorer: Scorer, curve: Curve) -> Figure | None:
    place = exhibit.scorers.index(scorer)
    means = [_over_runs(competitor, place) for competitor in exhibit.competitors]
    try:
        variants = [
            (name, chart)
            for name, cell in _cells(exhibit, curve, means[0])
            if not (chart := _chart(exhibit, curve, [each.isel(cell) for each in means])).empty
        ]
    except Exception as error:
        raise GeobenchError(
            f"the scorer {scorer.name}: its curve '{curve.key}' failed with "
            f"{type(error).__name__}: {' '.join(str(error).split())}."
        ) from error
    if not variants:
        return None
    chosen = min(1, len(variants) - 1) if curve.leads == "each" else 0
    return Figure(curve.key, curve.title, curve.caption, variants, chosen)


def _over_runs(competitor: Competitor, place: int) -> "xr.Dataset":
    """Mean statistics over cases, and over the seeds of a competitor."""
    runs = [run.statistics(place).mean("init_time", skipna=False) for run in competitor.runs]
    total: xr.Dataset = sum(runs[1:], start=runs[0])
    return total / len(runs)


def _cells(
    exhibit: Exhibit, curve: Curve, means: "xr.Dataset"
) -> Iterator[tuple[str, dict[str, int]]]:
    """What to choose: lead times that the ranking shows, by variables and events where several."""
    dims = [dim for dim in curve.over if dim in means.dims]
    for index in itertools.product(*(range(means.sizes[dim]) for dim in dims)):
        cell = dict(zip(dims, index, strict=True))
        words = [_called(means, dim, cell[dim]) for dim in dims if means.sizes[dim] > 1]
        if curve.leads != "each":
            yield ", ".join(words), cell
            continue
        for lead in headline_leads(exhibit.board):
            day = f"day {exhibit.board.lead_hours[lead] / 24:g}"
            yield ", ".join([*words, day]), {**cell, "lead_time": lead}


def _called(means: "xr.Dataset", dim: str, place: int) -> str:
    value = means[dim][place].item()
    return f"above the {100 * value:g} % quantile" if dim == "quantile" else str(value)


def _chart(exhibit: Exhibit, curve: Curve, means: "Sequence[xr.Dataset]") -> Chart:
    lines = list(_lines(curve.against(means[0]), None, "")) if curve.against else []
    for row, own in enumerate(means):
        lines += _lines(curve.series(own), row, title(exhibit.board, row))
    x_ticks: Sequence[float] = ()
    if curve.x_log and len(lines[-1].x) <= _FEW:
        x_ticks = lines[-1].x
    if curve.leads == "axis":
        x_ticks = ticks(exhibit.board)
        lines = [
            Line(line.name, line.row, days(exhibit.board), line.y, second=line.second)
            for line in lines
        ]
    return Chart(
        "lead time, days" if curve.leads == "axis" else curve.x,
        curve.y,
        lines,
        x_log=curve.x_log,
        y_log=curve.y_log,
        x_ticks=x_ticks,
        ideal=curve.ideal,
        diagonal=curve.diagonal,
    )


def _lines(series: Iterable[Series], row: int | None, owner: str) -> Iterator[Line]:
    import numpy as np

    for own in series:
        name = " of ".join(word for word in (own.name, owner) if word)
        second = row is not None and bool(own.name)
        x, y = np.atleast_1d(own.x), np.atleast_1d(own.y)
        yield Line(name, row, [float(f"{each:.5g}") for each in x], finite(y), second=second)
