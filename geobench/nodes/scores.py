"""The node of a score: statistics of every case of a forecast, by one scorer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.contracts.model import Progress
from geobench.contracts.scorer import Scorer
from geobench.errors import blaming
from geobench.forecasts.forecast import Forecast
from geobench.nodes import processes
from geobench.nodes.control import controls_of
from geobench.nodes.node import Computed, Entries, Job, Named, Node, Recipe
from geobench.nodes.piece_scoring import PieceScoring, PieceTask, Scored
from geobench.nodes.stored import Stored
from geobench.scoring import CASE_DIMS, Piece, check, cut, joined, overall, stored_size
from geobench.scoring import shaped_by_members as _shaped_by_members
from geobench.scoring.cells import GROUP as CELLS
from geobench.scoring.cells import mean_of_cells
from geobench.scoring.spreading import spread
from geobench.twin.cases import member_counts
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.nodes.engine import Engine


@dataclass(frozen=True, eq=False, repr=False)
class ScoreNode(Computed):
    """A forecast's score by a scorer; `law`: a forecast of the true distribution, if it needs one.

    `forecast` and `law` are nodes of forecasts.
    """

    forecast: Any
    scorer: Scorer
    law: Any = None
    kind: ClassVar[str] = "score"

    @cached_property
    def _parents(self) -> Mapping[str, Node]:
        dataset = self.forecast.dataset
        law = {"law": self.law} if self.law and self.scorer.needs_law else {}
        controls = controls_of(dataset, self.scorer)
        return {"forecast": self.forecast, "dataset": dataset} | law | controls

    def parents(self) -> Mapping[str, Node]:
        """Return forecast and dataset, and the law and control runs that the scorer needs."""
        return self._parents

    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return the scorer."""
        return self.scorer.recipe()

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return the names of the forecast and of the scorer."""
        return f"{parents['forecast'].name}.{self.scorer.name}"

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the labels of the forecast and the scorer's name."""
        return {**parents["forecast"].labels, "scorer": self.scorer.name}

    def work(self, recipe: Recipe, parents: Entries) -> tuple[Recipe, Entries]:
        """Return the forecast alone: it is read once for all scorers."""
        return {}, {"forecast": parents["forecast"]}

    @classmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that scores again."""
        catalog = engine.catalog
        law = None
        if "law" in entry.record.parents:
            law = Stored(catalog.parent(entry, "law"), catalog)
        forecast = Stored(catalog.parent(entry, "forecast"), catalog)
        return cls(forecast, engine.registry.scorer(entry.record.recipe), law)

    @classmethod
    def make(cls, engine: "Engine", jobs: Sequence[Job[Self]]) -> list[Entry]:
        """Score a forecast by several scorers, and publish a score of each."""
        forecast = engine.forecast(jobs[0].parents["forecast"])
        scorers = [job.node.scorer for job in jobs]
        laws = {entry.id: entry for job in jobs if (entry := job.parents.get("law"))}
        law = engine.forecast(next(iter(laws.values()))) if laws else None
        if law and law.entry.id != forecast.entry.id:
            forecast.check_against(law)
        made, began, seconds = list[Entry](), time.perf_counter(), 0.0
        with (
            engine.settled(shared=True),
            engine.watch(f"score {forecast.entry.record.name}") as progress,
        ):
            all_statistics = statistics(engine, forecast, scorers, law, progress)
            for scorer, job, cases in zip(scorers, jobs, all_statistics, strict=True):
                seconds = seconds or (time.perf_counter() - began) / len(scorers)  # at the first
                with blaming(f"the scorer {scorer.name}"):
                    scorer.check_files()
                if scorer.needs_law and law and law.entry.id == forecast.entry.id:
                    cases = cases.nothing()  # lies between the law and itself
                made.append(_publish(engine, job, scorer, cases, seconds))
        return made


@dataclass(frozen=True)
class Statistics:
    """A scorer's statistics of every case, and the means of each cell if it keeps them."""

    cases: "xr.Dataset"
    cells: "xr.Dataset | None" = None

    def nothing(self) -> "Statistics":
        """Return the same with zeros."""
        return Statistics(self.cases * 0, None if self.cells is None else self.cells * 0)


def _publish(
    engine: "Engine", job: Job[Any], scorer: Scorer, whole: Statistics, seconds: float
) -> Entry:
    import numpy as np

    statistics = whole.cases
    leads = statistics["lead_time"].to_numpy() / np.timedelta64(1, "h")
    with engine.draft(job, shared=True) as draft:
        draft.write(statistics)
        if whole.cells is not None:
            draft.write(whole.cells, group=CELLS)
        return draft.publish(
            {
                "cases": statistics.sizes["init_time"],
                "better": scorer.better,
                "lead_hours": leads.tolist(),
                "scores": overall(scorer, statistics),
                "scoring_seconds": seconds,
            }
        )


def statistics(
    engine: "Engine",
    forecast: Forecast,
    scorers: Sequence[Scorer],
    law: Forecast | None,
    progress: Progress,
) -> Iterator[Statistics]:
    """Yield statistics of a forecast by each scorer, computed here or on a scheduler's workers.

    The numbers do not depend on how the forecast is cut and where a piece is scored.
    """
    law = law if any(scorer.needs_law for scorer in scorers) else None
    members, draws = forecast.members, law.members if law else None
    check(scorers, members, forecast.frame(), draws)
    tasks = [*_tasks(engine, forecast, scorers, draws)]
    parts = [Scored([]) for _ in scorers]
    results = _spread(engine, PieceScoring(engine, forecast, law, scorers), tasks)
    for done, (task, by_scorer) in enumerate(zip(tasks, results, strict=True), 1):
        for index, scored in zip(task.scorers, by_scorer, strict=True):
            parts[index].portions.extend(scored.portions)
            parts[index].cells.extend(scored.cells)
        progress(done, len(tasks), "")
    for scorer, scored in zip(scorers, parts, strict=True):
        with blaming(f"the scorer {scorer.name}"):
            cases = joined(scorer, scored.portions)
        count = cases.sizes["init_time"]
        maps = mean_of_cells(scored.cells, count) if scored.cells else None
        scored.portions.clear()  # what several scorers share is held until the last has copied it
        yield Statistics(cases, maps)


def _spread(
    engine: "Engine", scoring: PieceScoring, tasks: Sequence[PieceTask]
) -> Iterator[list[Scored]]:
    if engine.scheduler:
        return spread(scoring, tasks, engine.scheduler)
    return processes.spread(scoring, tasks, engine.processes)


def _tasks(
    engine: "Engine",
    forecast: Forecast,
    scorers: Sequence[Scorer],
    draws: "xr.Dataset | None",
) -> Iterator[PieceTask]:
    """Cut a forecast into pieces that take a sixteenth of the memory, with the law's draws."""
    members = forecast.members
    cases = {dim: members.sizes[dim] for dim in CASE_DIMS}
    size = stored_size(members, draws)
    count = cases["init_time"] * cases["lead_time"]
    together = max(1, engine.memory // 16 // max(1, size // count))
    for indices, counts in _groups(engine, forecast, scorers, draws):
        chosen = [scorers[index] for index in indices]
        for piece in cut(chosen, cases, size, together):
            yield PieceTask(piece, indices, counts)


def _groups(
    engine: "Engine",
    forecast: Forecast,
    scorers: Sequence[Scorer],
    draws: "xr.Dataset | None",
) -> list[tuple[list[int], list[int] | None]]:
    """Indices of the scorers that are given the same pieces, and the members of each init.

    Where inits differ in number of members, each is scored with its own number. Scorers that count
    ranks could not average their statistics then: they get as many members as the smallest init.
    """
    together, counts = _read_together(scorers), member_counts(forecast.entry)
    if counts is None:
        return [(indices, None) for indices in together]
    most = counts.index(max(counts))
    case = Piece((most, most + 1), (0, forecast.members.sizes["lead_time"]))
    truth, context = forecast.outcome(case), engine.context(forecast.dataset, scorers)
    ranked = {
        index
        for index, scorer in enumerate(scorers)
        if _shaped_by_members(scorer, case, forecast.members, truth, context, counts, draws)
    }
    groups: list[tuple[list[int], list[int] | None]] = []
    for indices in together:
        for members, part in (
            (counts, [index for index in indices if index not in ranked]),
            ([min(counts)] * len(counts), [index for index in indices if index in ranked]),
        ):
            if part:
                groups.append((part, members))
    return groups


def _read_together(scorers: Sequence[Scorer]) -> list[list[int]]:
    """Indices of the scorers that are given the same pieces."""
    groups = [
        [index for index, scorer in enumerate(scorers) if scorer.whole_paths == whole]
        for whole in (False, True)
    ]
    return [group for group in groups if group]
