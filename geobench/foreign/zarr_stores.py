"""Zarr stores of strangers: in a folder, in a zip file, behind a URL.

The metadata are read first, checked (`codec_safety`), and are then what Zarr is given: no file can
be another one when it is read again. Chunks are read when they are asked for, up to a limit.
"""

import asyncio
import json
import os
import threading
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import ByteRequest

from geobench.foreign.bounded_store import BoundedStore
from geobench_catalog.codec_safety import check_node
from geobench_catalog.errors import CatalogError
from geobench_catalog.manifest import is_inside
from geobench_catalog.remote_zarr import Fetch, RemoteZarr

if TYPE_CHECKING:
    import xarray as xr
    from zarr.abc.buffer import Buffer, BufferPrototype

_METADATA = {".zarray", ".zgroup", ".zmetadata", "zarr.json"}
_TOLD = _METADATA | {".zattrs"}
_LARGEST_METADATA = 2**26  # bytes of one file
_LARGEST_CHUNK = 2**31  # bytes as stored
_MOST_NODES = 100_000


def in_folder(folder: Path) -> tuple["xr.Dataset", bool]:
    """Open a folder without decoding; and whether it is Zarr 2."""
    import xarray as xr
    from zarr.storage import LocalStore

    metadata = {}
    for file in _metadata_files(folder, folder):
        name = file.relative_to(folder).as_posix()
        metadata[name] = file.read_bytes()
        check_node(json.loads(metadata[name]), name)
    # Not the consolidated metadata: what is read is then what has been checked, file by file.
    store = BoundedStore(LocalStore(folder, read_only=True), metadata)
    stored = xr.open_zarr(store, chunks=None, consolidated=False, decode_cf=False)
    return stored, (folder / ".zgroup").exists()


def in_zip(path: Path) -> tuple["xr.Dataset", bool]:
    """Open a zip file without decoding; and whether it is Zarr 2."""
    return _opened(_zipped(path))


def at_url(url: str) -> tuple["xr.Dataset", bool]:
    """Open what is behind a URL without decoding; and whether it is Zarr 2."""
    return _opened(_in_bucket(url) if url.startswith("s3://") else _on_web(url))


def absent(source: str | Path) -> Iterator[str]:
    """Notes on chunks that are not stored.

    A web server lists nothing: a chunk that it does not have is an error when it is read.
    """
    import zarr

    text = str(source)
    if text.startswith(("http://", "https://")):
        return
    if text.startswith("s3://"):
        store: Any = _in_bucket(text)
    else:
        store = source if Path(source).is_dir() else _zipped(Path(source))
    arrays = dict(zarr.open_group(store, mode="r", use_consolidated=False).arrays())
    for name, array in arrays.items():
        there, wanted = array.nchunks_initialized, array.nchunks
        if there < wanted:
            yield (
                f"{wanted - there} of {wanted} chunks of {name} are not stored and read as "
                f"{array.fill_value}"
            )


def _opened(store: "ForeignZarr") -> tuple["xr.Dataset", bool]:
    import xarray as xr

    nodes = {k: text for k, text in store.metadata.items() if k.rpartition("/")[2] in _METADATA}
    bounded = BoundedStore(store, nodes)
    stored = xr.open_zarr(bounded, chunks=None, consolidated=False, decode_cf=False)
    return stored, ".zgroup" in store.metadata


class ForeignZarr(RemoteZarr):
    """Checked metadata in memory, and chunks that `fetch` reads."""

    def __init__(self, metadata: Mapping[str, bytes], names: Iterable[str], fetch: Fetch) -> None:
        super().__init__(fetch)
        self.metadata = dict(metadata)
        self._names = [*names]
        for key, text in self.metadata.items():
            if key.rpartition("/")[2] in _METADATA:
                check_node(json.loads(text), key)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: ByteRequest | None = None
    ) -> "Buffer | None":
        """Return a file or a part of it; None if it is not there."""
        if key.rpartition("/")[2] in _TOLD:
            text = self.metadata.get(key)
            return None if text is None else prototype.buffer.from_bytes(text)
        return await super().get(key, prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        if key.rpartition("/")[2] in _TOLD:
            return key in self.metadata
        return await super().exists(key)

    async def list(self) -> AsyncIterator[str]:
        """List all files that are known."""
        for name in {*self._names, *self.metadata}:
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List the files whose names begin so."""
        for name in {*self._names, *self.metadata}:
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List files and folders directly in a folder; of chunks only what is known."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        below = (name for name in self.metadata if name.startswith(start))
        for name in {name.removeprefix(start).partition("/")[0] for name in below}:
            yield name


def _metadata_files(folder: str | Path, store: Path) -> Iterator[Path]:
    """Yield the metadata files of a store; refuse links, pipes and devices."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _metadata_files(entry.path, store)
            elif not entry.is_file(follow_symlinks=False):
                where = Path(entry.path).relative_to(store).as_posix()
                raise CatalogError(
                    f"{store}: {where} is a symbolic link or no regular file, which may lead out "
                    f"of the store. Copy what it stands for in its place (cp -rL)."
                )
            elif entry.name.casefold() in _METADATA:
                yield Path(entry.path)


def _zipped(path: Path) -> ForeignZarr:
    """Open a zip file; the store is at its top, or in the one folder that it holds."""
    if not zipfile.is_zipfile(path):
        raise CatalogError(
            f"{path} is a file and no zip; a .zarr is a folder. Unpack or write it again."
        )
    packed = zipfile.ZipFile(path)
    members = {info.filename: info for info in packed.infolist() if not info.is_dir()}
    for name, info in members.items():
        if not is_inside(name):
            raise CatalogError(f"{path} holds {name!r}, which leads out of it. Zip it again.")
        if info.flag_bits & 1:
            raise CatalogError(f"{path}: {name} is encrypted. Zip it without a password.")
    if len(members) < len([info for info in packed.infolist() if not info.is_dir()]):
        raise CatalogError(f"{path} holds a name twice. Zip it again from the folder.")
    top = {name.partition("/")[0] for name in members}
    inner = f"{next(iter(top))}/" if len(top) == 1 and not top & _METADATA else ""
    names = {name.removeprefix(inner): info for name, info in members.items()}
    lock = threading.Lock()

    def read(key: str) -> bytes:
        if key not in names:
            raise FileNotFoundError(key)
        largest = _LARGEST_METADATA if key.rpartition("/")[2] in _TOLD else _LARGEST_CHUNK
        _check_size(f"{path}: {key}", names[key].file_size, largest)
        with lock:  # a zip file is one file, read at one place
            return packed.read(names[key])

    async def fetch(key: str, start: int | None, end: int | None) -> bytes:
        return (await asyncio.to_thread(read, key))[start:end]

    metadata = {key: read(key) for key in names if key.rpartition("/")[2] in _TOLD}
    return ForeignZarr(metadata, names, fetch)


def _check_size(what: str, size: int, largest: int) -> None:
    if size > largest:
        raise CatalogError(
            f"{what} has {size:,} bytes, and {largest:,} are the most that is read of one file. "
            f"Write the forecast again in smaller chunks."
        )


def _in_bucket(url: str) -> ForeignZarr:
    from geobench_catalog.remote_store import RemoteStore

    base, _, name = url.rstrip("/").rpartition("/")
    bucket = RemoteStore(base)
    sizes = bucket.files(name)
    metadata = {}
    for key in sizes:
        if key.rpartition("/")[2] in _TOLD:
            _check_size(f"{url}/{key}", sizes[key], _LARGEST_METADATA)
            metadata[key] = bucket.read(f"{name}/{key}")
    if not metadata:
        raise CatalogError(f"{url} holds no Zarr store. Check the URL of the forecast.")
    inner = bucket.zarr(name)

    async def fetch(key: str, start: int | None, end: int | None) -> bytes:
        if key not in sizes:
            raise FileNotFoundError(key)
        _check_size(f"{url}/{key}", sizes[key], _LARGEST_CHUNK)
        return await inner.fetch(key, start, end)

    return ForeignZarr(metadata, sizes, fetch)


def _on_web(url: str) -> ForeignZarr:
    """Open a store on a web server: it lists nothing, so its metadata must be consolidated."""
    import fsspec

    try:
        web = fsspec.filesystem("http", skip_instance_cache=True)
    except ImportError as error:
        raise CatalogError(f"{url} needs a package that is not here: {error}.") from error
    base = url.rstrip("/")
    metadata = _consolidated(base, partial(_download, web, largest=_LARGEST_METADATA))

    async def fetch(key: str, start: int | None, end: int | None) -> bytes:
        reading = _downloading(web, f"{base}/{key}", _LARGEST_CHUNK)
        future = asyncio.run_coroutine_threadsafe(reading, web.loop)
        try:
            return (await asyncio.wrap_future(future))[start:end]
        except FileNotFoundError as error:
            raise CatalogError(
                f"{base}/{key} is not there, and the server cannot say whether it should be. "
                f"Download the store, and import it from its folder."
            ) from error

    return ForeignZarr(metadata, (), fetch)


def _download(web: Any, url: str, *, largest: int) -> bytes | None:
    future = asyncio.run_coroutine_threadsafe(_downloading(web, url, largest), web.loop)
    try:
        return future.result()
    except FileNotFoundError:
        return None


async def _downloading(web: Any, url: str, largest: int) -> bytes:
    """Download a file, and stop where it is too large, whatever the server says of its size."""
    session = await web.set_session()
    parts, size = [], 0
    async with session.get(web.encode_url(url)) as answer:
        if answer.status == 404:
            raise FileNotFoundError(url)
        answer.raise_for_status()
        async for part in answer.content.iter_chunked(2**18):
            size += len(part)
            _check_size(url, size, largest)
            parts.append(part)
    return b"".join(parts)


def _consolidated(base: str, read: Any) -> dict[str, bytes]:
    """Metadata of each group and array, from the one file that holds them all."""
    metadata: dict[str, Any] = {}
    if (text := read(f"{base}/zarr.json")) is not None:
        root = json.loads(text)
        nodes = ((root.pop("consolidated_metadata", None) or {}).get("metadata")) or {}
        metadata = {"zarr.json": root} | {f"{name}/zarr.json": node for name, node in nodes.items()}
    elif (text := read(f"{base}/.zmetadata")) is not None:
        metadata = nodes = json.loads(text)["metadata"]
    else:
        raise CatalogError(
            f"{base} has neither zarr.json nor .zmetadata. Check the URL of the store; a web "
            f"server lists nothing, so its metadata must be consolidated."
        )
    if not nodes:
        raise CatalogError(
            f"the metadata of {base} are not consolidated, and a web server lists nothing. "
            f"Consolidate them (zarr.consolidate_metadata), or download the store."
        )
    odd = [key for key in metadata if not is_inside(key) or key.rpartition("/")[2] not in _TOLD]
    if odd or len(metadata) > _MOST_NODES:
        what = f"the file {odd[0]!r}" if odd else f"{len(metadata):,} files"
        raise CatalogError(f"the metadata of {base} name {what}. Write the store again.")
    return {key: json.dumps(node).encode() for key, node in metadata.items()}
