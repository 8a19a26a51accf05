"""Errors that tell a user the cause, the evidence and the cure."""

from collections.abc import Iterator
from contextlib import contextmanager

from geobench_catalog.errors import CatalogError, GeobenchError

__all__ = ["BusyError", "GeobenchError", "blaming", "one_line"]


class BusyError(GeobenchError):
    """Another process does this very work."""


def one_line(error: BaseException) -> str:
    """Kind and message of an error, short."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@contextmanager
def blaming(owner: str) -> Iterator[None]:
    """Turn whatever a plugin raises into an error that names the plugin."""
    try:
        yield
    except (CatalogError, BusyError):
        raise  # not the plugin's fault
    except GeobenchError as error:
        message = str(error)
        if message.startswith(owner):
            raise
        raise GeobenchError(f"{owner}: {message}") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        reason = " ".join(str(error).split())
        raise GeobenchError(
            f"{owner} failed with {type(error).__name__}: {reason}. Run again with --debug to see "
            f"where, and mend the plugin."
        ) from error
