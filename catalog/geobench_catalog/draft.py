"""An entry in the making: written aside, validated, made visible in one step."""

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geobench_catalog import environment, manifest
from geobench_catalog.entry import DATA, Entry
from geobench_catalog.errors import CatalogError
from geobench_catalog.local_store import sync
from geobench_catalog.names import Names
from geobench_catalog.record import Parent, Record, identity
from geobench_catalog.references import Kind, check_name
from geobench_catalog.store import Store

if TYPE_CHECKING:
    import xarray as xr
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
        kind: Kind,
        name: str,
        recipe: Mapping[str, Any],
        parents: Mapping[str, Entry],
        labels: Mapping[str, str],
    ) -> None:
        self._store, self._names = store, Names(store)
        self._kind: Kind = kind
        self._name = check_name(name)
        self._recipe = dict(recipe)
        self._parents = dict(parents)
        self._labels = dict(labels)
        self._began = time.perf_counter()
        self._files: manifest.Manifest = {}
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
        """What the data say of themselves when they have left the catalogue.

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

        own = dataset.assign_attrs(self.attributes | dataset.attrs)
        with told(self._store.url):
            zarr_data.write(
                self._zarr(), own, group=group, append=append, chunks=chunks, shards=shards
            )

    def allocate(
        self,
        one: "xr.Dataset",
        coords: "xr.Dataset",
        chunks: "Shape",
        shards: "Shape | None" = None,
    ) -> None:
        """Make room for data that come piece by piece; see `zarr_data.allocate`."""
        from geobench_catalog import zarr_data

        own = one.assign_attrs(self.attributes | one.attrs)
        with told(self._store.url):
            zarr_data.allocate(self._zarr(), own, coords, chunks, shards)

    def fill(self, piece: "xr.Dataset", where: Mapping[str, slice]) -> None:
        """Write a piece of allocated data."""
        from geobench_catalog import zarr_data

        with told(self._store.url):
            zarr_data.fill(self._zarr(), piece, where)

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

    def publish(self, summary: Mapping[str, Any] | None = None) -> Entry:
        """Make the entry visible, under the next free version of its name, and return it."""
        self._validate()
        record = self._record(summary or {})
        text = record.model_dump_json(indent=1).encode()
        files = self._files | {manifest.RECORD: manifest.measured(text)}
        with told(self._store.url):
            for each in self._flushed:
                each.result()  # raises what the disk has said
            (self.path / manifest.RECORD).write_bytes(text)
            with self._store.lock(shared=True):  # nobody removes a parent meanwhile
                self._parents_there()
                return settle(self._store, self.path, files, self._kind, self._name)

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
        for array, count in self._absent().items():
            raise CatalogError(
                f"{self._kind}/{self._name}: {count} chunks of {array} were never written. Fill "
                f"all that was allocated, then publish."
            )

    def _absent(self) -> dict[str, int]:
        """Chunks that were allocated and not filled: Zarr would make them up."""
        from geobench_catalog import zarr_data

        prefix = f"{DATA}/"
        names = [name.removeprefix(prefix) for name in self._files if name.startswith(prefix)]
        metadata = {
            name: (self.path / DATA / name).read_bytes()
            for name in names
            if name.endswith("zarr.json")
        }
        return zarr_data.absent(metadata, names)

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
            environment=environment.describe(),
            size=manifest.size(self._files),
            content=manifest.content_digest(self._files),
        )


def settle(
    store: Store,
    folder: Path,
    files: manifest.Manifest,
    kind: Kind,
    name: str,
    version: int | None = None,
) -> Entry:
    """Move a finished folder to its place and name it; the caller holds the store's lock.

    `version`: the one to take if it is free. A folder that is settled and never named, because the
    process died, is debris; if the same content comes again, it is named then.
    """
    text = manifest.encode(files)
    (folder / manifest.NAME).write_bytes(text)
    entry_id = manifest.digest(text)
    with suppress(FileExistsError):
        store.adopt(folder, f"entries/{entry_id}")
    reference = Names(store).give(kind, name, entry_id, first=version)
    return Entry(store, reference, entry_id)


@contextmanager
def told(url: str) -> Iterator[None]:
    """Tell what goes wrong while the catalogue is written."""
    try:
        yield
    except OSError as error:
        raise CatalogError(
            f"the catalogue {url} cannot be written ({error.strerror or error}). Free space or "
            f"change permissions, or name another with --catalog; nothing that it holds has "
            f"changed."
        ) from error
