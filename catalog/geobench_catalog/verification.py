"""Proof that nothing was altered: every file against its digest, records, names and lineage."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from geobench_catalog import manifest, zarr_data
from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import data_names
from geobench_catalog.entry import Entry
from geobench_catalog.errors import STRANGE, CatalogError
from geobench_catalog.record import identity
from geobench_catalog.references import is_id
from geobench_catalog.unnamed import unnamed

_PIECE = 2**20


class Finding(NamedTuple):
    """What was looked at, how much of it, and what is wrong with it (nothing if empty)."""

    owner: str
    files: int
    size: int
    problems: list[str]


def verify(catalog: Catalog, references: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Check entries (default: all of them, and the names of the whole catalog)."""
    if catalog.store.folder is None:
        catalog = Catalog(catalog.url, catalog.vocabulary)  # which has nothing in memory
    wanted = [catalog.resolve(text) for text in references]
    for reference in wanted or sorted(catalog.names.references()):
        try:
            entry = catalog.get(str(reference))
        except CatalogError as error:
            if references and catalog.names.id(reference) is None:
                raise
            yield Finding(str(reference), 0, 0, [str(error)])
        else:
            problems = [*_files(entry), *_chunks(entry), *_computation(catalog, entry)]
            messages = [f"{reference}: {problem}" for problem in problems]
            yield Finding(str(reference), len(entry.manifest), entry.size, messages)
    if not references:
        catalog.index.rebuild()
        problems = list(names(catalog))
        yield Finding("names", 0, 0, problems)


def _files(entry: Entry) -> Iterator[str]:
    """Every file against size and SHA-256; files that were never published."""
    stored = entry.stored()
    for name, expected in entry.manifest.items():
        if stored.get(name) != expected[0]:
            yield f"{name} {manifest.change(stored.get(name), expected[0])}"
            continue
        try:
            digest = _digest(entry, name)
        except OSError as error:
            yield f"{name} cannot be read ({error.strerror or error})"
        else:
            if digest != expected[1]:
                yield f"{name} is not what was published (its checksum differs)"
    for name in sorted(stored.keys() - entry.manifest.keys() - {manifest.NAME}):
        yield f"{name} was not published with it"


def _digest(entry: Entry, name: str) -> str:
    digest = hashlib.sha256()
    with entry.file(name) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _chunks(entry: Entry) -> Iterator[str]:
    """Every chunk of every array must have been published: Zarr would fill it in."""
    try:
        absent = zarr_data.absent(entry.metadata(), data_names(entry.manifest))
    except STRANGE as error:
        yield f"its Zarr metadata cannot be read ({error})"
        return
    for array, count in absent.items():
        yield f"{count} chunks of {array} were never written"


def _computation(catalog: Catalog, entry: Entry) -> Iterator[str]:
    """Lineage, and whether the key is that of the recipe and the parents."""
    ids = {}
    for role in entry.record.parents:
        try:
            ids[role] = catalog.parent(entry, role).id
        except CatalogError as error:
            yield f"its {role} is not there ({error})"
            return
    if identity(entry.record.kind, entry.record.recipe, ids) != entry.record.key:
        yield "its key is not that of its recipe and parents"


def names(catalog: Catalog) -> Iterator[str]:
    """What is wrong with aliases, tags and the marks of what was removed."""
    there = catalog.names.references()
    for alias in catalog.names.aliases():
        try:
            if catalog.names.aimed(alias) not in there:
                yield f"{alias} stands for nothing"
        except CatalogError as error:
            yield str(error)
    for reference, tags in catalog.names.tags().items():
        if reference not in there:
            yield f"the tags {', '.join(tags)} are on {reference}, which is not there"
    yield from catalog.names.damaged()
    yield from map(str, unnamed(catalog))
    for folder in catalog.store.folders("entries"):
        if not is_id(folder):
            yield f"entries/{folder} is no entry"
