"""From an entry to what it was made from."""

from collections.abc import Callable

from geobench_catalog.entry import Entry
from geobench_catalog.errors import CatalogError

Get = Callable[[str], Entry]
"""Gives the entry of a reference; `CatalogError` if it is not there."""


def parent(
    entry: Entry, role: str, get: Get, with_id: Callable[[str], Entry | None], url: str
) -> Entry:
    """Return the entry that `entry` was made from in this role, by its reference or its id."""
    if role not in entry.record.parents:
        raise CatalogError(
            f"{entry.reference} names no {role} that it was made from. Remove it, or "
            f"get it from its source again."
        )
    parent = entry.record.parents[role]
    try:
        named = get(parent.reference)
    except CatalogError:
        if parent.id is None:
            raise
    else:
        if parent.id in (None, named.id):
            return named
    known = with_id(parent.id) if parent.id else None
    if known is None:
        raise CatalogError(
            f"{entry.reference} was made from {parent.reference}, which is not in {url}. "
            f"Pull or import it with its lineage, or make it again."
        )
    return known


def lineage(entry: Entry, parents: Callable[[Entry], dict[str, Entry]]) -> list[Entry]:
    """`entry` and all it was made from, directly or not: ancestors first, each once."""
    ancestors: dict[str, Entry] = {}
    for parent in parents(entry).values():
        for ancestor in lineage(parent, parents):
            ancestors.setdefault(ancestor.id, ancestor)
    return [*ancestors.values(), entry]
