"""Taking away: entries that nobody needs, and what died processes have left."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from geobench_catalog.catalog import Catalog
from geobench_catalog.claims import Claims
from geobench_catalog.errors import CatalogError, told
from geobench_catalog.reference_files import Alias
from geobench_catalog.references import Reference
from geobench_catalog.unnamed import unnamed as whole_without_name

if TYPE_CHECKING:
    from geobench_catalog.index import Index


def plan(catalog: Catalog, references: Sequence[str], *, cascade: bool = False) -> list[Reference]:
    """What would be removed, children before parents.

    `CatalogError` if something outside depends on it or an alias stands for it, unless `cascade`.
    """
    wanted: dict[Reference, None] = {}
    index = catalog.index_of_records()
    for text in references:
        reference = catalog.resolve(text)
        if catalog.names.id(reference) is None:
            raise CatalogError(f"there is no {text} in {catalog.url}.")
        _descend(catalog, index, reference, wanted)
    named = {catalog.resolve(text) for text in references}
    dependants = [reference for reference in wanted if reference not in named]
    if dependants and not cascade:
        more = f" and {len(dependants) - 3} more" if len(dependants) > 3 else ""
        raise CatalogError(
            f"{', '.join(map(str, references))}: {', '.join(map(str, dependants[:3]))}{more} "
            f"depend on it. Remove those first, or all of it with --cascade."
        )
    aliases = [alias for alias in catalog.names.aliases() if _aims(catalog, alias) in wanted]
    if aliases and not cascade:
        raise CatalogError(
            f"the alias {aliases[0]} stands for {_aims(catalog, aliases[0])}. Move or remove the "
            f"alias first, or use --cascade."
        )
    return list(wanted)


def _aims(catalog: Catalog, alias: Alias) -> Reference | None:
    """What an alias stands for; a damaged one stands for nothing (`verify` names it)."""
    try:
        return catalog.names.aimed(alias)
    except CatalogError:
        return None


def _descend(
    catalog: Catalog, index: "Index", reference: Reference, wanted: dict[Reference, None]
) -> None:
    """Add an entry and what was made from it, children before parents."""
    if reference in wanted:
        return
    entry_id = catalog.names.id(reference)
    for child in index.children(entry_id) if entry_id else ():
        _descend(catalog, index, child, wanted)
    wanted.setdefault(reference)


def remove(
    catalog: Catalog, references: Sequence[str], *, cascade: bool = False
) -> list[Reference]:
    """Remove entries for good; a version that was removed is never given again."""
    with told(catalog.url), catalog.store.lock(shared=False):
        gone = plan(catalog, references, cascade=cascade)
        for reference, reason in catalog.damaged.items():
            if reference not in gone:  # it may depend on what shall go
                raise CatalogError(f"nothing was removed: {reason}")
        for alias in catalog.names.aliases():
            if _aims(catalog, alias) in gone:
                catalog.names.forget(alias)
        for reference in gone:
            entry_id = catalog.names.id(reference)
            assert entry_id  # noqa: S101 # `plan` has seen it
            catalog.names.drop(reference, entry_id)
            if catalog.index.reference(entry_id) is None:  # no other name for it
                with suppress(FileNotFoundError):  # a lost entry goes as well
                    catalog.store.remove(f"entries/{entry_id}")
                catalog.names.distrust(entry_id)  # where it came from stays known
    return gone


def collect(
    catalog: Catalog,
    *,
    older_than: float | None = None,
    dry_run: bool = False,
    unnamed: bool = False,
) -> list[tuple[str, int]]:
    """Remove debris: drafts of dead processes, entries that were never named, tags on nothing.

    A whole entry whose reference was lost is no debris: it stays, unless `unnamed` says to take it.

    Returns (what, bytes). Where nothing can be locked (object stores), only what is older than
    `older_than` seconds (default: a day). What another entry was made from is no debris, whatever
    became of its name.
    """
    if older_than is None:
        older_than = 0.0 if catalog.store.folder else 86400.0
    with told(catalog.url):
        swept = catalog.store.sweep(dry_run=dry_run)
        swept += Claims(catalog.store).sweep(dry_run=dry_run)
        with nullcontext() if dry_run else catalog.store.lock(shared=False):
            lost = _orphans(catalog, older_than, unnamed=unnamed)
            for key, _ in lost if not dry_run else ():
                catalog.store.remove(key)
            there = catalog.names.references()
            for reference, tags in catalog.names.tags().items():
                for tag in tags if reference not in there and not dry_run else ():
                    catalog.names.untag(reference, tag)
            if not dry_run:
                for entry_id in _marks_of_nothing(catalog, older_than):
                    catalog.names.unmark(entry_id)
                _forget_intents(catalog, older_than)
    return [*swept, *((f"{catalog.url}/{key}", size) for key, size in lost)]


def _forget_intents(catalog: Catalog, older_than: float) -> None:
    """Take away what dead processes said they would name: it is named, or it is gone."""
    intended = catalog.names.intended()
    if intended:
        intended -= set(catalog.store.folders("entries")) - _named(catalog)
    for entry_id in intended:
        if catalog.store.age(f"naming/{entry_id}") >= older_than:
            catalog.names.done(entry_id)


def _marks_of_nothing(catalog: Catalog, older_than: float) -> list[str]:
    """Ids that are marked as imported, of entries that are not here and never were."""
    marked = catalog.names.imported() | catalog.names.trusted()
    lost = marked and marked - set(catalog.store.folders("entries")) - catalog.names.removed()
    return [
        entry_id for entry_id in lost if catalog.store.age(f"imported/{entry_id}") >= older_than
    ]


def _orphans(catalog: Catalog, older_than: float, *, unnamed: bool) -> list[tuple[str, int]]:
    there = catalog.store.folders("entries")
    lost = set(there) - _named(catalog)
    if lost and not unnamed:
        lost -= {entry.id for entry in whole_without_name(catalog)}
    if not lost:
        return []
    needed = catalog.index_of_records().parents()
    for reason in catalog.damaged.values():  # it may have been made from what seems lost
        raise CatalogError(f"nothing was removed: {reason}")
    keys = [f"entries/{folder}" for folder in sorted(lost - needed)]
    old = [key for key in keys if catalog.store.age(key) >= older_than]
    return [(key, sum(max(size, 0) for size in catalog.store.files(key).values())) for key in old]


def _named(catalog: Catalog) -> set[str]:
    """Ids of all entries; `CatalogError` if a reference is damaged: its entry would seem lost."""
    ids = set()
    for reference in catalog.names.references():
        entry_id = catalog.names.id(reference)
        if entry_id is not None:
            catalog.check_there(reference, entry_id)
            ids.add(entry_id)
    return ids
