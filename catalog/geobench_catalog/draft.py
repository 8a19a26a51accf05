"""An entry in the making: written aside, validated, made visible in one step."""

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geobench_catalog import environment, manifest
from geobench_catalog.entry import DATA, Entry
from geobench_catalog.errors import CatalogError, told
from geobench_catalog.local_store import sync
from geobench_catalog.record import Parent, Record, identity
from geobench_catalog.record_check import check
from geobench_catalog.reference_files import Door, Names
from geobench_catalog.references import check_kind, check_name
from geobench_catalog.region import Filled, Regions
from geobench_catalog.store import Store
from geobench_catalog.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray
    from pydantic import BaseModel
    from zarr.abc.store import Store as ZarrStore

    from geobench_catalog.zarr_data import Shape


class Draft:
    """An entry in the making: write into it, then `publish`. Use it as a context manager.

    What is written is measured (size, SHA-256) on its way to the disk, and carries in its own
    attributes what it is and how it was made.
    """

    def __init__(
        self,
        store: Store,
        vocabulary: Vocabulary,
        kind: str,
        name: str,
        *,
        recipe: Mapping[str, Any],
        parents: Mapping[str, Entry],
        labels: Mapping[str, str],
        environment: Mapping[str, Any],
        door: Door | None = None,
    ) -> None:
        self._store, self._names = store, Names(store)
        self._vocabulary = vocabulary
        self._kind = check_kind(kind)
        self._name = check_name(name)
        self._recipe = dict(recipe)
        self._parents = dict(parents)
        self._labels = dict(labels)
        self._environment = dict(environment)
        self._door = door
        self._began = time.perf_counter()
        self._files: manifest.Manifest = {}
        self._filled: dict[str, tuple[list[str], NDArray[np.bool_]]] = {}
        self._open = ExitStack()
        self._disk = ThreadPoolExecutor(4, thread_name_prefix="flush")
        self._flushed: list[Future[None]] = []

    def __enter__(self) -> Self:
        with told(self._store.url):
            self.path: Path = self._open.enter_context(self._store.staging())
        return self

    def __exit__(self, *_: object) -> None:
        self._disk.shutdown(cancel_futures=True)
        self._open.close()

    @property
    def attributes(self) -> dict[str, str]:
        """What the data say of themselves when they have left the catalog.

        Nothing of when, where and under what name they were made: equal data stay equal.
        """
        parents = {
            role: f"{entry.reference} {entry.content_digest}"
            for role, entry in self._parents.items()
        }
        return {
            "Conventions": "CF-1.11",
            **({"title": self._labels["title"]} if "title" in self._labels else {}),
            "source": "geobench-twin",
            "geobench_kind": self._kind,
            "recipe": json.dumps(self._recipe, sort_keys=True),
            "parents": json.dumps(parents, sort_keys=True),
        }

    def write(
        self,
        dataset: "xr.Dataset",
        *,
        group: str | None = None,
        append: str | None = None,
        chunks: "Shape | None" = None,
        shards: "Shape | None" = None,
    ) -> None:
        """Write or append a group of the entry's data; see `zarr_data.write`."""
        from geobench_catalog import zarr_data

        described = dataset.assign_attrs(self.attributes | dataset.attrs)
        with told(self._store.url):
            zarr_data.write(
                self._zarr(), described, group=group, append=append, chunks=chunks, shards=shards
            )

    def allocate(
        self,
        one: "xr.Dataset",
        coords: "xr.Dataset",
        chunks: "Shape",
        shards: "Shape | None" = None,
    ) -> None:
        """Make room for data that come piece by piece; see `zarr_data.allocate`."""
        import numpy as np

        from geobench_catalog import zarr_data

        described = one.assign_attrs(self.attributes | one.attrs)
        for name, variable in one.data_vars.items():
            dims = [str(dim) for dim in coords.dims if dim in variable.dims]
            self._filled[str(name)] = dims, np.zeros([coords.sizes[dim] for dim in dims], bool)
        with told(self._store.url):
            zarr_data.allocate(self._zarr(), described, coords, chunks, shards)

    def fill(self, piece: "xr.Dataset", where: Mapping[str, slice]) -> None:
        """Write a piece of allocated data."""
        from geobench_catalog import zarr_data

        with told(self._store.url):
            zarr_data.fill(self._zarr(), piece, where)
        for name in map(str, piece.data_vars):
            self._mark(name, where)

    def regions(self) -> Regions:
        """Return what other processes on this machine need to fill regions of allocated data."""
        return Regions(self.path, self._store.url)

    def take(self, filled: Filled) -> None:
        """Take over what a process has filled; `CatalogError` if two wrote the same chunk."""
        for name in sorted(self._files.keys() & filled.files.keys()):
            raise CatalogError(
                f"{self._kind}/{self._name}: {name} was written by two processes. Cut the data "
                f"where chunks (or shards) end, so that each is written by one."
            )
        self._files |= filled.files
        for name in filled.names:
            self._mark(name, filled.where)

    def _mark(self, name: str, where: Mapping[str, slice]) -> None:
        """Note that a variable was filled there."""
        dims, filled = self._filled[name]
        filled[tuple(where.get(dim, slice(None)) for dim in dims)] = True

    def write_file(self, name: str, content: bytes) -> None:
        """Store a file beside the data."""
        with told(self._store.url):
            (self.path / name).write_bytes(content)
        self._files[name] = manifest.measured(content)

    def read(self, group: str | None = None) -> "xr.Dataset":
        """Read back what has been written."""
        from geobench_catalog import zarr_data

        return zarr_data.read(self._zarr(), self._name, group)

    def _zarr(self) -> "ZarrStore":
        from geobench_catalog.checked_store import measuring

        return measuring(self.path / DATA, self._files, f"{DATA}/", self._flush)

    def _flush(self, path: Path) -> None:
        """Put a file on disk, while the next ones are compressed."""
        self._flushed.append(self._disk.submit(sync, path))

    def has_values_of(self, entry: Entry) -> bool:
        """Whether an entry's data are stored in the same bytes, whatever its attributes say."""
        mine, theirs = (
            {key: facts for key, facts in files.items() if not key.endswith(".json")}
            for files in (self._files, entry.manifest)
        )
        return bool(mine) and mine == theirs

    def publish(self, summary: "Mapping[str, Any] | BaseModel | None" = None) -> Entry:
        """Make the entry visible, under the next free version of its name, and return it.

        Of a model the fields are recorded that were set.
        """
        self._validate()
        if summary is not None and not isinstance(summary, Mapping):
            summary = summary.model_dump(mode="json", exclude_unset=True)
        text = self._checked(self._record(summary or {}))
        files = self._files | {manifest.RECORD: manifest.measured(text)}
        with told(self._store.url):
            for future in self._flushed:
                future.result()  # raises what the disk has said
            (self.path / manifest.RECORD).write_bytes(text)
            with self._store.lock(shared=True):  # nobody removes a parent meanwhile
                self._parents_there()
                return settle(
                    self._store, self.path, files, self._kind, self._name, door=self._door
                )

    def _checked(self, record: Record) -> bytes:
        """The record as it is stored; `CatalogError` if it could not be read again."""
        try:
            text = record.model_dump_json(indent=1).encode()  # NaN becomes null
            kind = self._vocabulary.kind(self._kind)
            check(Record.model_validate(json.loads(text)), text, kind)
        except ValueError as error:
            raise CatalogError(
                f"{self._kind}/{self._name}: its record cannot be kept "
                f"({' '.join(str(error).split())}). Nothing was published."
            ) from error
        return text

    def _validate(self) -> None:
        """Raise unless what is on disk is what was written."""
        stored = {name: path.stat().st_size for name, path in manifest.files(self.path)}
        measured = {name: size for name, (size, _) in self._files.items()}
        if stored != measured:
            odd = sorted(set(stored.items()) ^ set(measured.items()))[0]
            raise CatalogError(
                f"{self._kind}/{self._name}: what was written is not what is on disk ({odd[0]}, "
                f"{odd[1]:,} bytes). Nothing was published; look at the disk, and try again."
            )
        for name, (dims, filled) in self._filled.items():
            if not filled.all():
                raise CatalogError(
                    f"{self._kind}/{self._name}: {name} was filled at {filled.sum():,} of "
                    f"{filled.size:,} places along {', '.join(dims)}. Fill all that was allocated."
                )
        for array, count in self._absent().items():
            raise CatalogError(
                f"{self._kind}/{self._name}: {count} chunks of {array} were never written. Fill "
                f"all that was allocated, then publish."
            )

    def _absent(self) -> dict[str, int]:
        """Chunks that were allocated and not filled: Zarr would make them up."""
        from geobench_catalog import zarr_data

        names = data_names(self._files)
        return zarr_data.absent(metadata_of(self.path, names), names)

    def _parents_there(self) -> None:
        """Raise if a parent has been removed since the draft was begun."""
        for parent in self._parents.values():
            if self._names.id(parent.reference) != parent.id:
                raise CatalogError(
                    f"{self._kind}/{self._name} is made from {parent.reference}, which was removed "
                    f"meanwhile. Nothing was published; make the parent again first."
                )

    def _record(self, summary: Mapping[str, Any]) -> Record:
        ids = {role: entry.id for role, entry in self._parents.items()}
        return Record(
            kind=self._kind,
            name=self._name,
            key=identity(self._kind, self._recipe, ids),
            recipe=self._recipe,
            parents={
                role: Parent(reference=str(entry.reference), id=entry.id)
                for role, entry in self._parents.items()
            },
            labels=self._labels,
            summary=dict(summary),
            created=datetime.now(UTC),
            seconds=time.perf_counter() - self._began,
            environment=environment.describe(self._vocabulary) | self._environment,
            size=manifest.size(self._files),
            content=manifest.content_digest(self._files),
        )


def data_names(files: manifest.Manifest) -> list[str]:
    """Paths in data.zarr of an entry's files."""
    prefix = f"{DATA}/"
    return [name.removeprefix(prefix) for name in files if name.startswith(prefix)]


def metadata_of(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Each `zarr.json` of a draft or of what comes in, by path in data.zarr."""
    files = (name for name in names if name.endswith("zarr.json"))
    return {name: (folder / DATA / name).read_bytes() for name in files}


def is_whole(store: Store, entry_id: str, files: manifest.Manifest) -> bool:
    """Whether an entry's files are there, each as it was published.

    In a folder every one is read. Elsewhere, where that would cost a transfer, their sizes count
    (`verify` reads them all).
    """
    stored = store.files(f"entries/{entry_id}")
    for name, expected in files.items():
        if stored.get(name) != expected[0]:
            return False
        if store.folder is None:
            continue
        with store.open(f"entries/{entry_id}/{name}") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected[1]:  # type: ignore[arg-type]
                return False
    return manifest.NAME in stored


def repair(store: Store, folder: Path, entry_id: str, files: manifest.Manifest) -> None:
    """Move a finished folder to its place, or to that of a damaged one."""
    (folder / manifest.NAME).write_bytes(manifest.encode(files))
    try:
        store.adopt(folder, f"entries/{entry_id}")
    except FileExistsError:
        if not is_whole(store, entry_id, files):
            store.remove(f"entries/{entry_id}")
            store.adopt(folder, f"entries/{entry_id}")


def settle(
    store: Store,
    folder: Path,
    files: manifest.Manifest,
    kind: str,
    name: str,
    version: int | None = None,
    door: Door | None = None,
) -> Entry:
    """Move a finished folder to its place and name it; the caller holds the store's lock.

    `version`: the one to take if it is free. `door`: how it came in, if it was not made here;
    that is marked before there is anything to see. A folder that is settled and never named,
    because the process died, is debris; if the same content comes again, it is named then. What is
    there and is damaged is replaced.
    """
    entry_id = manifest.digest(manifest.encode(files))
    names = Names(store)
    names.intend(entry_id)
    if door is not None:
        names.mark_imported(entry_id, door)
    repair(store, folder, entry_id, files)
    reference = names.give(kind, name, entry_id, first=version)
    names.done(entry_id)
    return Entry(store, reference, entry_id)
