"""A published entry: its record, its files, its data."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from geobench_catalog import manifest
from geobench_catalog.errors import STRANGE, CatalogError, cure
from geobench_catalog.record import Record, read_record
from geobench_catalog.reference_files import Door, Names, Origin
from geobench_catalog.references import Reference
from geobench_catalog.store import Store

if TYPE_CHECKING:
    import xarray as xr
    from zarr.abc.store import Store as ZarrStore

DATA = "data.zarr"


class Entry:
    """A published entry. It never changes; what is read from it is what was published, or raises.

    `reference` is its name in the catalog it was taken from, `id` the SHA-256 of its manifest:
    its content identity, everywhere.
    """

    def __init__(self, store: Store, reference: Reference, entry_id: str) -> None:
        self._store = store
        self.reference = reference
        self.id = entry_id
        self._key = f"entries/{entry_id}"

    @property
    def location(self) -> str:
        """Path or URL of the folder that holds it."""
        return f"{self._store.url}/{self._key}"

    @property
    def path(self) -> Path:
        """Folder that holds it, where that is on this machine."""
        if self._store.folder is None:
            raise CatalogError(
                f"{self.reference} is at {self.location}, not in a folder. Pull it into a local "
                f"catalog first: geobench catalog pull."
            )
        return self._store.folder / self._key

    @property
    def origin(self) -> Origin:
        """Whether it was made in its catalog, came in, or came in and is trusted."""
        return Names(self._store).origin(self.id)

    @property
    def door(self) -> Door | None:
        """How it came in; None if it was made in its catalog."""
        return Names(self._store).door(self.id)

    @property
    def size(self) -> int:
        """Stored bytes."""
        return sum(size for size, _ in self.manifest.values())

    @property
    def content_digest(self) -> str:
        """SHA-256 over the data alone; equal digest, equal data."""
        return self.record.content

    @cached_property
    def manifest(self) -> manifest.Manifest:
        """Size and SHA-256 of each of its files."""
        with self._told(f"its {manifest.NAME}"):
            text = self._store.read(f"{self._key}/{manifest.NAME}")
            if manifest.digest(text) != self.id:
                raise ValueError("it is not the one that was published")
            return manifest.decode(text)

    @cached_property
    def record(self) -> Record:
        """Where it comes from."""
        files = self.manifest
        with self._told(f"its {manifest.RECORD}"):
            text = self._store.read(f"{self._key}/{manifest.RECORD}")
            if manifest.measured(text) != files.get(manifest.RECORD):
                raise ValueError("it is not the one that was published")
            record = read_record(text, manifest.size(files), manifest.content_digest(files))
            if (record.kind, record.name) != self.reference[:2]:
                raise ValueError(f"it is that of a {record.kind} called {record.name}")
            return record

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except CatalogError:
            raise
        except (OSError, *STRANGE) as error:  # pydantic's ValidationError is a ValueError
            reason = " ".join(str(error).split())
            raise self._problem(f"{what} cannot be read ({reason}).") from error

    def _problem(self, evidence: str) -> CatalogError:
        """Damage to this entry, unless it has been removed since it was taken."""
        with suppress(OSError):
            if Names(self._store).id(self.reference) is None:
                return CatalogError(f"{self.reference} was removed meanwhile.")
        return CatalogError(f"{self.reference}: {evidence} {cure(self.location)}")

    def check(self) -> None:
        """Raise `CatalogError` if a file is missing or has another size than was published.

        In an object store, where that takes a request, it is looked at once.
        """
        if self._key in self._store.whole:
            return
        stored = self.stored()
        for name, (size, _) in self.manifest.items():
            if stored.get(name) != size:
                raise self._problem(f"{name} {manifest.change(stored.get(name), size)}.")
        if self._store.folder is None:
            self._store.whole.add(self._key)

    def stored(self) -> dict[str, int]:
        """Bytes of each file that is there now, whatever was published."""
        return self._store.files(self._key)

    def file(self, name: str) -> BinaryIO:
        """One of its files, to be read as it is now."""
        return self._store.open(f"{self._key}/{name}")

    def store(self) -> "ZarrStore":
        """Zarr store of the data, each file of which is checked as it is read."""
        from geobench_catalog.checked_store import CheckedStore

        prefix = f"{DATA}/"
        files = {
            name.removeprefix(prefix): facts
            for name, facts in self.manifest.items()
            if name.startswith(prefix)
        }
        inner = self._store.zarr(f"{self._key}/{DATA}")
        return CheckedStore(inner, files, str(self.reference), self.location)

    def open(self, group: str | None = None) -> "xr.Dataset":
        """Return a group of the entry's data, lazily, after `check`.

        What is damaged since raises `CatalogError` when it is read; nothing is filled in.
        """
        from geobench_catalog import zarr_data

        self.check()
        try:
            opened = zarr_data.read(self.store(), str(self.reference), group)
        except CatalogError as error:
            raise self._no_group(group) or error from error.__cause__
        missing = None if opened.variables else self._no_group(group)
        if missing:
            raise missing
        return opened

    def _no_group(self, group: str | None) -> CatalogError | None:
        """Say which groups there are, if data were asked for and lie in other groups."""
        groups = list(dict.fromkeys(path.rpartition("/")[0] for path, _, _ in self.contents()))
        if (group or "") in groups or not groups:
            return None
        if not group:
            names = ", ".join(groups)
            return CatalogError(
                f"{self.reference} holds groups: {names}. Name one, such as '{groups[0]}'."
            )
        close = difflib.get_close_matches(group, groups, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        names = ", ".join(name or "the root (leave the group out)" for name in groups)
        return CatalogError(f"{self.reference} holds no group '{group}'.{hint} It holds: {names}.")

    def load(self, group: str | None = None) -> "xr.Dataset":
        """Return a group of the entry's data in memory; `CatalogError` if any of it is damaged."""
        with self.reading():
            return self.open(group).load()

    def load_like(self, other: "Entry", loaded: "xr.Dataset") -> "xr.Dataset":
        """Return what `load` returns, several times as quickly where `other` is of its kind.

        `loaded` is what `other.load()` gave. Whatever the manifests show to be equal, coordinates
        and metadata, is taken from there; if more than the values of floating-point variables
        differs, all is read.
        """
        from geobench_catalog import zarr_data

        names = [str(name) for name in loaded.data_vars]
        values = (f"{DATA}/zarr.json", *(f"{DATA}/{name}/c" for name in names))
        mine, theirs = (
            {
                name: facts
                for name, facts in entry.manifest.items()
                if name.startswith(f"{DATA}/") and not name.startswith(values)
            }
            for entry in (self, other)
        )
        plain = all(
            variable.dtype.kind == "f"
            and not {"scale_factor", "add_offset"} & variable.encoding.keys()
            for variable in loaded.data_vars.values()
        )
        if mine != theirs or not plain:
            return self.load()
        with self.reading():  # each file that is read is held to its digest
            arrays, attributes = zarr_data.values(self.store(), names)
            dataset = loaded.copy(data=arrays)
            dataset.attrs = attributes
            return dataset

    def blocks(self, dim: str, memory: int, group: str | None = None) -> Iterator["xr.Dataset"]:
        """Read a group piece by piece along `dim`, a quarter of `memory` (bytes) at a time.

        The rest is for the piece before, which its user still holds, and chunks in the making.
        """
        opened = self.open(group)
        one = sum(
            variable.nbytes // max(1, variable.sizes.get(dim, 1)) for variable in opened.values()
        )
        step = max(1, memory // max(1, 4 * one))
        cut = _chunk(opened, dim)
        step = max(1, step - step % cut) if step >= cut else step
        for first in range(0, opened.sizes[dim], step):
            with self.reading():
                yield opened.isel({dim: slice(first, first + step)}).load()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Tell what goes wrong while the entry's data are read as damage to this entry."""
        with self._told("its data"):
            try:
                yield
            except RuntimeError as error:  # a codec's
                raise ValueError(str(error)) from error

    def metadata(self) -> dict[str, bytes]:
        """Each `zarr.json` of its data, by path in data.zarr; `CatalogError` if it is damaged."""
        return {
            name.removeprefix(f"{DATA}/"): self.content(name)
            for name in self.manifest
            if name.startswith(f"{DATA}/") and name.endswith("/zarr.json")
        }

    def contents(self) -> list[tuple[str, dict[str, int], str]]:
        """List the arrays it holds: path in data.zarr, length of each dim, type."""
        from geobench_catalog import zarr_data

        metadata = self.metadata()
        with self.reading():
            return zarr_data.contents(metadata)

    def content(self, name: str) -> bytes:
        """Return one of its files; `CatalogError` unless it is what was published."""
        if name not in self.manifest:
            raise CatalogError(f"{self.reference} holds no file '{name}'.")
        with self.reading():
            content = self._store.read(f"{self._key}/{name}")
            if manifest.measured(content) != self.manifest[name]:
                raise ValueError(f"{name} is not what was published")
        return content

    def __repr__(self) -> str:
        return f"<Entry {self.reference} {self.id[:12]}>"


def _chunk(opened: "xr.Dataset", dim: str) -> int:
    """Longest chunk (or shard) along `dim`: what is read at least, whatever is asked for."""
    longest = 1
    for variable in opened.values():
        cut = variable.encoding.get("shards") or variable.encoding["chunks"]
        longest = max(longest, int(dict(zip(variable.dims, cut, strict=True)).get(dim, 1)))
    return longest
