"""A node: how an entry is identified, what it is made from, and how it is made.

Nodes form a graph: dataset, forecaster, forecast, scores. An engine (`geobench.nodes.engine`) walks
it: it looks each node up in the catalog, and makes what is missing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine

Recipe = Mapping[str, Any]
Entries = Mapping[str, Entry]
"""Entries by the role that they play as parents."""


class Named(Protocol):
    """What names of children are made of: a node, or the record of an entry."""

    @property
    def name(self) -> str:
        """Name in the catalog."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels in the catalog."""


class Node(ABC):
    """An entry that can be in the catalog. Its name and labels follow from those of its parents."""

    kind: ClassVar[str]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind}/{self.name}>"

    @abstractmethod
    def parents(self) -> Mapping[str, "Node"]:
        """Return what it is made from, by role."""

    @abstractmethod
    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return its name if it is made from these parents."""

    @abstractmethod
    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return its labels if it is made from these parents."""

    @property
    def name(self) -> str:
        """Its name, as far as it is known before its parents are there."""
        return self.name_of(self.parents())

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, as far as they are known before its parents are there."""
        return self.labels_of(self.parents())


class Given(Node):
    """An entry that is not made here: it is named, or came from elsewhere."""

    @abstractmethod
    def entry_for(self, engine: "Engine", parents: Entries) -> Entry | None:
        """Return the entry, if it is there."""

    def missing(self, parents: Entries) -> str:
        """Return why it is not there and what to do, in one line."""
        return f"{self.name} is not in the catalog."


class Computed(Node):
    """An entry that a computation makes.

    Two nodes are the same entry if kind, recipe and parents are equal; names and labels do not
    count.
    """

    collective: ClassVar[bool] = False
    """Whether several processes that torchrun started make it together."""

    @abstractmethod
    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return all that decides its content, beside its parents."""

    @classmethod
    @abstractmethod
    def make(cls, engine: "Engine", jobs: "Sequence[Job[Self]]") -> list[Entry]:
        """Make and publish entries, in the order of the jobs, which share one `work`."""

    @classmethod
    @abstractmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that makes an entry again; `GeobenchError` if its plugins are missing."""

    def check(self, engine: "Engine", parents: Entries) -> None:  # most need none
        """Raise if it cannot be made; asked before parents that are missing are made."""

    def work(self, recipe: Recipe, parents: Entries) -> tuple[Recipe, Entries]:
        """Return what a process claims that makes it; nodes with equal work are made together."""
        return recipe, parents


class Part(Protocol):
    """A part of a folder that a process makes by itself; it can be pickled."""

    @property
    def name(self) -> str:
        """What it is called while it is made."""

    @property
    def work(self) -> float:
        """How much there is to do, beside the other parts."""

    def make(self, engine: "Engine") -> Any:
        """Make it, from what the engine finds."""


class Folder(Node):
    """Files in a folder beside the catalog, made anew each time from what is found in it."""

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return nothing: it is not in the catalog."""
        return {}

    @abstractmethod
    def parts(self, engine: "Engine") -> Sequence[Part]:
        """Return what several processes may make; raise if something is missing."""

    @abstractmethod
    def write(self, folder: Path, parts: Iterator[Any]) -> Any:
        """Write the files, once their parts are made; return what is to be told of them."""


Own = TypeVar("Own", bound=Computed, covariant=True)


@dataclass(frozen=True)
class Job(Generic[Own]):
    """A node to make, with the parents that are there for it."""

    node: Own
    recipe: Recipe
    parents: Entries

    @property
    def name(self) -> str:
        """Name of the entry to make."""
        return self.node.name_of({role: entry.record for role, entry in self.parents.items()})

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the entry to make."""
        return self.node.labels_of({role: entry.record for role, entry in self.parents.items()})
