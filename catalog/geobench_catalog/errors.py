"""The errors a user can cause, and cure."""


class GeobenchError(Exception):
    """An error in the user's words: cause, evidence and cure on one line.

    The command line prints it without a traceback and exits with code 2. Programming mistakes stay
    `TypeError` or `AssertionError`.
    """


class CatalogError(GeobenchError):
    """An error about a catalogue or one of its entries."""


def cure(where: str) -> str:
    """What to do about a damaged entry."""
    return f"The entry is damaged: restore {where} from a copy, or remove it and make it again."
