"""The node of a score: statistics of every case of a forecast, by one scorer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.contracts.model import Progress
from geobench.contracts.scorer import Scorer
from geobench.errors import blaming
from geobench.forecasts.forecast import Forecast
from geobench.nodes import processes
from geobench.nodes.control import controls_of
from geobench.nodes.node import Computed, Entries, Job, Named, Node, Recipe
from geobench.nodes.stored import Stored
from geobench.scoring import CASE_DIMS, Piece, check, cut, joined, of_piece, overall, stored_size
from geobench.scoring import shaped_by_members as _shaped_by_members
from geobench.scoring.spreading import spread
from geobench.training import numerics
from geobench.twin.cases import member_counts
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts.scorer import Context
    from geobench.nodes.engine import Engine


@dataclass(frozen=True, eq=False)
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
        made = []
        with (
            engine.settled(shared=True),
            engine.watch(f"score {forecast.entry.record.name}") as progress,
        ):
            all_statistics = statistics(engine, forecast, scorers, law, progress)
            for scorer, job, scorer_statistics in zip(scorers, jobs, all_statistics, strict=True):
                with blaming(f"the scorer {scorer.name}"):
                    scorer.check_files()
                if scorer.needs_law and law and law.entry.id == forecast.entry.id:
                    # Nothing lies between the law and itself.
                    scorer_statistics = scorer_statistics * 0
                made.append(_publish(engine, job, scorer, scorer_statistics))
        return made


def _publish(engine: "Engine", job: Job[Any], scorer: Scorer, statistics: "xr.Dataset") -> Entry:
    import numpy as np

    leads = statistics["lead_time"].to_numpy() / np.timedelta64(1, "h")
    with engine.draft(job, shared=True) as draft:
        draft.write(statistics)
        return draft.publish(
            {
                "cases": statistics.sizes["init_time"],
                "better": scorer.better,
                "lead_hours": leads.tolist(),
                "scores": overall(scorer, statistics),
            }
        )


@dataclass(frozen=True)
class PieceTask:
    """A piece of a forecast, and the scorers that it is for."""

    piece: Piece
    scorers: Sequence[int]
    """Indices of the scorers."""
    counts: Sequence[int] | None = None
    """How many members each init is scored with, where that differs; default: all."""


@dataclass
class PieceScoring:
    """Scores pieces of a forecast.

    Sent to another process, it opens the catalog there by its address and scores with the same
    number of threads.
    """

    engine: "Engine"
    forecast: Forecast
    law: Forecast | None
    scorers: Sequence[Scorer]
    threads: int | None = None
    contexts: "dict[tuple[int, ...], Context]" = field(default_factory=dict, repr=False)
    """What scorers may know, by their indices."""

    def __call__(self, task: PieceTask) -> "list[list[tuple[Piece, xr.Dataset]]]":
        """Return the statistics of each scorer of a task, by portions of its piece."""
        scorers = [self.scorers[index] for index in task.scorers]
        with numerics.settled(self.threads) if self.threads else nullcontext():
            return of_piece(
                scorers,
                task.piece,
                self.forecast.members,
                self.forecast.outcome(task.piece),
                self._context(tuple(task.scorers)),
                law=self.law.members if self.law else None,
                counts=task.counts,
                reading=self.forecast.entry.reading,
                reading_law=self.law.entry.reading if self.law else nullcontext,
                blaming=blaming,
            )

    def _context(self, indices: tuple[int, ...]) -> "Context":
        if indices not in self.contexts:
            scorers = [self.scorers[index] for index in indices]
            self.contexts[indices] = self.engine.context(self.forecast.dataset, scorers)
        return self.contexts[indices]

    def __reduce__(self) -> tuple[Any, ...]:
        """Send references, recipes and addresses instead of what is open here."""
        import torch

        catalog = self.engine.catalog
        return _opened, (
            self.engine,
            Stored(self.forecast.entry, catalog),
            Stored(self.law.entry, catalog) if self.law else None,
            json.dumps([scorer.recipe() for scorer in self.scorers]),
            self.threads or torch.get_num_threads(),
        )


@lru_cache(2)
def _opened(
    engine: "Engine", forecast: Stored, law: Stored | None, recipes: str, threads: int
) -> PieceScoring:
    scorers = [engine.registry.scorer(recipe) for recipe in json.loads(recipes)]
    drawn, draws = engine.forecast(forecast.entry), engine.forecast(law.entry) if law else None
    return PieceScoring(engine, drawn, draws, scorers, threads)


def statistics(
    engine: "Engine",
    forecast: Forecast,
    scorers: Sequence[Scorer],
    law: Forecast | None,
    progress: Progress,
) -> "Iterator[xr.Dataset]":
    """Yield statistics of a forecast by each scorer, computed here or on a scheduler's workers.

    The numbers do not depend on how the forecast is cut and where a piece is scored.
    """
    law = law if any(scorer.needs_law for scorer in scorers) else None
    members, draws = forecast.members, law.members if law else None
    check(scorers, members, forecast.frame(), draws)
    tasks = [*_tasks(engine, forecast, scorers, draws)]
    parts: list[list[tuple[Piece, xr.Dataset]]] = [[] for _ in scorers]
    results = _spread(engine, PieceScoring(engine, forecast, law, scorers), tasks)
    for done, (task, by_scorer) in enumerate(zip(tasks, results, strict=True), 1):
        for index, portions in zip(task.scorers, by_scorer, strict=True):
            parts[index].extend(portions)
        progress(done, len(tasks), "")
    for scorer, scorer_parts in zip(scorers, parts, strict=True):
        with blaming(f"the scorer {scorer.name}"):
            whole = joined(scorer, scorer_parts)
        scorer_parts.clear()  # what several scorers share is held until the last has copied it
        yield whole


def _spread(
    engine: "Engine", scoring: PieceScoring, tasks: Sequence[PieceTask]
) -> "Iterator[list[list[tuple[Piece, xr.Dataset]]]]":
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
