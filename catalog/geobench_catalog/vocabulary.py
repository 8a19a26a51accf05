"""The vocabulary of a catalog: kinds of entries, and what queries may ask about them.

By itself a catalog knows that an entry has a recipe, parents, labels and a summary. Whoever fills
catalogs says what these mean, with one `Vocabulary`, and registers it:

    register(Vocabulary(kinds=(Kind("table"), Kind("plot", parents={"table": "table"}))))
    Catalog("folder")              # with what is registered
    Catalog("folder", vocabulary)  # with another one

Entries of a kind that no vocabulary names are read, listed, verified and copied like all others.
"""

import difflib
import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from geobench_catalog.errors import CatalogError
from geobench_catalog.references import Reference

if TYPE_CHECKING:
    from pydantic import BaseModel

    from geobench_catalog.record import Record

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")  # what a column may be called in SQL
_TAKEN = {
    "entry", "reference", "id", "kind", "name", "version", "created", "seconds", "size", "content",
    "key", "record", "origin", "door", "tag", "alias", "value", "part", "hours",
}  # fmt: skip


def quoted(name: str) -> str:
    """A column as SQL takes it, even if it is called as a word of SQL."""
    return f'"{name}"'


@dataclass(frozen=True)
class Kind:
    """A kind of entry: what it is made from, and what its record holds.

    The models give the types of the fields that are read by name. A record is checked with them
    before its entry is published, and when it comes in.
    """

    name: str
    parents: Mapping[str, str] = field(default_factory=dict)
    """Role of a parent -> its kind. A role that ends with a star is any that begins so. An entry
    inherits columns from the parent in the first of these roles that it has."""
    recipe: "type[BaseModel] | None" = None
    summary: "type[BaseModel] | None" = None

    def kind_of(self, role: str) -> str | None:
        """The kind of the parent in a role; None if there is no such role."""
        for name, kind in self.parents.items():
            if role == name or (name.endswith("*") and role.startswith(name[:-1])):
                return kind
        return None

    def main(self, roles: Iterable[str]) -> str | None:
        """The role, among those that an entry has, of the parent that it inherits columns from."""
        order = list(self.parents)
        known = [role for role in roles if role in order]
        return min(known, key=order.index, default=None)


class Column(NamedTuple):
    """A column of the index: a word that can be asked for, and its value for an entry.

    A reference is asked for by the name in it, or as a whole. `inherited`: where `value` gives
    None, the column has the value of the parent that comes first.
    """

    name: str
    value: "Callable[[Reference, Record], str | int | Reference | None]"
    type: Literal["text", "integer", "reference"] = "text"
    inherited: bool = False

    @property
    def stored(self) -> dict[str, str]:
        """Columns of the table, and their SQL types."""
        if self.type == "reference":
            return {self.name: "TEXT", f"{self.name}_reference": "TEXT"}
        return {self.name: self.type.upper()}

    def values(self, reference: Reference, record: "Record") -> dict[str, str | int | None]:
        """What is stored of an entry, by column of the table."""
        value = self.value(reference, record)
        if isinstance(value, Reference):
            return {self.name: value.name, f"{self.name}_reference": str(value)}
        plain = value if isinstance(value, (str, int)) else None  # in odd records it may be none
        return dict.fromkeys(self.stored, plain)


class Measure(NamedTuple):
    """A number that was measured: `name[part]` at a time, in hours."""

    name: str
    part: str
    hours: float
    value: float | None


def _no_measures(_: "Record") -> Iterable[Measure]:
    return ()


def _derives_nothing(_: sqlite3.Connection) -> None:
    pass


@dataclass(frozen=True)
class Vocabulary:
    """Kinds of entries, in the order in which they are listed, and what is known of them.

    measures: the numbers of a record that can be asked for by name; `measured_in` is the key of
    the summary that holds them. derived: words for numbers that follow from the measures of
    several entries, each with its column of the table `measures`. derive: fills these columns,
    whenever entries come, go or are trusted. former: earlier words for what is derived, each with
    the present one. former_tables: earlier tables of the index, each with the present one and the
    SELECT that makes the earlier out of it. doors: further ways in which entries come in, in
    words. packages: software whose versions a record names; plugins: the group of entry points
    whose distributions it names. hint: how a catalog is begun. guide: the words of the query
    language, with examples, for its help. version: raised when columns, measures or what is
    derived get other values: indexes are then made anew.
    """

    kinds: tuple[Kind, ...] = ()
    columns: tuple[Column, ...] = ()
    measures: "Callable[[Record], Iterable[Measure]]" = _no_measures
    measured_in: str = ""
    derived: Mapping[str, str] = field(default_factory=dict)
    derive: Callable[[sqlite3.Connection], None] = _derives_nothing
    former: Mapping[str, str] = field(default_factory=dict)
    former_tables: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    doors: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    plugins: str = ""
    hint: str = ""
    guide: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        names = [*(column.name for column in self.columns), *self.derived.values()]
        for name in names:
            if not _IDENTIFIER.fullmatch(name) or name in _TAKEN:
                raise ValueError(f"'{name}' cannot be a column of the index")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all kinds."""
        return tuple(kind.name for kind in self.kinds)

    def kind(self, name: str) -> Kind:
        """The kind of this name; one of which nothing is known if there is none."""
        return next((kind for kind in self.kinds if kind.name == name), None) or Kind(name)

    def order(self, kind: str) -> tuple[int, str]:
        """Where a kind stands in lists: those that are not known come last."""
        known = self.names
        return (known.index(kind) if kind in known else len(known)), kind

    def sorted(self, references: Iterable[Reference]) -> list[Reference]:
        """References by kind, name and version."""
        return sorted(references, key=lambda reference: (self.order(reference.kind), reference))

    def check_kind(self, kind: str) -> None:
        """Raise `CatalogError` unless entries of this kind can be made; with no kinds, all can."""
        if self.kinds and kind not in self.names:
            close = difflib.get_close_matches(kind, self.names, n=1)
            hint = f"Did you mean '{close[0]}'? " if close else ""
            raise CatalogError(
                f"there is no kind of entry '{kind}'. {hint}Kinds: {', '.join(self.names)}."
            )

    def check_parents(self, kind: str, parents: Mapping[str, str]) -> None:
        """Raise `CatalogError` unless entries of this kind are made from such parents.

        `parents` maps a role to the kind of the parent.
        """
        if not self.kinds:
            return
        known = self.kind(kind)
        for role, given in parents.items():
            if known.kind_of(role) != given:
                wanted = ", ".join(f"{name} (a {of})" for name, of in known.parents.items())
                raise CatalogError(
                    f"a {given} cannot be the parent '{role}' of a {kind}. Its parents are: "
                    f"{wanted or 'none'}."
                )


@cache
def tell_renamed(former: str, present: str) -> None:
    """Say, once in a process, that a name still works and what it is called now."""
    logging.getLogger("geobench_catalog").warning(
        "geobench: '%s' is now called '%s'. The earlier name still works.", former, present
    )


class _Registered:
    vocabulary: Vocabulary | Callable[[], Vocabulary] = Vocabulary()


def register(vocabulary: Vocabulary | Callable[[], Vocabulary]) -> None:
    """Let every catalog that is opened without a vocabulary of its own have this one.

    A function that gives it is called when it is needed.
    """
    _Registered.vocabulary = vocabulary


def registered() -> Vocabulary:
    """What was registered last; a vocabulary without any kinds if nothing was."""
    vocabulary = _Registered.vocabulary
    return vocabulary if isinstance(vocabulary, Vocabulary) else vocabulary()
