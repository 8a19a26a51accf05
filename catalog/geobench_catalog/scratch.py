"""A catalog for a moment, of what an entry was made from: there the entry can be made again."""

from collections.abc import Iterator
from contextlib import contextmanager

from geobench_catalog.catalog import Catalog
from geobench_catalog.entry import Entry
from geobench_catalog.held_folders import temporary


@contextmanager
def without(entry: Entry, catalog: Catalog) -> Iterator[Catalog]:
    """Give a catalog on this machine with the ancestors of `entry`, under the names they have.

    Entries of a folder are linked, others copied. It is removed at the end; `catalog` is only read.
    """
    from geobench_catalog import transfer

    ancestors = catalog.lineage(entry)[:-1]
    with temporary() as folder:
        scratch = Catalog(folder, catalog.vocabulary, create=True)
        if catalog.store.folder is None:
            references = [str(ancestor.reference) for ancestor in ancestors]
            for _ in transfer.copy(catalog, scratch, references):
                pass
        else:
            for ancestor in ancestors:
                _link(ancestor, scratch)
        yield scratch


def _link(entry: Entry, scratch: Catalog) -> None:
    link = scratch.path / "entries" / entry.id
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(entry.path, target_is_directory=True)
    scratch.names.give(*entry.reference[:2], entry.id, first=entry.reference.version)
