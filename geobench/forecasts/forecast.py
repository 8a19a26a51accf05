"""A forecast of the catalog as what it stands for: members of one forecaster on one dataset."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from geobench.entries.summaries import ForecasterSummary
from geobench.errors import GeobenchError
from geobench.twin.cases import Cases, check_same
from geobench.twin.dataset import Dataset
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.scoring import Piece
    from geobench.scoring.passes import Source

_LEAST = 2**26
"""Bytes that tests may hold at least: with fewer, many passes would take their time for nothing."""


class Forecast:
    """Members `(init_time, lead_time, member, *grid)` of a forecaster, and what happened."""

    def __init__(self, entry: Entry, forecaster: Entry, dataset: Dataset) -> None:
        self.entry, self.forecaster, self.dataset = entry, forecaster, dataset

    def __repr__(self) -> str:
        members = self.entry.record.recipe.get("members")
        return (
            f"<Forecast {self.entry.reference}: {members} members of {self.forecaster.reference} "
            f"on {self.dataset.entry.reference}>"
        )

    @cached_property
    def cases(self) -> Cases:
        """Inits and lead times that it is of."""
        return Cases.of(self.entry)

    @cached_property
    def members(self) -> "xr.Dataset":
        """Its members, opened once and read lazily."""
        return self.entry.open()

    @property
    def seed(self) -> int:
        """Seed of its noise."""
        return int(self.entry.record.recipe["seed"])

    def outcome(self, piece: "Piece | None" = None) -> "xr.Dataset":
        """What happened in its cases, or in a piece of them."""
        return self.dataset.outcome(piece, self.cases)

    def frame(self) -> "xr.Dataset":
        """Coordinates of its outcomes, with values for the first init alone."""
        return self.dataset.frame(self.cases)

    def inits(self) -> "xr.Dataset":
        """Trajectory and position of each of its inits."""
        return self.dataset.inits(self.cases)

    def source(self, memory: int, *others: "Forecast") -> "Source":
        """Members and outcomes, to be read in pieces of `memory`; with `others` of these cases."""
        from geobench.scoring.passes import Source

        forecasts = (self, *others)
        names = [variable.name for variable in self.dataset.spec.variables]
        return Source(
            tuple(forecast.members[names] for forecast in forecasts),
            self.outcome,
            max(memory, _LEAST),
            _reading(*(forecast.entry for forecast in forecasts)),
        )

    def check_is_of_law(self) -> None:
        """Raise unless its members are known to be draws of the true distribution."""
        if not ForecasterSummary.of(self.forecaster).knows_law:
            raise GeobenchError(
                f"{self.entry.reference} is not of the law. Name a forecast of a model that is "
                f"given it, such as a study's reference."
            )
        origins = self.entry.origin, self.forecaster.origin
        if "imported" in origins and self.dataset.entry.origin != "imported":
            raise GeobenchError(
                f"{self.entry.reference} is imported, so nobody here knows that it is of the law "
                f"of {self.dataset.entry.reference}. Draw one here, or, if you trust it: geobench "
                f"catalog trust {self.entry.reference}."
            )

    def check_against(self, law: "Forecast") -> None:
        """Raise unless `law` is of the true distribution of its cases, with other noise."""
        law.check_is_of_law()
        check_same(self.entry, law.entry)
        if self.dataset.entry.id != law.dataset.entry.id:
            raise GeobenchError(
                f"{self.entry.reference} is of {self.dataset.entry.reference}, and "
                f"{law.entry.reference} of {law.dataset.entry.reference}. Name a forecast of the "
                f"law of the same dataset."
            )
        if self.forecaster.id == law.forecaster.id and self.seed == law.seed:
            raise GeobenchError(
                f"{self.entry.reference} and {law.entry.reference} have the same noise (seed "
                f"{law.seed}): members of one are draws of the other. Name a forecast of the law "
                f"with another seed."
            )


def _reading(*entries: Entry) -> Callable[[], AbstractContextManager[None]]:
    """Tell what goes wrong while they are read as damage to the first of them that has any."""

    @contextmanager
    def reading() -> Iterator[None]:
        with ExitStack() as stack:
            for entry in entries:
                stack.enter_context(entry.reading())
            yield

    return reading
