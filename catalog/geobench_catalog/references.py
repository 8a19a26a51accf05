"""References: `kind/name@version`, the way an entry is named everywhere."""

import re
from typing import Literal, NamedTuple, Self, get_args

from geobench_catalog.errors import CatalogError

Kind = Literal["dataset", "forecaster", "forecast", "score", "events"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# A name becomes a file name, so it is closed: no separators, no leading dot, no case to fold.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")


class Reference(NamedTuple):
    """One version of one entry."""

    kind: Kind
    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind/name@version`; `CatalogError` says what is wrong with anything else."""
        kind, slash, rest = text.partition("/")
        name, at, version = rest.rpartition("@")
        whole = version.isascii() and version.isdigit() and len(version) < 10
        if not (slash and at and whole and int(version) > 0):
            raise CatalogError(
                f"'{text}' is not a reference. Write kind/name@version, for example "
                f"dataset/lorenz95@1 or dataset/lorenz95@latest."
            )
        return cls(check_kind(kind), check_name(name), int(version))


def check_kind(kind: str) -> Kind:
    """Return `kind` if there is such a kind of entry."""
    for known in KINDS:
        if kind == known:
            return known
    raise CatalogError(f"there is no kind of entry '{kind}'. Kinds: {', '.join(KINDS)}.")


def check_name(name: str) -> str:
    """Return `name` if it can name an entry."""
    if not _NAME.fullmatch(name):
        raise CatalogError(
            f"'{name}' cannot name an entry. Use lower-case letters, digits, '.', '_' and '-' "
            f"(at most 200), starting with a letter or digit."
        )
    return name
