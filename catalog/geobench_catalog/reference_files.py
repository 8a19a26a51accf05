"""The names of a catalog: which reference is which entry, and what else people call it.

refs/<kind>/<name>@<version>        "<id> <reference>": makes an entry exist
removed/<kind>/<name>@<version>     the same, of one that was removed: no version is used twice
naming/<id>                         somebody is about to name this entry
aliases/<kind>/<name>@<alias>       "<id> <reference>": a name that can be moved
tags/<kind>/<name>@<version>+<tag>  a word that sorts an entry
imported/<id>                       the door that an entry came in by; none: it was made here
trusted/<id>                        an imported entry that counts as if it were made here
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple

from geobench_catalog.errors import CatalogError
from geobench_catalog.references import (
    LATEST,
    Reference,
    check_label,
    is_id,
    is_kind,
    is_version,
    split,
)
from geobench_catalog.store import Store

Door = str
"""How an entry came in: `archive`, a file that `export` wrote; `pull` or `push`, a copy from or to
another catalog; or a word of the vocabulary."""
_DOOR = re.compile(r"[a-z][a-z0-9_-]{0,39}")
Origin = Literal["own", "imported", "trusted"]


class Alias(NamedTuple):
    """A name that can be moved from one version to another."""

    kind: str
    name: str
    alias: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}@{self.alias}"


class Names:
    """What the entries of a catalog are called. Files that other programs leave are not ours."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def references(self, kind: str | None = None) -> set[Reference]:
        """Every entry (of one kind) there is."""
        return set(self._versions("refs", kind))

    def texts(self) -> set[str]:
        """What stands in the place of references, unread: quick, and perhaps not all of it ours."""
        return {f"{kind}/{file}" for kind, file in self._listed("refs")}

    def _versions(self, folder: str, kind: str | None) -> Iterator[Reference]:
        for file_kind, name in self._listed(folder, kind):
            _, at, version = name.rpartition("@")
            if at and is_version(version):
                with suppress(CatalogError):
                    yield Reference(*split(f"{file_kind}/{name}")[:2], int(version))

    def _listed(self, folder: str, kind: str | None = None) -> Iterator[tuple[str, str]]:
        """Kind and name of each file there, of one kind or of all: one listing is one request."""
        if kind is not None:
            yield from ((kind, name) for name in self._store.names(f"{folder}/{kind}"))
            return
        for file_kind, name in self._store.listing(folder):
            if is_kind(file_kind):
                yield file_kind, name

    def newest(self, kind: str, name: str) -> int:
        """Highest version of `name` that counts (`origin`); if none does, the highest of all."""
        versions = [ref for ref in self._versions("refs", kind) if ref.name == name]
        foreign = self.imported()
        if foreign:
            foreign -= self.trusted()
            counting = []
            for reference in versions:
                with suppress(CatalogError):  # a damaged one counts; reading it is an error
                    if self.id(reference) in foreign:
                        continue
                counting.append(reference)
            versions = counting or versions
        return max((reference.version for reference in versions), default=0)

    def latest(self, kind: str, name: str, *, removed: bool = False) -> int:
        """Highest version of `name`, 0 if there is none; `removed`: also of those once there."""
        folders = ("refs", "removed") if removed else ("refs",)
        return max(
            (ref.version for folder in folders for ref in self._versions(folder, kind)
             if ref.name == name),
            default=0,
        )  # fmt: skip

    def id(self, reference: Reference) -> str | None:
        """Id of the entry that a reference names; None if there is no such reference."""
        try:
            return self._pointer(_ref(reference), reference)[0]
        except FileNotFoundError:
            return None

    def _pointer(self, key: str, owner: object) -> tuple[str, str]:
        """Read "<id> <reference>"."""
        try:
            text = self._store.read(key).decode("ascii").strip()
        except FileNotFoundError:
            raise
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(
                f"{owner}: {self._store.url}/{key} cannot be read ({error})."
            ) from error
        entry_id, _, target = text.partition(" ")
        named = isinstance(owner, Reference) and target not in ("", str(owner))
        if not is_id(entry_id) or named:
            raise CatalogError(
                f"{owner}: the file {self._store.url}/{key} is damaged; it holds "
                f"'{text[:100]}'. Restore it from a copy, or remove it and name the entry again."
            )
        return entry_id, target

    def give(self, kind: str, name: str, entry_id: str, *, first: int | None = None) -> Reference:
        """Name an entry: the next free version, or `first` if that is free."""
        while True:
            version = first or self.latest(kind, name, removed=True) + 1
            first = None
            reference = Reference(kind, name, version)
            if self._store.size(f"removed/{_file(reference)}") is None:
                with suppress(FileExistsError):  # another writer took this version: take the next
                    self._store.create(_ref(reference), f"{entry_id} {reference}".encode())
                    return reference

    def intend(self, entry_id: str) -> None:
        """Say that an entry is about to be named, before there is anything of it.

        Should this process die, the entry is known as debris, and not as one whose name was lost.
        """
        with suppress(FileExistsError):
            self._store.create(f"naming/{entry_id}", b"")

    def done(self, entry_id: str) -> None:
        """Say that it is named."""
        self._store.discard(f"naming/{entry_id}")

    def intended(self) -> set[str]:
        """Ids of entries that somebody is, or was, about to name."""
        return {name for name in self._store.names("naming") if is_id(name)}

    def restore(self, reference: Reference, entry_id: str) -> Reference:
        """Give an entry the very name that it had: that must be free, or its file damaged."""
        content = f"{entry_id} {reference}".encode()
        if self._store.size(f"removed/{_file(reference)}") is not None:
            raise CatalogError(f"{reference} was removed, and no version is given twice.")
        try:
            there = self.id(reference)
        except CatalogError:  # it is damaged, and names nothing
            self._store.replace(_ref(reference), content)
            return reference
        if there is None:
            with suppress(FileExistsError):
                self._store.create(_ref(reference), content)
                return reference
        raise CatalogError(f"{reference} is another entry. Name another version.")

    def drop(self, reference: Reference, entry_id: str) -> None:
        """Take a name away for good."""
        with suppress(FileExistsError):
            self._store.create(f"removed/{_file(reference)}", f"{entry_id} {reference}".encode())
        for tag in self.tags().get(reference, ()):
            self.untag(reference, tag)
        self._store.remove(_ref(reference))

    def damaged(self) -> Iterator[str]:
        """What is wrong with the marks of removed entries, and with tags."""
        for reference in self._versions("removed", None):
            key = f"removed/{_file(reference)}"
            try:
                self._pointer(key, reference)
            except (CatalogError, FileNotFoundError) as error:
                yield str(error)
        for kind, file in self._listed("tags"):
            if self._store.size(f"tags/{kind}/{file}"):
                yield f"{self._store.url}/tags/{kind}/{file} is damaged: it must be empty"

    # -- aliases

    def aliases(self) -> Iterator[Alias]:
        """Every alias."""
        for kind, file in self._listed("aliases"):
            with suppress(CatalogError):
                yield Alias(*split(f"{kind}/{file}"))

    def aimed(self, alias: Alias) -> Reference | None:
        """Reference that an alias stands for; None if there is no such alias."""
        try:
            entry_id, target = self._pointer(f"aliases/{_file(alias)}", alias)
        except FileNotFoundError:
            return None
        with suppress(CatalogError):
            reference = Reference.parse(target)
            if self.id(reference) == entry_id and reference[:2] == alias[:2]:
                return reference
        raise CatalogError(
            f"{alias}: it names '{target}', and that is not the entry it was made for. Make the "
            f"alias again: geobench catalog alias REFERENCE {alias.alias} --move."
        )

    def alias(self, reference: Reference, entry_id: str, alias: str, *, move: bool) -> Alias:
        """Let an alias stand for an entry; `move` takes it from where it is now."""
        made = Alias(reference.kind, reference.name, check_label(alias, "an alias"))
        content = f"{entry_id} {reference}".encode()
        key = f"aliases/{_file(made)}"
        if move:
            self._store.replace(key, content)
            return made
        try:
            self._store.create(key, content)
        except FileExistsError:
            if self._store.read(key) != content:
                raise CatalogError(
                    f"{made} stands for {self.aimed(made)}. Use --move to let it stand for "
                    f"{reference}."
                ) from None
        return made

    def forget(self, alias: Alias) -> None:
        """Remove an alias."""
        try:
            self._store.remove(f"aliases/{_file(alias)}")
        except FileNotFoundError:
            raise CatalogError(f"there is no alias {alias}.") from None

    # -- origin

    def door(self, entry_id: str) -> Door | None:
        """How an entry came in; None if it was made here, as all without a mark were."""
        try:
            text = self._store.read(f"imported/{entry_id}").decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return None
        return text if _DOOR.fullmatch(text) else "archive"

    def origin(self, entry_id: str) -> Origin:
        """Whether an entry was made here, came in, or came in and is trusted."""
        if self._store.size(f"imported/{entry_id}") is None:
            return "own"
        trusted = self._store.size(f"trusted/{entry_id}") is not None
        return "trusted" if trusted else "imported"

    def imported(self) -> set[str]:
        """Ids of all entries that came in."""
        return {name for name in self._store.names("imported") if is_id(name)}

    def trusted(self) -> set[str]:
        """Ids that count although they came in."""
        return {name for name in self._store.names("trusted") if is_id(name)}

    def mark_imported(self, entry_id: str, door: Door) -> None:
        """Say that an entry comes in, before it is named: none is seen without its mark."""
        with suppress(FileExistsError):
            self._store.create(f"imported/{entry_id}", door.encode())

    def trust(self, entry_id: str) -> None:
        """Let an imported entry count."""
        with suppress(FileExistsError):
            self._store.create(f"trusted/{entry_id}", b"")

    def distrust(self, entry_id: str) -> None:
        """Let it not count any more."""
        self._store.discard(f"trusted/{entry_id}")

    def removed(self, kind: str | None = None, name: str | None = None) -> set[str]:
        """Ids of the entries (of this kind and name) that were here and were removed."""
        ids = set()
        for reference in self._versions("removed", kind):
            if name in (None, reference.name):
                with suppress(CatalogError, FileNotFoundError):  # `damaged` tells
                    ids.add(self._pointer(f"removed/{_file(reference)}", reference)[0])
        return ids

    def unmark(self, entry_id: str) -> None:
        """Forget where an entry that is nowhere came from: its import ended before it was there."""
        self.distrust(entry_id)
        self._store.discard(f"imported/{entry_id}")

    # -- tags

    def tags(self) -> Mapping[Reference, list[str]]:
        """Tags of all entries that have any."""
        all_tags: dict[Reference, list[str]] = {}
        for kind, file in self._listed("tags"):
            named, _, tag = file.partition("+")
            with suppress(CatalogError):
                reference = Reference.parse(f"{kind}/{named}")
                all_tags.setdefault(reference, []).append(check_label(tag, "a tag"))
        return {reference: sorted(tags) for reference, tags in all_tags.items()}

    def tag(self, reference: Reference, tag: str) -> None:
        """Add a tag to an entry."""
        with suppress(FileExistsError):
            key = f"tags/{_file(reference)}+{check_label(tag, 'a tag')}"
            self._store.create(key, b"")

    def untag(self, reference: Reference, tag: str) -> None:
        """Take a tag away."""
        try:
            self._store.remove(f"tags/{_file(reference)}+{check_label(tag, 'a tag')}")
        except FileNotFoundError:
            raise CatalogError(f"{reference} has no tag '{tag}'.") from None


def alias_of(text: str) -> Alias | None:
    """Read `kind/name@alias`; None if the version is a number or `latest`."""
    kind, name, version = split(text)
    return None if version == LATEST or is_version(version) else Alias(kind, name, version)


def _ref(reference: Reference) -> str:
    return f"refs/{_file(reference)}"


def _file(named: Reference | Alias) -> str:
    return str(named)
