"""The pages of a site, from templates; every name in them is escaped and isolated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geobench.leaderboard import (
    board_charts,
    chart_svg,
    curves,
    groups,
    page,
    page_data,
    scorecard,
)
from geobench.leaderboard.charts import Figure
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.gallery import Scene
from geobench.leaderboard.looks import looks
from geobench.leaderboard.plain import in_page
from geobench.leaderboard.provenance import origins, remakes
from geobench.leaderboard.text import decimals, headline_leads

Exact = Mapping[str, Sequence[tuple[str, float, float, float, float]]]
"""Of forecasts by reference: score, its value, the law's, p and q of the exact test."""


@dataclass(frozen=True)
class Sheet:
    """What is on a page, within the frame that all pages of a site have.

    `of`: the page of its experiment, if it has one.
    """

    path: str
    of: str
    title: str
    text: str
    scripts: bool = False


@dataclass(frozen=True)
class Wall:
    """An exhibit and what is shown with it: the names of its pages, exact tests, pictures."""

    page: str
    study: str
    exhibit: Exhibit
    entries: Sequence[str]
    exact: Exact
    scenes: Sequence[Scene]


def sheets(wall: Wall) -> Iterator[Sheet]:
    """Return the pages of a board: its own, one of every number, one for each entry."""
    templates, board, here = page.environment(), wall.exhibit.board, wall.page
    title = board.title or board.name

    def made(template: str, **values: Any) -> str:
        told = {"here": here, "board": board, **values}
        return str(templates.get_template(f"site/{template}").render(told))

    shown = {"study": wall.study, "entries": wall.entries, "exact": wall.exact}
    text = made("experiment.html", scenes=wall.scenes, **shown, **_shown(wall.exhibit))
    yield Sheet(f"experiments/{here}.html", here, title, text, scripts=True)
    digits = [decimals(column) for column in board.columns]
    text = made("scores.html", digits=digits, seeds=board.seeds)
    yield Sheet(f"experiments/{here}-scores.html", here, f"Every number · {title}", text)
    for row, own, entry in zip(board.rows, wall.exhibit.competitors, wall.entries, strict=True):
        text = made(
            "entry.html",
            row=row,
            told=wall.exhibit.words.get(str(own.forecaster.record.recipe["model"].get("use")), ""),
            origins=origins(wall.exhibit, own),
            remakes=list(remakes(wall.exhibit, own, imported=row.imported)),
            exact=wall.exact.get(row.entries["forecast"], ()),
        )
        yield Sheet(f"entries/{entry}.html", here, f"{row.label} · {title}", text)


def _shown(exhibit: Exhibit) -> dict[str, Any]:
    """What the page of an experiment shows."""
    from markupsafe import Markup

    board = exhibit.board
    own = looks(board)
    made = every_figure(exhibit)
    cards = scorecard.scorecards(exhibit)
    lead = len(board.lead_hours) // 2 - (len(board.lead_hours) > 1)
    data = page_data.data(board, own, made, cards)
    several = len(exhibit.spec.variables) > 1
    variables = [each.name for each in exhibit.spec.variables] if several else []
    return {
        "variables": variables,
        "variable_of": lambda column: next((v for v in variables if v in column.name.split()), ""),
        "words": lambda group: list(groups.words(group, board, exhibit.scorers)),
        "figures": {f.key: (f, Markup(chart_svg.text(f.chart, own))) for f in made},  # noqa: S704
        "cards": cards,
        "against": scorecard.reference_row(board),
        "groups": groups.groups(exhibit),
        "best": groups.best,
        "digits": [decimals(column) for column in board.columns],
        "lead": lead,
        "names": [each.name for each in own],
        "leads": headline_leads(board),
        "scale": page.scale(board),
        "data": Markup(in_page(data)),  # noqa: S704 # it has no '<' in it
    }


def every_figure(exhibit: Exhibit) -> list[Figure]:
    """All figures of a board."""
    board = exhibit.board
    of_board = (board_charts.excess(board), board_charts.ideals(board), board_charts.pareto(board))
    return [*(figure for figure in of_board if figure is not None), *curves.figures(exhibit)]
