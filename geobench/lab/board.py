"""A board in a notebook: the comparison of some models with the true distribution."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench.lab.views import View
from geobench.study import compare, pages

if TYPE_CHECKING:
    import pandas as pd

    from geobench.board.comparison import Comparison
    from geobench.board.model import Board as Numbers
    from geobench.lab.lab import Lab
    from geobench.study.file import Study


@dataclass(frozen=True, repr=False, eq=False)
class Boards:
    """The boards of a study, one for each experiment, and what went wrong."""

    lab: "Lab"
    study: "Study"
    name: str
    outcome: compare.Outcome
    rows: pages.Rows = pages.Rows()  # noqa: RUF009 # it is frozen

    @property
    def failures(self) -> list[str]:
        """What went wrong, a line each; the rest is there."""
        return [str(failure) for failure in self.outcome.failures]

    def board(self, experiment: str | None = None) -> "Board":
        """Return the board of an experiment; default: the only one."""
        names = [board.name for board in self.outcome.boards]
        if experiment is None and len(names) == 1:
            experiment = names[0]
        if experiment not in names:
            raise GeobenchError(
                f"there is no board '{experiment}'. Choose one of: {', '.join(names) or 'none'}."
                if experiment
                else f"there are several boards. Choose one of: {', '.join(names)}."
            )
        return Board(self, names.index(experiment))

    def __iter__(self) -> Any:
        return (Board(self, index) for index in range(len(self.outcome.boards)))

    def __len__(self) -> int:
        return len(self.outcome.boards)

    def site(self, folder: str | Path, *, title: str | None = None, exchanges: int | None = None):  # type: ignore[no-untyped-def]
        """Build the site of the boards in a folder; return the path of its first page."""
        return self.lab.site(
            {self.name: self.study},
            folder,
            title=title,
            guests=self.rows.guests,
            by_model=self.rows.by_model,
            exchanges=exchanges,
        )

    def html(self, file: str | Path) -> Path:
        """Write the pages of the boards into one file that needs nothing beside it."""
        title = self.study.title or self.name
        text = pages.in_one_file(self.outcome, self.name, title)
        Path(file).write_text(text, "utf-8")
        return Path(file)

    def figures(self, folder: str | Path) -> list[Path]:
        """Write figures for papers, as SVG and PDF."""
        return pages.paper_figures(self.outcome, Path(folder))

    @property
    def frame(self) -> "pd.DataFrame":
        """Every number of every board: a row for each experiment, model, score and lead time."""
        return frame_of([board.numbers for board in self])

    @property
    def _view(self) -> View:
        return View([table for board in self for table in board.view.tables])

    def __repr__(self) -> str:
        return "\n".join([repr(self._view), *self.failures])

    def _repr_html_(self) -> str:
        from html import escape

        failed = "".join(f"<p>{escape(failure)}</p>" for failure in self.failures)
        return self._view._repr_html_() + failed


@dataclass(frozen=True, repr=False, eq=False)
class Board:
    """One experiment: models in order of their excess, with rank ranges and intervals.

    It prints as the ranking. `board.frame` has every number, `board.compare(a, b)` the paired
    differences of two models, `board.plot("skill_by_lead")` a picture, `board.site("out")` pages.
    """

    boards: Boards
    index: int

    @property
    def numbers(self) -> "Numbers":
        """The numbers, as dataclasses."""
        return self.boards.outcome.boards[self.index]

    @property
    def comparison(self) -> "Comparison":
        """The numbers with the entries behind them."""
        comparisons = self.boards.outcome.comparisons
        if self.index >= len(comparisons):
            raise GeobenchError("a board of some of the cases has no entries of its own.")
        return comparisons[self.index]

    @cached_property
    def view(self) -> View:
        """The ranking, and how much seeds differ."""
        from geobench.board.ranking import rankings

        return View(rankings(self.numbers))

    @property
    def frame(self) -> "pd.DataFrame":
        """Every number with its interval: a row for each model, score and lead time."""
        return frame_of([self.numbers])

    @property
    def ranking(self) -> "pd.DataFrame":
        """The numbers of the ranking: a row for each model."""
        return self.view.frame

    @property
    def study(self) -> "Study":
        """The board as a study: `board.study.to_yaml("mine.yaml")`, then `geobench leaderboard`.

        Forecasts that were compared are named by their references; of several seeds each has a
        label of its own.
        """
        boards, lab = self.boards, self.boards.lab
        forecasts = [lab.get(reference) for reference in boards.rows.guests]
        labels = [forecast.label for forecast in forecasts]
        named = {
            label if labels.count(label) == 1 else f"{label}-s{forecast.seed}": {
                "forecast": forecast.reference
            }
            for label, forecast in zip(labels, forecasts, strict=True)
        }
        models = {**boards.study.models, **named}
        return boards.study.model_copy(update={"models": models})

    def compare(self, first: str, second: str) -> "pd.DataFrame":
        """Return paired differences of two models, by score and lead time.

        Columns: scorer, score, lead_hours, `first`, `second` (mean scores), difference (first less
        second), low, high (95 %), p (two-sided), p_corrected (Holm, over all rows), better (label
        of the model that is better beyond doubt, after the correction; else empty).
        """
        from geobench.board.paired import paired

        return paired(self.comparison, first, second)

    def plot(self, kind: str = "skill_by_lead", **options: Any) -> Any:
        """Draw it; return the axes: see the functions of `geobench.plots`.

        `kind`: skill_by_lead, excess_by_lead, skill_against_cost, pairwise, or a curve of the
        board's scorers: rank_histogram, reliability, spectra. Options: `score`, `models`, `ax`.
        """
        from geobench.lab.drawing import plot_board

        return plot_board(self, kind, **options)

    def site(self, folder: str | Path, **options: Any) -> Path:
        """Build the site of its study in a folder; return the path of its first page."""
        page: Path = self.boards.site(folder, **options)
        return page

    def to_latex(self) -> str:
        """Return the ranking as LaTeX, for a paper."""
        from geobench.board.ranking import for_papers

        return View([for_papers(self.numbers)]).to_latex()

    def to_markdown(self) -> str:
        """Return the ranking as Markdown."""
        from geobench.board.ranking import for_papers

        return View([for_papers(self.numbers)]).to_markdown()

    def __repr__(self) -> str:
        return repr(self.view)

    def _repr_html_(self) -> str:
        return self.view._repr_html_()


def frame_of(boards: "Sequence[Numbers]") -> "pd.DataFrame":
    """Return every number of boards as a frame."""
    import pandas as pd

    from geobench.board.every_number import every_number

    table = every_number(boards)
    columns: dict[str, list[Any]] = {}
    for index, column in enumerate(table.columns):
        cells = [row.cells[index] for row in table.rows]
        columns[column.key] = [cell.value for cell in cells]
        for end, key in enumerate(column.end_keys or ()):
            columns[key] = [cell.ends[end] if cell.ends else None for cell in cells]
    return pd.DataFrame(columns)
