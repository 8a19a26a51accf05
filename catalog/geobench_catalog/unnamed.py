"""Whole entries without a reference: lost from sight, and named again.

An entry exists by its reference file. If that file gets lost, the data are still there.
What a dying process has left looks the same. But a process says beforehand which id it is about to
name (`naming/<id>`), and `rm` says what it removes (`removed/`).
"""

from typing import NamedTuple

from geobench_catalog import manifest
from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import is_whole
from geobench_catalog.errors import STRANGE, CatalogError, told
from geobench_catalog.record import Record, read_record
from geobench_catalog.references import Reference, is_id


class Unnamed(NamedTuple):
    """An entry whose reference was lost."""

    id: str
    record: Record
    files: manifest.Manifest

    def __str__(self) -> str:
        return (
            f"entries/{self.id} holds {self.record.kind}/{self.record.name} and has no reference: "
            f"its file was lost. Name it again: geobench catalog name {self.id[:12]}; or remove "
            f"it: geobench catalog gc --unnamed"
        )


def unnamed(catalog: Catalog) -> list[Unnamed]:
    """Every whole entry that no reference names, and that nobody was about to name or to remove."""
    folders = {folder for folder in catalog.store.folders("entries") if is_id(folder)}
    lost = folders - _named(catalog)
    if lost:  # the usual case asks for no more
        lost -= catalog.names.intended() | catalog.names.removed()
    entries = (_read(catalog, entry_id) for entry_id in sorted(lost))
    return [entry for entry in entries if entry]


def _named(catalog: Catalog) -> set[str]:
    """Ids that some reference names; a damaged reference names nothing (`verify` tells of it)."""
    ids = set()
    for reference in catalog.names.references():
        try:
            ids.add(catalog.names.id(reference) or "")
        except CatalogError:
            continue
    return ids


def _read(catalog: Catalog, entry_id: str) -> Unnamed | None:
    """The entry of an id, if it is one: the files of a half upload or a half removal are not."""
    try:
        text = catalog.store.read(f"entries/{entry_id}/{manifest.NAME}")
        if manifest.digest(text) != entry_id:
            return None
        files = manifest.decode(text)
        stored = catalog.store.files(f"entries/{entry_id}")
        if any(stored.get(name) != size for name, (size, _) in files.items()):
            return None
        record = catalog.store.read(f"entries/{entry_id}/{manifest.RECORD}")
        size, content = manifest.size(files), manifest.content_digest(files)
        return Unnamed(entry_id, read_record(record, size, content), files)
    except (OSError, *STRANGE):
        return None


def name_again(catalog: Catalog, begin: str, reference: Reference | None = None) -> Reference:
    """Give an entry that has none a reference; `begin`: of its id.

    Without one that is wanted it gets the one by which its children know it, if that is free, else
    the next free version of its name.
    """
    with told(catalog.url), catalog.store.lock(shared=False):
        lost = _chosen(catalog, begin)
        record = lost.record
        if not is_whole(catalog.store, lost.id, lost.files):
            raise CatalogError(
                f"entries/{lost.id} is damaged: a file is not what was published. Restore it from "
                f"a copy, and name it then."
            )
        if reference is None:
            return catalog.names.give(
                record.kind, record.name, lost.id, first=_remembered(catalog, lost)
            )
        if reference[:2] != (record.kind, record.name):
            raise CatalogError(
                f"entries/{lost.id[:12]} is a {record.kind} called {record.name}. Name it "
                f"{record.kind}/{record.name}@{reference.version}."
            )
        return catalog.names.restore(reference, lost.id)


def _chosen(catalog: Catalog, begin: str) -> Unnamed:
    every = unnamed(catalog)
    matches = [entry for entry in every if entry.id.startswith(begin)]
    if len(matches) != 1 or not begin:
        known = ", ".join(entry.id[:12] for entry in every[:5]) or "there is none"
        what = f"{len(matches)} entries" if matches else "no entry"
        raise CatalogError(
            f"'{begin:.64}' begins the id of {what} without a reference. There are: {known}."
        )
    return matches[0]


def _remembered(catalog: Catalog, lost: Unnamed) -> int | None:
    """The version by which those that were made from it know it."""
    for entry in catalog.entries():
        for parent in entry.record.parents.values():
            if parent.id == lost.id:
                reference = Reference.parse(parent.reference)
                if reference[:2] == (lost.record.kind, lost.record.name):
                    return reference.version
    return None
