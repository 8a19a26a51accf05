"""A scored forecast, as a board compares it: its entries in the catalog, and its statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from geobench.board import soundness
from geobench.entries.recipes import is_imported
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Competitor:
    """A scored forecast. `scores` stand in the order of the board's scorers."""

    label: str
    seed: int
    forecaster: Entry
    forecast: Entry
    scores: Sequence[Entry]
    others: "Sequence[Competitor]" = ()
    """Further seeds of the model, of which it stands for the mean."""
    joined: bool = False
    """Whether it stands for all seeds of its model, be there one or several."""

    against_law: Mapping[int, Entry] = field(default_factory=dict)
    """Scores by the law forms of the board's scorers, by index in `scores`."""

    read: "dict[tuple[int, bool], xr.Dataset]" = field(default_factory=dict, repr=False)
    """Statistics that have been read, by index in `scores`, and whether by the law form."""

    @property
    def knows_law(self) -> bool:
        """Whether it is given the true distribution: it is then no candidate.

        Of what was imported nobody here knows, whatever its record claims.
        """
        return bool(self.forecaster.record.summary["knows_law"]) and not self.imported

    @cached_property
    def imported(self) -> bool:
        """Whether it came from elsewhere, and does not count as made here."""
        origins = self.forecaster.origin, self.forecast.origin
        return is_imported(self.forecaster.record) or "imported" in origins

    @property
    def trained(self) -> bool:
        """Whether it has parameters, which a training with another seed would change."""
        return bool(self.forecaster.record.summary.get("parameters"))

    @cached_property
    def copies(self) -> str:
        """Which members are copies of one another, by seed; "" if none."""
        by_seed = {run.seed: soundness.copies(run.forecast) for run in self.runs}
        copied = {seed: text for seed, text in by_seed.items() if text}
        if len(set(copied.values())) == 1 and len(copied) == len(by_seed):
            return next(iter(copied.values()))
        return "; ".join(f"seed {seed}: {text}" for seed, text in copied.items())

    def read_all(self, like: "Competitor") -> None:
        """Read the statistics of every score; `CatalogError` if any is damaged."""
        for scorer in range(len(self.scores)):
            self.statistics(scorer, like=like)
        for scorer in self.against_law:
            known = like if scorer in like.against_law else None
            self.statistics(scorer, like=known, against_law=True)

    @property
    def runs(self) -> "list[Competitor]":
        """All its seeds, itself first."""
        return [self, *self.others]

    def statistics(
        self, scorer: int, like: "Competitor | None" = None, *, against_law: bool = False
    ) -> "xr.Dataset":
        """Return the statistics of each case; they are read once.

        `scorer`: index of the scorer in `scores`. `against_law`: by its law form. From a competitor
        that is `like` this one, coordinates are taken where they are the same.
        """
        key = scorer, against_law
        if key not in self.read:
            score = self._score(*key)
            self.read[key] = (
                score.load_like(like._score(*key), like.statistics(scorer, against_law=against_law))
                if like
                else score.load()
            )
        return self.read[key]

    def _score(self, scorer: int, against_law: bool) -> Entry:
        return self.against_law[scorer] if against_law else self.scores[scorer]


def over_seeds(competitors: Sequence[Competitor]) -> list[Competitor]:
    """Join the seeds of each model into one competitor, in the order of their labels."""
    by_label: dict[str, list[Competitor]] = {}
    for competitor in competitors:
        by_label.setdefault(competitor.label, []).append(competitor)
    return [replace(first, others=rest, joined=True) for first, *rest in by_label.values()]
