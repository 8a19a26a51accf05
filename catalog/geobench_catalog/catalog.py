"""The catalog: immutable, versioned entries in a folder or an object store.

    geobench-catalog.json           marks it
    entries/<id>/                   record.json, data.zarr, other files, MANIFEST.json
    refs/ removed/ aliases/ tags/   names (see `names`)
    naming/                         who is about to be named
    imported/ trusted/              which entries came from elsewhere (see `names`)
    tmp/ lock                       drafts, and who may remove (folders only)
    work/<key>/                     long work that goes on after a crash (folders only)
    claims/<key>                    which process is at which work (see `claims`)
    index.sqlite                    derived from the rest; may be deleted at any time

The id is the SHA-256 of the manifest. An entry exists once its reference does: the reference is
put into place after the data are complete and on disk, in one step that fails when the name is
taken. A process that dies before leaves debris that nobody sees, and `gc` removes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench_catalog import index_file, lineage, mark, room, suggestions
from geobench_catalog.claims import Claims
from geobench_catalog.draft import Draft
from geobench_catalog.entry import Entry
from geobench_catalog.errors import CatalogError, told
from geobench_catalog.oddities import oddity
from geobench_catalog.record import identity
from geobench_catalog.reference_files import Alias, Door, Names, alias_of
from geobench_catalog.references import Reference, split
from geobench_catalog.store import opened
from geobench_catalog.vocabulary import Vocabulary, registered

if TYPE_CHECKING:
    import pandas as pd

    from geobench_catalog.index import Index


class Catalog:
    """Entries in a folder, or under an fsspec URL. Opening one creates it only if asked to.

    `vocabulary`: what its entries mean; default: what is registered.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        vocabulary: Vocabulary | None = None,
        *,
        create: bool = False,
    ) -> None:
        self.store = opened(os.fspath(url))
        self.names = Names(self.store)
        self.damaged: dict[Reference, str] = {}
        self._vocabulary = vocabulary
        content = mark.read(self.store)
        if content is None:
            if not create:
                hint = self.vocabulary.hint and f", or make one with {self.vocabulary.hint}"
                raise CatalogError(
                    f"{self.url} is not a catalog (it has no {mark.NAME}). Name another with "
                    f"--catalog{hint}."
                )
            mark.create(self.store)
            content = mark.read(self.store)
        self.mark = content or b""  # no other catalog has it, not even a later one at this URL
        self._schema = mark.schema(self.url, self.mark)

    def __repr__(self) -> str:
        return f"<Catalog {self.url}>"

    @property
    def vocabulary(self) -> Vocabulary:
        """What its entries mean."""
        return registered() if self._vocabulary is None else self._vocabulary

    @property
    def url(self) -> str:
        """Path or URL."""
        return self.store.url

    @property
    def path(self) -> Path:
        """The folder, where it is one on this machine."""
        if self.store.folder is None:
            raise CatalogError(f"the catalog {self.url} is not a folder.")
        return self.store.folder

    @property
    def schema(self) -> int:
        """Version of what its entries may look like."""
        return self._schema

    def upgrade(self) -> None:
        """Tell older versions of geobench that there are entries that they cannot read."""
        if self._schema < mark.SCHEMA:
            mark.upgrade(self.store)
            self._schema = mark.SCHEMA

    # -- writing

    def draft(
        self,
        kind: str,
        name: str,
        *,
        recipe: Mapping[str, Any],
        parents: Mapping[str, Entry] | None = None,
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, Any] | None = None,
        door: Door | None = None,
    ) -> Draft:
        """Begin an entry made by `recipe` from `parents` (role -> entry).

        `environment`: what its record says of the place it is made in, beside what is found here.
        `door`: how its content came in, if it was not computed here; it is then marked as imported.
        """
        self.vocabulary.check_kind(kind)
        self.vocabulary.check_parents(
            kind, {role: entry.reference.kind for role, entry in (parents or {}).items()}
        )
        parts = {"recipe": dict(recipe), "labels": dict(labels or {})}
        for where, value in parts.items():
            if problem := oddity(value, where):
                raise CatalogError(f"{kind}/{name} cannot be recorded: {problem}. Choose another.")
        self.upgrade()
        return Draft(
            self.store,
            self.vocabulary,
            kind,
            name,
            recipe=recipe,
            parents=parents or {},
            labels=labels or {},
            environment=environment or {},
            door=door,
        )

    # -- reading

    def resolve(self, text: str) -> Reference:
        """Return the reference that `kind/name@…` means: a version, `latest`, or an alias."""
        try:
            kind, name, version = split(text)
        except CatalogError as error:
            raise suggestions.unreadable(self.names, text, error) from None
        if version == "latest":
            return Reference(kind, name, max(1, self.names.newest(kind, name)))
        alias = alias_of(text)
        if alias is None:
            return Reference.parse(text)
        reference = self.names.aimed(alias)
        if reference is None:
            raise suggestions.missing(self.names, text, self.url)
        return reference

    def get(self, reference: str, wanted: str | None = None) -> Entry:
        """Return the entry `kind/name@version`; also `@latest`, the newest, and `@alias`.

        `CatalogError` if it is not there, or not of the `wanted` kind.
        """
        resolved = self.resolve(reference)
        entry_id = self.names.id(resolved)
        if entry_id is None:
            self.vocabulary.check_kind(resolved.kind)
            raise suggestions.missing(self.names, reference, self.url)
        if wanted and resolved.kind != wanted:
            raise CatalogError(f"{reference} is a {resolved.kind}; name a {wanted}.")
        return self._load(resolved, entry_id)

    def _load(self, reference: Reference, entry_id: str) -> Entry:
        entry = Entry(self.store, reference, entry_id)
        try:
            _ = entry.record  # an entry that cannot be read is an error here, not later
        except CatalogError:
            self.check_there(reference, entry_id)
            raise
        return entry

    def check_there(self, reference: Reference, entry_id: str) -> None:
        """Raise `CatalogError` if a reference names an entry that is not there."""
        try:
            there = self.store.size(f"entries/{entry_id}/MANIFEST.json") is not None
        except OSError as error:
            raise CatalogError(
                f"{reference}: {self.url}/entries cannot be read ({error})."
            ) from error
        if not there:
            raise CatalogError(
                f"{reference} points at an entry that is not there (entries/{entry_id[:12]}). "
                f"Restore it from a copy, or remove it (geobench catalog rm) and make it again."
            )

    def parent(self, entry: Entry, role: str) -> Entry:
        """Return the entry that `entry` was made from in this role."""
        return lineage.parent(entry, role, self.get, self._with_id, self.url)

    def _with_id(self, entry_id: str) -> Entry | None:
        """The entry of this id; a reference that was lost and given again makes the index lie."""
        for _ in range(2):
            reference = self.index.reference(entry_id)
            if reference is None:
                return None
            entry = self.get(str(reference))
            if entry.id == entry_id:
                return entry
            self.index.rebuild()
        return None

    def parents(self, entry: Entry) -> dict[str, Entry]:
        """Entries that `entry` was made from, by role."""
        return {role: self.parent(entry, role) for role in entry.record.parents}

    def lineage(self, entry: Entry) -> list[Entry]:
        """`entry` and all it was made from, directly or not: ancestors first, each once."""
        return lineage.lineage(entry, self.parents)

    def find(
        self,
        kind: str,
        recipe: Mapping[str, Any],
        parents: Mapping[str, Entry],
        *,
        door: Door | None = None,
    ) -> Entry | None:
        """Return the newest entry that this very computation made, if there is one.

        One that was made here comes before one that is trusted. What came in and is not trusted is
        never found: it only claims to be this computation. `door`: what came in by it is, too.
        """
        return self.find_all(kind, [(recipe, parents)], door=door)[0]

    def find_all(
        self,
        kind: str,
        computations: Sequence[tuple[Mapping[str, Any], Mapping[str, Entry]]],
        *,
        door: Door | None = None,
    ) -> list[Entry | None]:
        """Return what `find` returns of each (recipe, parents); the index is asked once."""
        keys = [_key(kind, recipe, parents) for recipe, parents in computations]
        made = self.index.made_by(keys, door)
        return [self._newest(key, made.get(key, ())) for key in keys]

    def _newest(self, key: str, references: Sequence[Reference]) -> Entry | None:
        entries = (self.get(str(reference)) for reference in references)
        return next((entry for entry in entries if entry.record.key == key), None)

    def check_room(self, size: int, what: str) -> None:
        """Raise if the disk cannot hold `size` bytes of numbers, even if they compress well."""
        room.check_numbers(self.store, size, what)

    def work(
        self, kind: str, recipe: Mapping[str, Any], parents: Mapping[str, Entry]
    ) -> AbstractContextManager[Path]:
        """A folder on this machine for a computation that may be interrupted and go on.

        Held by this process, removed when the block ends well, found again after an error or a
        crash. `CatalogError` if another process is at this very computation.
        """
        return self.store.work(_key(kind, recipe, parents))

    def claim(
        self, kind: str, recipe: Mapping[str, Any], parents: Mapping[str, Entry]
    ) -> AbstractContextManager[bool]:
        """Claim a computation as long as the block lasts; False if another process is at it."""
        return self._claims.held(_key(kind, recipe, parents))

    @cached_property
    def _claims(self) -> Claims:
        return Claims(self.store)

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Iterate over all entries (of one kind), by kind, name and version, read one by one.

        One that cannot be read is passed over, and told in `damaged`. To select or to list, use
        `query`: it reads an index.
        """
        for reference in self.vocabulary.sorted(self.names.references(kind)):
            try:
                entry = self.get(str(reference))
            except CatalogError as error:
                self.damaged[reference] = str(error)
            else:
                yield entry

    def alias(self, reference: str, alias: str, *, move: bool = False) -> Alias:
        """Let `kind/name@alias` stand for an entry."""
        with told(self.url), self.store.lock(shared=True):  # it is not removed meanwhile
            entry = self.get(reference)
            return self.names.alias(entry.reference, entry.id, alias, move=move)

    def trust(self, reference: str, *, alone: bool = False) -> list[Entry]:
        """Let an imported entry count, and (unless `alone`) all it was made from; return those."""
        with told(self.url), self.store.lock(shared=True):
            trusted = self.get(reference)
            wanted = [trusted] if alone else self.lineage(trusted)
            fresh = [entry for entry in wanted if entry.origin == "imported"]
            for entry in fresh:
                self.names.trust(entry.id)
        return fresh

    def distrust(self, reference: str) -> bool:
        """Let an imported entry not count any more; return whether it did."""
        with told(self.url), self.store.lock(shared=True):
            entry = self.get(reference)
            counted = entry.origin == "trusted"
            self.names.distrust(entry.id)
        return counted

    def tag(self, reference: str, tag: str) -> None:
        """Mark an entry with a word to find it by."""
        with told(self.url), self.store.lock(shared=True):
            self.names.tag(self.get(reference).reference, tag)

    # -- searching

    @cached_property
    def index(self) -> "Index":
        """The index; brought up to date whenever it is asked."""
        return self._index(
            index_file.path_of(self.store, self.mark, plain=not self.vocabulary.kinds)
        )

    def index_of_records(self) -> "Index":
        """An index in memory, made from the records alone: what it says does not rest on a file."""
        return self._index(None)

    def _index(self, file: Path | None) -> "Index":
        from geobench_catalog.index import Index

        return Index(self.names, self.get, self.damaged, self.vocabulary, file)

    def query(self, expression: str = "") -> "pd.DataFrame":
        """Entries for which `expression` holds, one a row; see `expression` for the language."""
        import pandas as pd

        columns, rows = self.index.query(expression)
        return pd.DataFrame(rows, columns=columns)


def _key(kind: str, recipe: Mapping[str, Any], parents: Mapping[str, Entry]) -> str:
    return identity(kind, recipe, {role: entry.id for role, entry in parents.items()})
