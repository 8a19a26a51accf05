"""Quick checks of a catalog, each told on one line with its cure; `verify` is the thorough one.

Nothing here raises for what it finds: it is called when something is wrong.
"""

import errno
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from geobench_catalog.catalog import Catalog
from geobench_catalog.commands.tables import size as size_text
from geobench_catalog.errors import CatalogError, GeobenchError
from geobench_catalog.references import Reference
from geobench_catalog.store import opened
from geobench_catalog.vocabulary import registered

State = Literal["ok", "warn", "fail"]
_SHOWN = 3  # of many findings
_TIGHT = 2**30  # bytes free, below which a step may not end


class Check(NamedTuple):
    """What was looked at, how it is, what was found, and what to do about it."""

    check: str
    state: State
    found: str
    cure: str = ""


def examined(check: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Pass on what a look finds; if it raises, whatever it is, that is what was found."""
    try:
        yield from look()
    except Exception as error:
        known = isinstance(error, GeobenchError)
        reason = " ".join(str(error).split())
        yield Check(check, "fail", reason if known else f"{type(error).__name__}: {reason}")


def examine(url: str) -> Iterator[Check]:
    """Look at the catalog of this URL, if there is one."""
    catalogs: list[Catalog] = []
    yield from examined("catalog", lambda: _open(url, catalogs))
    for catalog in catalogs:
        for name, look in _LOOKS.items():
            yield from examined(name, partial(look, catalog))


def _open(url: str, catalogs: list[Catalog]) -> Iterator[Check]:
    folder = opened(url).folder
    if folder is not None and not folder.exists():
        cure = "--catalog names another"
        if hint := registered().hint:
            cure = f"{hint} makes one; {cure}"
        yield Check("catalog", "warn", f"there is none at {url}", cure)
        return
    catalog = Catalog(url)
    catalogs.append(catalog)
    _, rows = catalog.index.sql("SELECT kind, count(*) FROM entries GROUP BY kind")
    counts = dict(rows)
    order = sorted(counts, key=catalog.vocabulary.order)
    kinds = ", ".join(f"{kind} {counts[kind]}" for kind in order)
    yield Check("catalog", "ok", f"{catalog.url}, schema {catalog.schema}: {kinds or 'empty'}")


def _writing(catalog: Catalog) -> Iterator[Check]:
    key = f"tmp/{uuid.uuid4().hex}"
    try:
        catalog.store.create(key, bytes(4096))  # an empty file fits on a full disk
        catalog.store.remove(key)
    except (OSError, CatalogError) as error:
        reason = getattr(error, "strerror", None) or error
        if getattr(error, "errno", None) in (errno.EROFS, errno.EACCES, errno.EPERM):
            detail = f"{catalog.url} can be read, and nothing can be written to it ({reason})"
            cure = "nothing, if you only read; else name another catalog with --catalog"
            yield Check("writing", "warn", detail, cure)
            return
        cure = "change permissions or free space, or name another catalog with --catalog"
        yield Check("writing", "fail", f"nothing can be written to {catalog.url} ({reason})", cure)
    else:
        yield Check("writing", "ok", "a file was made and removed")


def _references(catalog: Catalog) -> Iterator[Check]:
    from geobench_catalog import verification

    problems = [*_lost(catalog).values(), *verification.names(catalog)]
    if problems:
        cure = "restore from a copy what is lost; 'geobench catalog verify' tells all of it"
        yield Check("references", "fail", _some(problems), cure)
    else:
        count = len(catalog.names.references())
        yield Check("references", "ok", f"{count}, each names an entry that is there")


def _lost(catalog: Catalog) -> dict[Reference, str]:
    """References that are damaged, or point nowhere."""
    lost = {}
    for reference in sorted(catalog.names.references()):
        try:
            entry_id = catalog.names.id(reference)
            if entry_id is not None:
                catalog.check_there(reference, entry_id)
        except CatalogError as error:
            lost[reference] = str(error)
    return lost


def _lineage(catalog: Catalog) -> Iterator[Check]:
    _, rows = catalog.index.sql(
        "SELECT c.reference, p.reference FROM parents p JOIN entries c ON c.entry = p.entry "
        "WHERE NOT EXISTS (SELECT 1 FROM entries a WHERE a.id = p.parent) ORDER BY c.reference"
    )
    lost = [f"{child} was made from {parent}, which is not here" for child, parent in rows]
    cure = "'geobench catalog pull' or 'import' the entry with its lineage, or make it again"
    yield (
        Check("lineage", "fail", _some(lost), cure)
        if lost
        else Check("lineage", "ok", "all that entries were made from is here")
    )


def _index(catalog: Catalog) -> Iterator[Check]:
    """Each reference against its row: a reference that was restored may name another entry now."""
    _, rows = catalog.index.sql("SELECT reference, id FROM entries")
    stale = []
    for text, entry_id in rows:
        try:
            if catalog.names.id(catalog.resolve(text)) != entry_id:
                stale.append(f"{text} is another entry than the index has")
        except CatalogError:
            continue  # a damaged reference has been told
    lost = _lost(catalog)
    unread = [reason for reference, reason in catalog.damaged.items() if reference not in lost]
    unread += catalog.index.aside()
    if unread:
        yield Check("index", "fail", _some(unread), "'geobench catalog verify' tells all of it")
    if stale:
        yield Check("index", "warn", _some(stale), "geobench catalog reindex")
    if catalog.index.unused:
        detail = f"{catalog.index.unused}, so it is left alone and each command makes its own"
        cure = "move it away or free space; it only makes questions quicker"
        yield Check("index", "warn", detail, cure)
    elif not stale and not unread:
        yield Check("index", "ok", f"{len(rows)} entries, as the references tell")


def _leftovers(catalog: Catalog) -> Iterator[Check]:
    from geobench_catalog import removal

    if _lost(catalog):
        detail = "not looked for while references are lost: an entry might seem to be one"
        yield Check("leftovers", "warn", detail, "mend the references first")
        return
    debris = removal.collect(catalog, dry_run=True)
    if debris:
        detail = _pieces("died processes left", debris)
        yield Check("leftovers", "warn", detail, "geobench catalog gc")
    stopped = [piece for piece in catalog.store.stopped() if piece not in debris]
    if stopped:
        cure = "run the same again and it goes on; after 7 days 'geobench catalog gc' removes it"
        yield Check("leftovers", "warn", _pieces("stopped work left", stopped), cure)
    if not debris and not stopped:
        yield Check("leftovers", "ok", "none of interrupted work")


def _space(catalog: Catalog) -> Iterator[Check]:
    _, rows = catalog.index.sql("SELECT coalesce(sum(size), 0) FROM entries")
    taken = f"entries take {size_text(rows[0][0])}"
    folder = catalog.store.folder
    if folder is None:
        yield Check("space", "ok", taken)
        return
    free = shutil.disk_usage(folder).free
    detail = f"{taken}; {size_text(free)} are free"
    cure = "free space; 'geobench catalog du' tells what takes it, 'rm' and 'gc' remove"
    yield Check("space", "warn", detail, cure) if free < _TIGHT else Check("space", "ok", detail)


_LOOKS: dict[str, Callable[[Catalog], Iterator[Check]]] = {
    "writing": _writing,
    "references": _references,
    "lineage": _lineage,
    "index": _index,
    "leftovers": _leftovers,
    "space": _space,
}


def _some(problems: list[str]) -> str:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more


def _pieces(what: str, pieces: list[tuple[str, int]]) -> str:
    size = size_text(sum(size for _, size in pieces))
    names = ", ".join(Path(name).name[:12] for name, _ in pieces[:_SHOWN])
    count = "1 piece" if len(pieces) == 1 else f"{len(pieces)} pieces"
    return f"{what} {count}, {size} ({names}{', …' if len(pieces) > _SHOWN else ''})"
