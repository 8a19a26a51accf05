"""Pages of studies as nodes: those of a board are made from its scores, a site from all pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.errors import GeobenchError
from geobench.nodes.engine import Engine
from geobench.nodes.node import Folder, Named, Node
from geobench.study import compare
from geobench.study.file import Study
from geobench.study.graph import StudyGraph

if TYPE_CHECKING:
    from geobench.board.comparison import Comparison
    from geobench.site.board_pages import BoardPages


@dataclass(frozen=True)
class Rows:
    """What the rows of a board are, beside those of the study file."""

    guests: tuple[str, ...] = ()
    """References of forecasts."""
    exchanges: int | None = None
    """Exchanges of exact tests; None: no tests."""
    _: KW_ONLY
    by_model: bool = False
    """Whether a row is a model, the mean over its seeds."""


@dataclass(frozen=True)
class BoardPart:
    """The pages of a board."""

    study: Study
    study_name: str
    experiment: str
    rows: Rows
    work: float

    @property
    def name(self) -> str:
        """The experiment."""
        return self.experiment

    def make(self, engine: Engine) -> "MadeBoard":
        """Make the pages from what is in the catalog; guests are scored if they are not yet."""
        from geobench.site import board_pages

        graph, rows = StudyGraph(self.study, engine.registry), self.rows
        graph.invite(engine, rows.guests)
        outcome = compare.boards(graph, engine, only=self.experiment, by_model=rows.by_model)
        (comparison,) = outcome.comparisons
        exact = {}
        if rows.exchanges:
            exact = compare.exact(graph, engine, comparison, rows.exchanges)
        page = board_pages.page_of(self.study_name, self.experiment)
        title = self.study.title or self.study_name
        shown = board_pages.Shown(page, title, comparison.board, comparison, exact)
        return MadeBoard(board_pages.board_pages(shown), outcome.failures)


@dataclass(frozen=True)
class MadeBoard:
    """The pages of a board, and what failed."""

    pages: "BoardPages"
    failures: list[GeobenchError]


@dataclass(frozen=True)
class Site:
    """What was written: its board.json, and what failed on the way."""

    document: Mapping[str, Any]
    failures: list[GeobenchError]
    sound: bool
    """Whether no row is incomplete or degenerate."""


@dataclass(frozen=True, eq=False, repr=False)
class SiteNode(Folder):
    """The site of some studies: a folder of pages."""

    studies: Sequence[tuple[str, StudyGraph]]
    """Name and graph of each; guests are invited already."""
    rows: Sequence[Rows]
    """Of each study."""
    title: str | None = None
    kind: ClassVar[str] = "site"

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return the title of the progress bar."""
        count = sum(len(graph.experiments) for _, graph in self.studies)
        return f"pages of {count} board{'' if count == 1 else 's'}"

    @cached_property
    def _parents(self) -> dict[str, Node]:
        return {
            f"{study}/{experiment}/{index}": node
            for study, graph in self.studies
            for experiment in graph.experiments
            for index, node in enumerate(graph.of(experiment).nodes())
        }

    def parents(self) -> Mapping[str, Node]:
        """Return everything that its boards show."""
        return self._parents

    def parts(self, engine: Engine) -> list[BoardPart]:
        """Return a part for each board; raise if two would have the same pages."""
        from geobench.site import build

        parts = [
            BoardPart(graph.study, name, experiment, rows, self._work(engine, graph, experiment))
            for (name, graph), rows in zip(self.studies, self.rows, strict=True)
            for experiment in graph.experiments
        ]
        build.check_apart([(part.study_name, part.experiment) for part in parts])
        return parts

    def _work(self, engine: Engine, graph: StudyGraph, experiment: str) -> float:
        """Scores of a board, about: entries, lead times and variables."""
        dataset = engine.find(graph.of(experiment).dataset)
        variables = len(engine.dataset(dataset).spec.variables) if dataset else 0
        return len(graph.cells) * graph.experiments[experiment].leads * variables

    def write(self, folder: Path, parts: Iterator[MadeBoard]) -> Site:
        """Write all pages; what was there before is compared with, and replaced."""
        from geobench.site import build, changes

        changes.last_build(folder)  # is an error before anything is computed
        boards: list[BoardPages] = []
        failures: list[GeobenchError] = []
        for part in parts:
            boards.append(part.pages)
            failures += part.failures
        titles = list(dict.fromkeys(board.overview.study for board in boards))
        heading = self.title or (titles[0] if len(titles) == 1 else "Leaderboard")
        document = build.build(boards, folder, title=heading, notes=[str(f) for f in failures])
        return Site(document, failures, all(board.sound for board in boards))


def site_node(
    engine: Engine,
    studies: Sequence[tuple[str, Study]],
    rows: Rows,
    *,
    imported: bool,
    title: str | None = None,
) -> SiteNode:
    """Return the node of a site of studies, (name, study); a wrong guest is an error at once.

    `imported`: show forecasts that were imported for the same datasets, too.
    """
    graphs, shown = [], []
    for name, study in studies:
        graph = StudyGraph(study, engine.registry)
        guests = (*rows.guests, *(graph.imported(engine) if imported else ()))
        graph.invite(engine, guests)
        graphs.append((name, graph))
        shown.append(replace(rows, guests=guests))
    return SiteNode(graphs, shown, title)


def in_one_file(outcome: compare.Outcome, name: str, title: str) -> str:
    """Return the pages of all boards as the text of one file."""
    from geobench.site.board_pages import Shown, board_pages, page_of
    from geobench.site.one_file import one_file

    # Boards of some of the cases have no entries of their own.
    comparisons: Sequence[Comparison | None] = outcome.comparisons or [None] * len(outcome.boards)
    pages = [
        board_pages(
            Shown(page_of(name, f"{board.name}-{index}"), title, board, comparison, in_file=True)
        )
        for index, (board, comparison) in enumerate(zip(outcome.boards, comparisons, strict=True))
    ]
    return one_file(pages, title=title, notes=[str(failure) for failure in outcome.failures])


def paper_figures(outcome: compare.Outcome, folder: Path) -> list[Path]:
    """Write figures for papers of all boards into a folder; return the files."""
    from geobench.plots import paper

    return [
        file for comparison in outcome.comparisons for file in paper.save_all(comparison, folder)
    ]
