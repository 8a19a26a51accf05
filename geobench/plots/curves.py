"""Figures of the curves that scorers declare: more than the one number each score makes.

All are of means over cases, as the scores are. What a study does not score is not there.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from geobench.board.comparison import Comparison
from geobench.board.competitor import Competitor
from geobench.board.families import section
from geobench.board.model import Board
from geobench.board.text import headline_leads, lead_name, title
from geobench.contracts import presentation
from geobench.contracts.presentation import Curve
from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench.plots.chart import Axis, Chart, Figure, Series, finite
from geobench.plots.lead_axis import lead_axis, leads

if TYPE_CHECKING:
    import xarray as xr

_FEW = 12  # points on a logarithmic axis that are all written at it


def figures(comparison: Comparison) -> list[Figure]:
    """Every curve that the study's scores allow; of several with one key the first."""
    declared: dict[str, tuple[Scorer, Curve]] = {}
    for scorer in comparison.scorers:
        for curve in scorer.curves():
            declared.setdefault(curve.key, (scorer, curve))
    made = (_figure(comparison, scorer, curve) for scorer, curve in declared.values())
    return [figure for figure in made if figure is not None]


def _figure(comparison: Comparison, scorer: Scorer, curve: Curve) -> Figure | None:
    board = comparison.board
    index = comparison.scorers.index(scorer)
    means = [over_runs(competitor, index) for competitor in comparison.competitors]
    names = [title(board, row) for row in range(len(means))]
    variants = [
        (name, chart)
        for name, cell in _cells(board, curve, means[0])
        if not (chart := chart_of(scorer, curve, means, names, board.lead_hours, cell)).empty
    ]
    if not variants:
        return None
    chosen = min(1, len(variants) - 1) if curve.leads == "each" else 0
    family = section(curve.family or scorer.family)
    return Figure(curve.key, curve.title, curve.caption, variants, family, chosen)


def over_runs(competitor: Competitor, index: int) -> "xr.Dataset":
    """Mean statistics over cases, and over the seeds of a competitor."""
    runs = [run.statistics(index).mean("init_time", skipna=False) for run in competitor.runs]
    total: xr.Dataset = sum(runs[1:], start=runs[0])
    return total / len(runs)


def _cells(board: Board, curve: Curve, means: "xr.Dataset") -> Iterator[tuple[str, dict[str, int]]]:
    """What to choose: lead times that the ranking shows, by variables and events where several."""
    dims = [dim for dim in curve.over if dim in means.dims]
    for index in itertools.product(*(range(means.sizes[dim]) for dim in dims)):
        cell = dict(zip(dims, index, strict=True))
        words = [_called(means, dim, cell[dim]) for dim in dims if means.sizes[dim] > 1]
        if curve.leads != "each":
            yield ", ".join(words), cell
            continue
        for lead in headline_leads(board):
            yield ", ".join([*words, lead_name(board, lead)]), {**cell, "lead_time": lead}


def _called(means: "xr.Dataset", dim: str, index: int) -> str:
    value = means[dim][index].item()
    return f"above the {100 * value:g} % quantile" if dim == "quantile" else str(value)


def chart_of(
    scorer: Scorer,
    curve: Curve,
    means: "Sequence[xr.Dataset]",
    names: Sequence[str],
    hours: Sequence[float],
    cell: Mapping[str, int],
) -> Chart:
    """Return the chart of one curve of a scorer, from the mean statistics of named models.

    `hours`: the lead times. `cell`: place along the dims that the curve does not show.
    """
    chosen = [mean.isel(cell) for mean in means]
    try:
        series = list(_series(curve.against(chosen[0]), None, "")) if curve.against else []
        for row, (mean, name) in enumerate(zip(chosen, names, strict=True)):
            series += _series(curve.series(mean), row, name)
    except Exception as error:
        raise GeobenchError(
            f"the scorer {scorer.name}: its curve '{curve.key}' failed with "
            f"{type(error).__name__}: {' '.join(str(error).split())}."
        ) from error
    few = curve.x_log and len(series[-1].x) <= _FEW
    x = Axis(curve.x, log=curve.x_log, ticks=series[-1].x if few else ())
    if curve.leads == "axis":
        x = replace(lead_axis(hours), log=curve.x_log)
        series = [Series(s.name, s.row, leads(hours), s.y, second=s.second) for s in series]
    return Chart(
        x,
        Axis(curve.y, log=curve.y_log),
        series,
        guides=[] if curve.ideal is None else [(curve.ideal, "")],
        diagonal=curve.diagonal,
    )


def _series(
    declared: Iterable[presentation.Series], row: int | None, owner: str
) -> Iterator[Series]:
    import numpy as np

    for series in declared:
        name = " of ".join(word for word in (series.name, owner) if word)
        second = row is not None and bool(series.name)
        x, y = np.atleast_1d(series.x), np.atleast_1d(series.y)
        yield Series(name, row, [float(f"{at:.5g}") for at in x], finite(y), second=second)
