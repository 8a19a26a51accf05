"""References: `kind/name@version`, the way an entry is named everywhere."""

import re
from typing import NamedTuple, Self

from geobench_catalog.errors import CatalogError

LATEST = "latest"

# What becomes the name of a file or folder is closed: no separators, no leading dot, no case.
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_LABEL = re.compile(r"[a-z][a-z0-9._-]{0,39}")  # with a name, a file name of 255 at most
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ID = re.compile(r"[0-9a-f]{64}")


class Reference(NamedTuple):
    """One version of one entry."""

    kind: str
    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind/name@version`; `CatalogError` says what is wrong with anything else."""
        kind, name, version = split(text)
        if not is_version(version):
            raise _no_reference(text)
        return cls(kind, name, int(version))


def split(text: str) -> tuple[str, str, str]:
    """Split `kind/name@version` or `kind/name@alias`, checked, into its three parts."""
    kind, slash, rest = text.partition("/")
    name, at, version = rest.rpartition("@")
    if not (slash and at and (is_version(version) or _LABEL.fullmatch(version))):
        raise _no_reference(text)
    return check_kind(kind), check_name(name), version


def is_version(text: str) -> bool:
    """Whether `text` is the number of a version, 1 or more."""
    return bool(_VERSION.fullmatch(text))


def is_id(text: str) -> bool:
    """Whether `text` has the form of an entry's id, a SHA-256 in hexadecimal."""
    return bool(_ID.fullmatch(text))


def is_kind(text: str) -> bool:
    """Whether `text` can name a kind of entry."""
    return bool(_KIND.fullmatch(text))


def check_kind(kind: str) -> str:
    """Return `kind` if it can name a kind of entry."""
    if not is_kind(kind):
        raise CatalogError(
            f"'{kind:.60}' cannot be a kind of entry. Use lower-case letters, digits, '_' and '-' "
            f"(at most 40), starting with a letter."
        )
    return kind


def check_name(name: str) -> str:
    """Return `name` if it can name an entry."""
    if not _NAME.fullmatch(name):
        raise CatalogError(
            f"'{name}' cannot name an entry. Use lower-case letters, digits, '.', '_' and '-' "
            f"(at most 200), starting with a letter or digit."
        )
    return name


def check_label(label: str, what: str) -> str:
    """Return `label` if it can be an alias or a tag (`what`)."""
    if label == LATEST or not _LABEL.fullmatch(label):
        raise CatalogError(
            f"'{label}' cannot be {what}. Use lower-case letters, digits, '.', '_' and '-' (at "
            f"most 40), starting with a letter; '{LATEST}' is taken."
        )
    return label


def without_version(text: str) -> bool:
    """Whether `text` names an entry, and no version of it."""
    kind, _, name = text.partition("/")
    return is_kind(kind) and bool(_NAME.fullmatch(name))


def _no_reference(text: str) -> CatalogError:
    if without_version(text):
        return CatalogError(f"'{text}' has no version. Write {text}@1, or {text}@latest.")
    return CatalogError(
        f"'{text}' is not a reference. Write kind/name@version, with a number, 'latest' or an "
        f"alias for the version."
    )
