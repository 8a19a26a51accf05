"""Which entry was meant by a text that names none."""

import difflib

from geobench_catalog.errors import CatalogError
from geobench_catalog.reference_files import Names


def unreadable(names: Names, text: str, error: CatalogError) -> CatalogError:
    """Say which entries have a name that was written without kind or version."""
    meant = [
        f"{kind}/{name}@{names.newest(kind, name)}"
        for kind, name in dict.fromkeys(reference[:2] for reference in names.references())
        if text in (name, f"{kind}/{name}")
    ]
    if not meant:
        return error
    if "/" in text:
        return CatalogError(f"'{text}' has no version. The newest is {meant[0]}.")
    named = " or ".join(meant[:3])
    return CatalogError(f"'{text}' has no kind and no version. Did you mean {named}?")


def missing(names: Names, reference: str, url: str) -> CatalogError:
    """Say which entries have names like one that is not there."""
    known = [*map(str, names.references()), *map(str, names.aliases())]
    close = difflib.get_close_matches(reference, known, n=3)
    hint = "'geobench catalog list' shows what is there."
    if close:
        hint = f"Did you mean {' or '.join(close)}?"
    return CatalogError(f"there is no {reference} in {url}. {hint}")
