"""Curves that the stored statistics of scores hold: more than the one number each score makes.

All are of means over cases, as the scores are. What a study does not score is not there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from geobench.leaderboard.board import Competitor
from geobench.leaderboard.board_charts import days, ticks
from geobench.leaderboard.charts import Chart, Figure, Line, finite
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.looks import title
from geobench.leaderboard.text import headline_leads

if TYPE_CHECKING:
    import xarray as xr

    Lines = Callable[["xr.DataArray", str, int | None], Line]

_TABLES = ("reliability", "economic-value", "roc", "resolution", "sedi")
_RATIOS = 33  # cost-loss ratios of a curve of value


def figures(exhibit: Exhibit) -> list[Figure]:
    """Every curve that the study's scores allow."""
    made = (
        _reliability(exhibit), _value(exhibit), _roc(exhibit), _ranks(exhibit),
        _spread_skill(exhibit), _spectra(exhibit), _spread_spectra(exhibit),
    )  # fmt: skip
    return [figure for figure in made if figure is not None]


def _means(exhibit: Exhibit, names: Sequence[str]) -> "list[xr.Dataset]":
    """Mean statistics of each row, of the first of these scorers that the study has."""
    place = next((p for name in names if (p := exhibit.score_of(name)) is not None), None)
    if place is None:
        return []
    return [_over_runs(own, place) for own in exhibit.competitors]


def _over_runs(own: Competitor, place: int) -> "xr.Dataset":
    """Mean statistics over cases, and over the seeds of a competitor."""
    found = [run.statistics(place).mean("init_time", skipna=False) for run in own.runs]
    total: xr.Dataset = sum(found[1:], start=found[0])
    return total / len(found)


def _places(
    exhibit: Exhibit, means: "Sequence[xr.Dataset]", dims: Sequence[str]
) -> Iterator[tuple[str, dict[str, int]]]:
    """What to choose: lead times that the ranking shows, by variables and events where several."""
    import itertools

    first = means[0]
    own = [dim for dim in dims if dim in first.dims]
    for place in itertools.product(*(range(first.sizes[dim]) for dim in own)):
        at = dict(zip(own, place, strict=True))
        words = [_called(first, dim, at[dim]) for dim in own if first.sizes[dim] > 1]
        for lead in headline_leads(exhibit.board):
            day = f"day {exhibit.board.lead_hours[lead] / 24:g}"
            yield ", ".join([*words, day]), {**at, "lead_time": lead}


def _called(means: "xr.Dataset", dim: str, place: int) -> str:
    value = means[dim][place].item()
    return f"above the {100 * value:g} % quantile" if dim == "quantile" else str(value)


def _figure(
    exhibit: Exhibit,
    means: "Sequence[xr.Dataset]",
    dims: Sequence[str],
    chart: "Callable[[list[xr.Dataset]], Chart]",
    *words: str,
) -> Figure | None:
    if not means:
        return None
    variants = [
        (name, made)
        for name, at in _places(exhibit, means, dims)
        if not (made := chart([each.isel(at) for each in means])).empty
    ]
    if not variants:
        return None
    key, heading, caption = words
    return Figure(key, heading, caption, variants, chosen=min(1, len(variants) - 1))


def _line(exhibit: Exhibit, row: int, x: Any, y: Any) -> Line:
    return Line(title(exhibit.board, row), row, finite_x(x), finite(y))


def finite_x(values: Any) -> list[float]:
    """Places along an axis."""
    return [float(f"{each:.5g}") for each in values]


# -- events


def _reliability(exhibit: Exhibit) -> Figure | None:
    import numpy as np

    def chart(means: "list[xr.Dataset]") -> Chart:
        lines = []
        for row, each in enumerate(means):
            table = each["table"].transpose("above", "happened").to_numpy()
            cases = table.sum(1)
            with np.errstate(invalid="ignore", divide="ignore"):
                seen = np.where(cases > 1e-5, table[:, 1] / cases, np.nan)
            lines.append(_line(exhibit, row, np.linspace(0, 1, len(cases)), seen))
        return Chart(
            "forecast probability (share of members)", "observed frequency", lines, diagonal=True
        )

    return _figure(
        exhibit, _means(exhibit, _TABLES), ("variable", "quantile"), chart,
        "reliability", "Reliability diagram",
        "How often an event happened where so many members forecast it; on the dashed line "
        "probabilities mean what they say. With few members even draws of the truth lie a little "
        "flatter: compare with the oracle. Points with fewer than 1 in 100,000 cells are left out.",
    )  # fmt: skip


def _value(exhibit: Exhibit) -> Figure | None:
    import numpy as np

    ratios = np.geomspace(0.002, 0.8, _RATIOS)

    def chart(means: "list[xr.Dataset]") -> Chart:
        lines = []
        for row, each in enumerate(means):
            table = each["table"].transpose("above", "happened").to_numpy()
            lines.append(_line(exhibit, row, ratios, value_of(table, ratios)))
        return Chart("cost-loss ratio C/L", "economic value", lines, x_log=True, ideal=0.0)

    return _figure(
        exhibit, _means(exhibit, _TABLES), ("variable", "quantile"), chart,
        "value", "Relative economic value",
        "What forecasts save a user who can pay C to prevent a loss L, as a share of what perfect "
        "forecasts would save; 0 is as good as the climate's rate alone. The number of members at "
        "which to act is the best in hindsight: potential value.",
    )  # fmt: skip


def value_of(table: Any, ratios: Any) -> Any:
    """Potential economic value at cost-loss ratios, of a table `(above, happened)` of shares.

    (E_climate - E) / (E_climate - E_perfect), expenses per loss (Richardson, 2000,
    doi:10.1002/qj.49712656313); acting from k members on, with the k that serves best, or never.
    """
    import numpy as np

    rate = table[:, 1].sum()
    warned = np.concatenate([[[0.0, 0.0]], table[::-1].cumsum(0)])  # of k from many to none
    expense = (ratios[:, None] * warned.sum(1) + rate - warned[:, 1]).min(1)
    climate = np.minimum(ratios, rate)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (climate - np.minimum(expense, climate)) / (climate - rate * ratios)


def _roc(exhibit: Exhibit) -> Figure | None:
    import numpy as np

    def chart(means: "list[xr.Dataset]") -> Chart:
        lines = []
        for row, each in enumerate(means):
            table = each["table"].transpose("above", "happened").to_numpy()
            warned = np.concatenate([[[0.0, 0.0]], table[::-1].cumsum(0)])
            with np.errstate(invalid="ignore", divide="ignore"):
                false, hit = (warned / warned[-1]).T
            lines.append(_line(exhibit, row, np.nan_to_num(false), hit))
        return Chart("false-alarm rate", "hit rate", lines, diagonal=True)

    return _figure(
        exhibit, _means(exhibit, _TABLES), ("variable", "quantile"), chart,
        "roc", "ROC curve",
        "Hit rate against false-alarm rate, a point for each number of members from which on one "
        "warns: upper left is better. On the dashed line forecasts know nothing.",
    )  # fmt: skip


# -- calibration


def _ranks(exhibit: Exhibit) -> Figure | None:
    import numpy as np

    def chart(means: "list[xr.Dataset]") -> Chart:
        lines = []
        for row, each in enumerate(means):
            shares = each["ranks"].to_numpy()
            places = (np.arange(len(shares)) + 0.5) / len(shares)
            lines.append(_line(exhibit, row, places, shares * len(shares)))
        return Chart("rank of the outcome among the members, 0 to 1", "frequency", lines, ideal=1.0)

    return _figure(
        exhibit, _means(exhibit, ("rank-histogram", "coverage")), ("variable",), chart,
        "ranks", "Rank histogram",
        "How often the outcome has each rank among the members, over what is right; 1 is "
        "calibrated. A cup: too little spread; a dome: too much; a slope: a bias.",
    )  # fmt: skip


def _spread_skill(exhibit: Exhibit) -> Figure | None:
    means = _means(exhibit, ("spread-skill",))
    if not means:
        return None

    def chart(variable: int) -> Chart:
        own = [each.isel(variable=variable) for each in means]
        lines = []
        for row, each in enumerate(own):
            spread, error = (each[name].to_numpy() ** 0.5 for name in ("spread", "squared"))
            lines.append(_line(exhibit, row, error, spread))
        return Chart("root-mean-square error of the ensemble mean", "spread", lines)

    names = [str(each) for each in means[0]["variable"].to_numpy()]
    variants = [
        (f"{name}, {what}", made)
        for place, name in enumerate(names)
        for what, made in (
            ("spread and error", _by_lead(exhibit, [e.isel(variable=place) for e in means])),
            ("spread against error", chart(place)),
        )
    ]
    return Figure(
        "spread",
        "Spread and error",
        "Spread of the members (with the factor of finite ensembles), and error of their mean "
        "(dotted), by lead time. They are equal where the "
        "ensemble is reliable. Units are those of the variable.",
        variants,
    )


def _by_lead(exhibit: Exhibit, means: "list[xr.Dataset]") -> Chart:
    lines = []
    for row, each in enumerate(means):
        name = title(exhibit.board, row)
        spread, error = (finite(each[key].to_numpy() ** 0.5) for key in ("spread", "squared"))
        lines.append(Line(name, row, days(exhibit.board), spread))
        lines.append(Line(f"error of {name}", row, days(exhibit.board), error, second=True))
    return Chart("lead time, days", "spread, and error", lines, x_ticks=ticks(exhibit.board))


# -- scales


def _spectra(exhibit: Exhibit) -> Figure | None:
    return _power(
        exhibit, "spectrum", "outcome", "the outcome",
        "spectra", "Power by wavenumber",
        "Power of single members by octaves of wavenumber, beside that of the outcome (dashed): "
        "small scales that are missing, or too many.",
    )  # fmt: skip


def _spread_spectra(exhibit: Exhibit) -> Figure | None:
    return _power(
        exhibit, "law-spectrum", "law", "the law",
        "spread-spectra", "Power of the spread by wavenumber",
        "Power of what members differ by, beside that of draws of the law (dashed): at which "
        "scales the ensemble has too little spread. Only a known law can tell.",
    )  # fmt: skip


def _power(exhibit: Exhibit, scorer: str, other: str, called: str, *words: str) -> Figure | None:
    def chart(means: "list[xr.Dataset]") -> Chart:
        bands = [2.0**band for band in range(means[0].sizes["band"])]
        lines = [
            Line(called, None, bands, finite(means[0][other].to_numpy())),
            *(
                _line(exhibit, row, bands, each["members"].to_numpy())
                for row, each in enumerate(means)
            ),
        ]
        return Chart(
            "waves along the domain, from", "power", lines, x_log=True, y_log=True, x_ticks=bands
        )

    return _figure(exhibit, _means(exhibit, (scorer,)), ("variable",), chart, *words)
