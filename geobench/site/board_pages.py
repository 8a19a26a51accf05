"""The pages of a board: its own, one of every number, and one for each entry.

They are plain data, finished but for the frame around each, so that another process may make them.
The statistics of every case, which they are made of, are not kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from geobench.board import families, scorecard
from geobench.board.comparison import Comparison
from geobench.board.model import Board
from geobench.board.slugs import slug
from geobench.board.soundness import all_sound
from geobench.board.text import seeds
from geobench.plots import svg
from geobench.plots.chart import Figure, numbers
from geobench.plots.figures import figures, series_styles
from geobench.site import lineage, overview, ranking_tables, score_tables
from geobench.site.member_pictures import Picture, Scene, scenes
from geobench.site.overview import Overview
from geobench.site.page import Links, LinksInFile, Page
from geobench.site.ranking_tables import Exact
from geobench.site.rendering import render
from geobench.site.script_data import data
from geobench.tables.glossary import Term, anchor
from geobench.tables.html import html
from geobench.tables.json import in_page


@dataclass(frozen=True)
class BoardPages:
    """A board with its pages and pictures. `numbers` are its numbers, as JSON values."""

    page: str
    name: str
    overview: Overview
    newest: datetime | None
    """When the youngest number was made; None: nothing is known of that."""
    numbers: Mapping[str, Any]
    pages: Sequence[Page]
    pictures: Mapping[str, bytes]
    """By path in the site."""
    scores: Sequence[Term] = ()
    """What the scorers of the board say of themselves, for the glossary."""
    sound: bool = True
    """Whether no row is incomplete or degenerate."""


@dataclass(frozen=True)
class Shown:
    """A board with all that its pages show. Without a `comparison` that is the board alone."""

    page: str
    study: str
    board: Board
    comparison: Comparison | None = None
    exact: Exact = field(default_factory=dict)
    in_file: bool = False
    """Whether all pages stand in one file."""


def page_of(study: str, experiment: str) -> str:
    """Name of the page of a board."""
    return slug(f"{study}-{experiment}")


def board_pages(shown: Shown) -> BoardPages:
    """Make the pages of a board."""
    board, comparison, page = shown.board, shown.comparison, shown.page
    mapped = comparison is not None and len(comparison.spec.dims) <= 2
    seen = scenes(comparison) if comparison and mapped else []
    pictures = {f"gallery/{page}/{picture.file}": picture.png for picture in _pictures(seen)}
    links = LinksInFile(pictures=pictures) if shown.in_file else Links()
    entries = _entries(board, page) if comparison else []
    pages = [_board_page(shown, entries, seen, links), _every_number(shown, links)]
    if comparison:
        pages += _entry_pages(shown, comparison, entries, links)
    return BoardPages(
        page,
        board.name,
        overview.overview(board, shown.study, entries or [""] * len(board.rows)),
        lineage.newest(comparison) if comparison else None,
        overview.numbers(board),
        pages,
        pictures,
        _scores(shown),
        all_sound([board]),
    )


def _entries(board: Board, page: str) -> list[str]:
    """Names of the pages of the rows."""
    return [
        slug(f"{page}-{row.label}-s{row.seed}-{row.entries['forecast'].partition('@')[2]}")
        for row in board.rows
    ]


def _scores(shown: Shown) -> list[Term]:
    """The scorers of a board as terms of the glossary."""
    first = {column.scorer: column.name for column in reversed(shown.board.columns)}
    return [
        Term(
            first[scorer.name],
            f"{scorer.summary()} Scorer: `{scorer.name}`.",
            anchor(score_tables.word_of(scorer.name)),
        )
        for scorer in (shown.comparison.scorers if shown.comparison else ())
        if scorer.name in first
    ]


def _pictures(seen: Sequence[Scene]) -> list[Picture]:
    return [
        *(scene.bar for scene in seen),
        *(strip.picture for scene in seen for strip in scene.strips),
    ]


def _board_page(shown: Shown, entries: Sequence[str], seen: Sequence[Scene], links: Links) -> Page:
    """The page of the board: ranking, scores, scorecard, cost, members."""
    from markupsafe import Markup

    board, path = shown.board, f"experiments/{shown.page}.html"
    scorers = shown.comparison.scorers if shown.comparison else ()
    drawn = figures(board, shown.comparison)
    cards = scorecard.scorecards(shown.comparison) if shown.comparison else []
    against = scorecard.reference_row(board)
    text = render(
        "board.html",
        **_common(shown, path, links),
        study=shown.study,
        exact=ranking_tables.exact_tests(board, shown.exact) if shown.exact else None,
        scenes=seen,
        ranking=ranking_tables.ranking(board, entries, links),
        over_seeds=ranking_tables.over_seeds(board) if board.models else None,
        joined=any(len(row.seeds) > 1 for row in board.rows),
        cost=ranking_tables.cost(board),
        figures=_by_section(board, drawn),
        cards=cards,
        against=against,
        scorecard=score_tables.scorecard(board, cards[0], against) if cards else None,
        entries=entries,
        data=Markup(in_page(data(board, drawn, cards))),  # noqa: S704 # it has no '<' in it
        **_groups(shown, scorers),
    )
    return Page(path, shown.page, board.title or board.name, text, scripts=True)


def _common(shown: Shown, path: str, links: Links) -> dict[str, Any]:
    """What every page of a board shows."""
    board_path = f"experiments/{shown.page}.html"
    return {
        "board": shown.board,
        "links": links,
        "table": partial(html, definition=links.definition),
        "id": lambda name: links.id(path, name),
        "board_path": board_path,
        "scores_path": f"experiments/{shown.page}-scores.html",
        "gallery": f"gallery/{shown.page}",
    }


def _groups(shown: Shown, scorers: Sequence[Any]) -> dict[str, Any]:
    """The scores of the board by family, each with its table."""
    board = shown.board
    variables = [v.name for v in shown.comparison.spec.variables] if shown.comparison else []
    variable_of = score_tables.variables_of(variables)
    lead = len(board.lead_hours) // 2 - (len(board.lead_hours) > 1)
    groups = [
        (group, score_tables.of_group(board, group, lead, variable_of))
        for group in families.groups(board, scorers)
    ]
    return {"groups": groups, "lead": lead, "variables": variables if variable_of else []}


def _by_section(board: Board, drawn: Sequence[Figure]) -> dict[str, list[tuple[Figure, Any, Any]]]:
    """Each figure with its drawing and its numbers, by the section where it stands."""
    from markupsafe import Markup

    styles = series_styles(board)
    sections: dict[str, list[tuple[Figure, Any, Any]]] = {}
    for figure in drawn:
        still = Markup(svg.text(figure.chart, styles))  # noqa: S704 # names in it are escaped
        sections.setdefault(figure.section, []).append((figure, still, numbers(figure.chart)))
    return sections


def _every_number(shown: Shown, links: Links) -> Page:
    """The page of every number."""
    board, path = shown.board, f"experiments/{shown.page}-scores.html"
    title = board.title or board.name
    columns = [
        (column, score_tables.described(column), score_tables.every_lead(board, column))
        for column in board.columns
    ]
    text = render("scores.html", **_common(shown, path, links), columns=columns)
    return Page(path, shown.page, f"Every number · {title}", text)


def _entry_pages(
    shown: Shown, comparison: Comparison, entries: Sequence[str], links: Links
) -> Iterator[Page]:
    """A page for each row: what it is, where it comes from, how to make it again."""
    board = shown.board
    for row, competitor, entry in zip(board.rows, comparison.competitors, entries, strict=True):
        path = f"entries/{entry}.html"
        exact = shown.exact.get(row.entries["forecast"])
        origins = lineage.origins(comparison, competitor)
        model = str(competitor.forecaster.record.recipe["model"].get("use"))
        text = render(
            "entry.html",
            **_common(shown, path, links),
            row=row,
            seeds=seeds(row),
            count=len([row for row in board.rows if not row.knows_law]),
            words=comparison.words.get(model, ""),
            exact=ranking_tables.exact_of_entry(exact) if exact else None,
            reproduction=lineage.reproduction(comparison, competitor, imported=row.imported),
            lineage=lineage.lineage(origins),
            origins=origins,
        )
        yield Page(path, shown.page, f"{row.label} · {board.title or board.name}", text)
