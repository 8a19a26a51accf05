"""A node of an entry that is in the catalog: where a graph begins that a user names a part of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from geobench.nodes.node import Entries, Given, Named, Node
from geobench_catalog import Catalog, Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine


@dataclass(frozen=True, eq=False, repr=False)
class Stored(Given):
    """An entry of a catalog as a node."""

    entry: Entry
    catalog: Catalog

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same entry."""
        return isinstance(other, Stored) and other.entry.id == self.entry.id

    def __hash__(self) -> int:
        """Equal for the same entry."""
        return hash(self.entry.id)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send address and reference to another process, which opens the catalog there."""
        return _reopened, (self.catalog.url, str(self.entry.reference))

    def parents(self) -> Mapping[str, Node]:
        """Return nothing: the entry is there."""
        return {}

    def entry_for(self, engine: "Engine", parents: Entries) -> Entry:
        """Return the entry."""
        return self.entry

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return the name that it has."""
        return self.entry.record.name

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the labels that it has."""
        return dict(self.entry.record.labels)

    def parent(self, role: str) -> "Stored":
        """Return the node of an entry that this one was made from."""
        return Stored(self.catalog.parent(self.entry, role), self.catalog)

    @property
    def seed(self) -> int:
        """Seed of a stored forecaster or forecast."""
        return int(self.entry.record.recipe["seed"])

    @property
    def dataset(self) -> "Stored":
        """The dataset that a stored forecaster or forecast is of."""
        if self.entry.record.kind == "forecast":
            return self.parent("forecaster").parent("dataset")
        return self.parent("dataset")


def _reopened(url: str, reference: str) -> Stored:
    catalog = opened(url)
    return Stored(catalog.get(reference), catalog)


@lru_cache(1)
def opened(url: str) -> Catalog:
    """Open a catalog in a process that works for another one, which keeps it open."""
    return Catalog(url)
