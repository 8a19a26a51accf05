"""The errors a user can cause, and cure."""

from collections.abc import Iterator
from contextlib import contextmanager


class GeobenchError(Exception):
    """An error in the user's words: cause, evidence and cure on one line.

    The command line prints it without a traceback and exits with code 2. Programming mistakes stay
    `TypeError` or `AssertionError`.
    """


class CatalogError(GeobenchError):
    """An error about a catalog or one of its entries."""


STRANGE = (
    CatalogError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip
"""What a stranger's JSON makes Python raise."""


def cure(where: str) -> str:
    """What to do about a damaged entry."""
    return f"The entry is damaged: restore {where} from a copy, or remove it and make it again."


@contextmanager
def told(url: str) -> Iterator[None]:
    """Tell what goes wrong while the catalog is written."""
    try:
        yield
    except OSError as error:
        raise CatalogError(
            f"the catalog {url} cannot be written ({error.strerror or error}). Free space or "
            f"change permissions, or name another with --catalog; nothing that it holds has "
            f"changed."
        ) from error
