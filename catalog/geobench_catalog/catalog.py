"""The catalogue: immutable, versioned entries in a folder.

    geobench-catalog.json           marks the folder
    entries/<id>/                   record.json, data.zarr, other files, MANIFEST.json
    refs/<kind>/<name>@<version>    holds the id of an entry
    tmp/                            drafts

The id is the SHA-256 of the manifest. An entry exists once its reference does: the reference is
linked into place after the data are complete and on disk, in one step that fails when the name is
taken. A process that dies before leaves debris that nobody sees: a draft, or an entry without a
reference.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geobench_catalog import environment, manifest, zarr_data
from geobench_catalog.errors import CatalogError
from geobench_catalog.record import Record, identity
from geobench_catalog.references import KINDS, Kind, Reference, check_kind, check_name

if TYPE_CHECKING:
    import xarray as xr

_MARK = "geobench-catalog.json"
_SCHEMA = 1


class Entry:
    """A published entry: its record, its files, its data."""

    def __init__(self, path: Path, record: Record) -> None:
        self.path = path
        self.record = record

    @property
    def id(self) -> str:
        """SHA-256 of the entry's manifest: its content identity."""
        return self.path.name

    @property
    def reference(self) -> Reference:
        """`kind/name@version`."""
        return self.record.reference

    @property
    def size(self) -> int:
        """Stored bytes."""
        return sum(size for size, _ in manifest.read(self.path).values())

    @property
    def content_digest(self) -> str:
        """SHA-256 over the data alone; equal data, equal digest."""
        return manifest.content_digest(manifest.read(self.path))

    def check(self) -> None:
        """Raise `CatalogError` if a file is missing or has another size than was published."""
        manifest.check_sizes(self.path, manifest.read(self.path))

    def open(self, group: str | None = None) -> "xr.Dataset":
        """Return a group of the entry's data, lazily, after `check`.

        A chunk with a flipped bit raises when it is read: within `reading` as `CatalogError`.
        """
        self.check()
        return zarr_data.read(self.path, group)

    def load(self, group: str | None = None) -> "xr.Dataset":
        """Return a group of the entry's data in memory; `CatalogError` if any of it is damaged."""
        with self.reading():
            return self.open(group).load()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Tell what goes wrong while the entry's data are read as damage to this entry."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise CatalogError(
                f"{self.reference}: its data cannot be read ({reason}). The entry is damaged: "
                f"restore {self.path} from a copy, or remove its reference and make it again."
            ) from error

    def contents(self) -> list[tuple[str, dict[str, int], str]]:
        """List the arrays it holds: path in data.zarr, length of each dim, type."""
        with self.reading():
            return zarr_data.contents(self.path)

    def content(self, name: str) -> bytes:
        """Return a file stored beside the data; `CatalogError` unless it is what was published."""
        stored = manifest.read(self.path).get(name)
        if stored is None:
            raise CatalogError(f"{self.reference} holds no file '{name}'.")
        with self.reading():
            content = (self.path / name).read_bytes()
            if manifest.digest(content) != stored[1]:
                raise ValueError(f"{name} is not what was published")
        return content

    def __repr__(self) -> str:
        return f"<{self.reference} {self.id[:12]}>"


class Draft:
    """An entry in the making: write into it, then `publish`. Use it as a context manager."""

    def __init__(
        self,
        catalog: "Catalog",
        kind: Kind,
        name: str,
        recipe: Mapping[str, Any],
        parents: Mapping[str, Entry],
        labels: Mapping[str, str],
    ) -> None:
        self._catalog = catalog
        self._kind = kind
        self._name = check_name(name)
        self._recipe = dict(recipe)
        self._parents = dict(parents)
        self._labels = dict(labels)
        self._began = time.perf_counter()
        self.path = catalog.path / "tmp" / uuid.uuid4().hex

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise _not_writable(self._catalog.path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def write(
        self,
        dataset: "xr.Dataset",
        *,
        group: str | None = None,
        append: str | None = None,
        chunks: Mapping[str, int] | None = None,
    ) -> None:
        """Write or append a group of the entry's data; see `zarr_data.write`."""
        try:
            zarr_data.write(self.path, dataset, group=group, append=append, chunks=chunks)
        except OSError as error:
            raise _not_writable(self._catalog.path, error) from error

    def allocate(self, one: "xr.Dataset", coords: "xr.Dataset", chunks: Mapping[str, int]) -> None:
        """Make room for data that come piece by piece; see `zarr_data.allocate`."""
        try:
            zarr_data.allocate(self.path, one, coords, chunks)
        except OSError as error:
            raise _not_writable(self._catalog.path, error) from error

    def fill(self, piece: "xr.Dataset", where: Mapping[str, slice]) -> None:
        """Write a piece of allocated data."""
        try:
            zarr_data.fill(self.path, piece, where)
        except OSError as error:
            raise _not_writable(self._catalog.path, error) from error

    def write_file(self, name: str, content: bytes) -> None:
        """Store a file beside the data."""
        try:
            (self.path / name).write_bytes(content)
        except OSError as error:
            raise _not_writable(self._catalog.path, error) from error

    def read(self, group: str | None = None) -> "xr.Dataset":
        """Read back what has been written."""
        return zarr_data.read(self.path, group)

    def publish(self, summary: Mapping[str, Any] | None = None) -> Entry:
        """Make the entry visible, under the next free version of its name, and return it."""
        files = manifest.measure(self.path)
        while True:
            version = self._catalog.latest_version(self._kind, self._name) + 1
            record = self._record(version, summary or {})
            target = self._settle(record, files)
            try:
                self._catalog.name(record.reference, target.name)
            except FileExistsError:  # another writer took this version: take the next
                target.rename(self.path)
            else:
                return Entry(target, record)

    def _record(self, version: int, summary: Mapping[str, Any]) -> Record:
        parents = {role: entry.id for role, entry in self._parents.items()}
        return Record(
            kind=self._kind,
            name=self._name,
            version=version,
            key=identity(self._kind, self._recipe, parents),
            recipe=self._recipe,
            parents={role: str(entry.reference) for role, entry in self._parents.items()},
            labels=self._labels,
            summary=dict(summary),
            created=datetime.now(UTC),
            seconds=time.perf_counter() - self._began,
            environment=environment.describe(),
        )

    def _settle(self, record: Record, files: manifest.Manifest) -> Path:
        """Write record and manifest, flush everything to disk, move it to its final place."""
        try:
            (self.path / "record.json").write_text(record.model_dump_json(indent=1), "utf-8")
            record_file = {"record.json": manifest.measure_file(self.path / "record.json")}
            text = manifest.encode(files | record_file)
            (self.path / manifest.NAME).write_bytes(text)
            _flush(self.path)
            target = self._catalog.path / "entries" / manifest.digest(text)
            target.parent.mkdir(exist_ok=True)
            self.path.rename(target)
            _sync(target.parent)
        except OSError as error:
            raise _not_writable(self._catalog.path, error) from error
        return target


class Catalog:
    """A folder of entries. Opening one creates it only if asked to."""

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False) -> None:
        self.path = Path(path).absolute()
        mark = self.path / _MARK
        if not mark.exists():
            if not create:
                raise CatalogError(
                    f"{self.path} is not a catalogue (it has no {_MARK}). "
                    f"Name another with --catalog, or make one with 'geobench simulate'."
                )
            self._create(mark)
        try:
            schema = json.loads(mark.read_text("utf-8"))["schema"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CatalogError(
                f"{mark} cannot be read ({error!r}). If the folders entries and refs beside it are "
                f'whole, write {{"schema": {_SCHEMA}}} into it.'
            ) from error
        if schema != _SCHEMA:
            raise CatalogError(
                f"{self.path} has catalogue schema {schema}; this geobench reads {_SCHEMA}. "
                f"Use the version of geobench that wrote it."
            )
        self._records: dict[str, Record] = {}
        self.damaged: dict[Reference, str] = {}

    def _create(self, mark: Path) -> None:
        if self.path.is_dir() and any(self.path.iterdir()):
            raise CatalogError(
                f"{self.path} is not empty and not a catalogue (it has no {_MARK}). "
                f"Name an empty or a new folder with --catalog."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "tmp").mkdir(exist_ok=True)
            _place(self.path, mark, json.dumps({"schema": _SCHEMA}))
        except FileExistsError:  # another process made it meanwhile
            if not mark.is_file():
                raise CatalogError(f"{self.path} is not a folder.") from None
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def draft(
        self,
        kind: Kind,
        name: str,
        *,
        recipe: Mapping[str, Any],
        parents: Mapping[str, Entry] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Draft:
        """Begin an entry made by `recipe` from `parents` (role -> entry)."""
        return Draft(self, kind, name, recipe, parents or {}, labels or {})

    def find(
        self, kind: Kind, recipe: Mapping[str, Any], parents: Mapping[str, Entry]
    ) -> Entry | None:
        """Return the newest entry that this very computation made, if there is one."""
        key = identity(kind, recipe, {role: entry.id for role, entry in parents.items()})
        same = [entry for entry in self.entries(kind) if entry.record.key == key]
        return max(same, key=lambda entry: entry.record.created, default=None)

    def get(self, reference: str, wanted: Kind | None = None) -> Entry:
        """Return the entry `kind/name@version`; `@latest` names the newest version.

        `CatalogError` if it is not there, or not of the `wanted` kind.
        """
        kind, slash, rest = reference.partition("/")
        name, at, version = rest.rpartition("@")
        if slash and at and version == "latest":
            latest = self.latest_version(check_kind(kind), check_name(name))
            resolved = Reference(check_kind(kind), name, latest)
        else:
            resolved = Reference.parse(reference)
        if not self._ref(resolved).exists():
            raise CatalogError(
                f"there is no {reference} in {self.path}. {self._similar(reference)}"
            )
        if wanted and resolved.kind != wanted:
            raise CatalogError(f"{reference} is a {resolved.kind}; name a {wanted}.")
        return self._load(resolved)

    def entries(self, kind: Kind | None = None) -> Iterator[Entry]:
        """Iterate over all entries (of one kind), by kind, name and version.

        One that cannot be read is passed over, and told in `damaged`.
        """
        for each in KINDS if kind is None else (kind,):
            for reference in sorted(self._references(each)):
                try:
                    entry = self._load(reference)
                except CatalogError as error:
                    self.damaged[reference] = str(error)
                else:
                    yield entry

    def latest_version(self, kind: Kind, name: str) -> int:
        """Return the highest version of `name`, 0 if there is none."""
        versions = (ref.version for ref in self._references(kind) if ref.name == name)
        return max(versions, default=0)

    def name(self, reference: Reference, entry_id: str) -> None:
        """Make an entry visible under `reference`; `FileExistsError` if it is taken."""
        target = self._ref(reference)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(self.path, target, entry_id)
        except FileExistsError:
            raise
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def _ref(self, reference: Reference) -> Path:
        return self.path / "refs" / reference.kind / f"{reference.name}@{reference.version}"

    def _references(self, kind: Kind) -> Iterator[Reference]:
        folder = self.path / "refs" / kind
        for path in folder.iterdir() if folder.is_dir() else ():
            # Other programs leave files of their own (.DS_Store, .nfs…): those are not ours.
            with suppress(CatalogError):
                yield Reference.parse(f"{kind}/{path.name}")

    def _load(self, reference: Reference) -> Entry:
        ref = self._ref(reference)
        try:
            entry_id = ref.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(f"{reference}: {ref} cannot be read ({error}).") from error
        path = self.path / "entries" / entry_id
        if not (len(entry_id) == 64 and entry_id.isalnum() and path.is_dir()):
            raise CatalogError(
                f"{reference} points at an entry that is not there (entries/{entry_id[:12]}). "
                f"Restore it from a copy, or remove {ref} and make the entry again."
            )
        if entry_id not in self._records:
            self._records[entry_id] = _read_record(path, reference)
        return Entry(path, self._records[entry_id])

    def _similar(self, reference: str) -> str:
        import difflib

        known = [str(entry.reference) for entry in self.entries()]
        close = difflib.get_close_matches(reference, known, n=3)
        if close:
            return f"Did you mean {' or '.join(close)}?"
        return "'geobench catalog list' shows what is there."


def _read_record(path: Path, reference: Reference) -> Record:
    try:
        measured = manifest.measure_file(path / "record.json")
        if measured != manifest.read(path).get("record.json"):
            raise ValueError("it is not the one that was published")
        record = Record.model_validate_json((path / "record.json").read_bytes())
    except (OSError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        reason = str(error).replace("\n", " ")
        raise CatalogError(
            f"{reference}: its record cannot be read ({reason}). Restore {path} from a copy, or "
            f"remove the reference and make the entry again."
        ) from error
    if record.reference != reference:
        raise CatalogError(f"{reference} points at the entry {record.reference}.")
    return record


def _place(root: Path, target: Path, text: str) -> None:
    """Create `target` with its full content in one step; `FileExistsError` if it is there."""
    aside = root / "tmp" / f"{uuid.uuid4().hex}.ref"
    aside.parent.mkdir(exist_ok=True)
    aside.write_text(text, "utf-8")
    _sync(aside)
    try:
        os.link(aside, target)
    finally:
        aside.unlink()
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Ask the system to put a file or folder on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _not_writable(path: Path, error: OSError) -> CatalogError:
    return CatalogError(
        f"the catalogue {path} cannot be written ({error.strerror or error}). Free space or change "
        f"permissions, or name another with --catalog; nothing that it holds has changed."
    )
