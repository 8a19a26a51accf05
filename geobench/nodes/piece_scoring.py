"""Scoring of one piece of a forecast, here or in another process."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from geobench.contracts.scorer import Scorer
from geobench.errors import blaming
from geobench.forecasts.forecast import Forecast
from geobench.nodes.stored import Stored
from geobench.scoring import Piece, applied, of_piece
from geobench.scoring.cells import CellSums, by_cell
from geobench.training import numerics

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts.scorer import Context
    from geobench.nodes.engine import Engine
    from geobench.scoring.apply import Apply


@dataclass(frozen=True)
class PieceTask:
    """A piece of a forecast, and the scorers that it is for."""

    piece: Piece
    scorers: Sequence[int]
    """Indices of the scorers."""
    counts: Sequence[int] | None = None
    """How many members each init is scored with, where that differs; default: all."""


@dataclass(frozen=True)
class Scored:
    """What a scorer says of a piece: statistics of its portions, and their sums by cell."""

    portions: "list[tuple[Piece, xr.Dataset]]"
    cells: list[tuple[Piece, CellSums]] = field(default_factory=list)


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

    def __call__(self, task: PieceTask) -> "list[Scored]":
        """Return what each scorer of a task says of its piece."""
        scorers = [self.scorers[index] for index in task.scorers]
        with numerics.settled(self.threads) if self.threads else nullcontext():
            scored = [Scored(portions) for portions in self._of_piece(scorers, task)]
            mapped = [index for index, scorer in enumerate(scorers) if scorer.maps]
            if mapped:  # the piece is read once more
                maps = self._of_piece([scorers[i] for i in mapped], task, by_cell)
                for index, portions in zip(mapped, maps, strict=True):
                    sums = [(piece, CellSums.of(values)) for piece, values in portions]
                    scored[index] = replace(scored[index], cells=sums)
        return scored

    def _of_piece(
        self, scorers: Sequence[Scorer], task: PieceTask, apply: "Apply" = applied
    ) -> "list[list[tuple[Piece, xr.Dataset]]]":
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
            apply=apply,
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
