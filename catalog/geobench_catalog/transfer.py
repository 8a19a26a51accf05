"""Entries from one catalog to another, with all they were made from; nothing is trusted.

What comes in is marked as imported before it is named (`names`), so that it is never found in place
of work that is asked for here. What this catalog made itself stays its own when it comes back.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from geobench_catalog import chunk_sizes, manifest, zarr_data
from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import data_names, is_whole, metadata_of, repair, settle
from geobench_catalog.entry import DATA, Entry
from geobench_catalog.errors import STRANGE, CatalogError, told
from geobench_catalog.record import Record, identity, read_record
from geobench_catalog.record_check import check
from geobench_catalog.reference_files import Door
from geobench_catalog.references import Reference, is_id

_PIECE = 2**20
_HIGHEST = 10**6  # a version that a stranger may keep: those after it must stay free for us


class Arrival(NamedTuple):
    """An entry that was asked for, and what it is called here."""

    wanted: Reference
    here: Reference
    new: bool
    """Whether its data came over: it was not there, or damaged."""


def with_lineage(catalog: Catalog, references: Sequence[str]) -> list[Entry]:
    """The entries and all they were made from, ancestors first, each once."""
    entries: dict[str, Entry] = {}
    for text in references:
        for entry in catalog.lineage(catalog.get(text)):
            entries.setdefault(entry.id, entry)
    return list(entries.values())


def copy(
    source: Catalog,
    target: Catalog,
    references: Sequence[str],
    *,
    door: Door | None = None,
    trust: bool = False,
) -> Iterator[Arrival]:
    """Copy entries with their lineage. What is there already is not copied again.

    An entry keeps its version if that is free, else it gets the next free one. `door`: what comes
    in is marked so, unless `trust`; without it, only what came in at the source is.
    """
    for entry in with_lineage(source, references):
        here = target.index.reference(entry.id)
        if here is not None and is_whole(target.store, entry.id, entry.manifest):
            let_count(target, entry.id, trust=trust)
            yield Arrival(entry.reference, here, new=False)
            continue
        files = ((name, _pieces(entry, name)) for name in entry.manifest)
        text = manifest.encode(entry.manifest)
        how = door or ("push" if entry.origin == "imported" else None)
        made = receive(target, entry.reference, entry.id, text, files, door=how, trust=trust)
        yield Arrival(entry.reference, made.reference, new=True)


def _pieces(entry: Entry, name: str) -> Iterator[bytes]:
    with closing(entry.file(name)) as file:
        while piece := file.read(_PIECE):
            yield piece


def receive(
    catalog: Catalog,
    reference: Reference,
    entry_id: str,
    text: bytes,
    files: Iterable[tuple[str, Iterable[bytes]]],
    *,
    door: Door | None,
    trust: bool = False,
) -> Entry:
    """Publish an entry that comes from elsewhere: manifest `text`, and its files in any order.

    `door`: how it came, by which it is marked as imported; None: it counts as made here.

    Every file is held to the manifest while it comes in, and never takes more room than it says.
    `CatalogError` if anything is not as it was published, and then nothing is kept.
    """
    owner = str(reference)
    wanted = _manifest(owner, entry_id, text)
    catalog.upgrade()
    with told(catalog.url), catalog.store.staging() as folder:
        missing = dict(wanted)
        for name, pieces in files:
            if name not in missing:
                raise refused(owner, f"the file '{name}' is not in its manifest, or there twice")
            _write(owner, folder / name, pieces, missing.pop(name))
        if missing:
            raise refused(owner, f"the file '{next(iter(missing))}' is missing")
        record = _checked(catalog, reference, folder, wanted)
        with catalog.store.lock(shared=False):  # two who bring the same give it one name
            here = catalog.index.reference(entry_id)
            if here is not None:
                repair(catalog.store, folder, entry_id, wanted)
                made = catalog.get(str(here))
            else:
                _check_parents(catalog, owner, record)
                if _was_own(catalog, record, entry_id):
                    door = None
                version = reference.version if reference.version <= _HIGHEST else None
                made = settle(
                    catalog.store, folder, wanted, record.kind, record.name, version, door
                )
            let_count(catalog, entry_id, trust=trust)
            return made


def _was_own(catalog: Catalog, record: Record, entry_id: str) -> bool:
    """Whether this catalog made an entry itself, and lost its name or removed it."""
    unnamed = catalog.store.size(f"entries/{entry_id}/{manifest.NAME}") is not None
    known = unnamed or entry_id in catalog.names.removed(record.kind, record.name)
    return known and catalog.names.door(entry_id) is None


def let_count(catalog: Catalog, entry_id: str, *, trust: bool) -> None:
    """Let an entry that has come in count, if that is wanted."""
    if trust and catalog.names.origin(entry_id) == "imported":
        catalog.names.trust(entry_id)


def refused(owner: str, evidence: str) -> CatalogError:
    """What comes in is not what was published."""
    return CatalogError(
        f"{owner} is refused: {evidence}. Nothing of it is kept; get it from its source again."
    )


def _manifest(owner: str, entry_id: str, text: bytes) -> manifest.Manifest:
    if not is_id(entry_id) or manifest.digest(text) != entry_id:
        raise refused(owner, "its manifest is not the one that its id stands for")
    try:
        wanted = manifest.decode(text)
    except STRANGE as error:
        raise refused(owner, str(error)) from error
    if manifest.encode(wanted) != text or manifest.RECORD not in wanted:
        raise refused(owner, "its manifest is not in the form that geobench writes")
    return wanted


def _write(owner: str, path: Path, pieces: Iterable[bytes], expected: tuple[int, str]) -> None:
    size, digest = 0, hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for piece in pieces:
            size += len(piece)
            if size > expected[0]:
                break
            digest.update(piece)
            file.write(piece)
    if (size, digest.hexdigest()) != expected:
        raise refused(owner, f"the file '{path.name}' is not what was published")


def _checked(
    catalog: Catalog, reference: Reference, folder: Path, files: manifest.Manifest
) -> Record:
    """Record, Zarr metadata and completeness, as if the entry were made here."""
    owner, names = str(reference), data_names(files)
    try:
        text = (folder / manifest.RECORD).read_bytes()
        record = read_record(text, manifest.size(files), manifest.content_digest(files))
        if (record.kind, record.name) != reference[:2]:
            raise ValueError(f"its record is that of a {record.kind} called {record.name}")
        check(record, text, catalog.vocabulary.kind(record.kind))
        metadata = metadata_of(folder, names)
        zarr_data.check_stranger(metadata, names)
        absent = zarr_data.absent(metadata, names)
        chunk_sizes.check_files(folder / DATA, metadata, names)
        ids = {role: parent.id for role, parent in record.parents.items()}
        if None not in ids.values() and identity(record.kind, record.recipe, ids) != record.key:  # type: ignore[arg-type]
            raise ValueError("its key is not that of its recipe and parents")
    except STRANGE as error:
        raise refused(owner, " ".join(str(error).split()) or type(error).__name__) from error
    for array, count in absent.items():
        raise refused(owner, f"{count} chunks of {array} are missing")
    return record


def _check_parents(catalog: Catalog, owner: str, record: Record) -> None:
    ids = {}
    for role, parent in record.parents.items():
        known = parent.id
        if known is None:  # schema 1
            known = catalog.names.id(Reference.parse(parent.reference))
        if known is None or catalog.index.reference(known) is None:
            raise CatalogError(
                f"{owner} was made from {parent.reference}, which is not in {catalog.url}. Bring "
                f"it together with its lineage."
            )
        ids[role] = known
    if identity(record.kind, record.recipe, ids) != record.key:  # schema 1: parents by name
        raise refused(owner, "it was made from other entries than those of their names here")
