"""How much a stranger's chunk takes once it is unpacked: known before it is, and bounded.

A file of 100 kB can unpack to gigabytes. The metadata declare the shape of a chunk. The
file itself says to how much it unpacks: Blosc, LZ4 and Zstandard have that size in a header. The
others are unpacked piece by piece, and nothing is kept.
"""

import bz2
import json
import lzma
import mmap
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from geobench_catalog.errors import CatalogError

LARGEST = 2**28
"""Bytes of a chunk in memory."""
_COMPRESSORS = ("blosc", "zstd", "gzip", "zlib", "bz2", "lzma", "lz4", "pcodec")
_SLACK = 2**16  # bytes, that headers and odd types take
_WIDEST = 8  # times that a filter may make numbers wider
_STEP = 2**20  # bytes that are unpacked at once


@dataclass(frozen=True)
class Chunks:
    """What an array's metadata declare of its chunks: bytes, and what packs them, outermost first.

    `inner`: chunks in a file, where it is a shard; its index is `at` the end or the start.
    """

    size: int | None
    packers: tuple[str, ...]
    inner: int | None = None
    at_end: bool = True
    index: int = 0

    @property
    def most(self) -> int:
        """Bytes that a chunk may unpack to; of texts the length is not known."""
        if self.size is None:
            return LARGEST
        return min(LARGEST, _WIDEST * self.size + _SLACK)


def declared(node: Mapping[str, Any], where: str) -> Chunks | None:
    """Read an array's metadata; None for a group. `CatalogError` if a chunk would be too large."""
    if "chunks" in node and "dtype" in node:  # Zarr 2
        shape, item = node["chunks"], _item(node["dtype"])
        chunks = Chunks(size_of(shape, item, where), _named([*_list(node.get("compressor"))]))
        return _checked(chunks, where)
    if node.get("node_type") != "array" or "chunk_grid" not in node:
        return None
    shape, item = _shape(node["chunk_grid"]), _item(node.get("data_type"))
    codecs = _list(node.get("codecs"))
    shards = [codec for codec in codecs if _name(codec) == "sharding_indexed"]
    if not shards:
        return _checked(Chunks(size_of(shape, item, where), _named(codecs)), where)
    if len(codecs) > 1:
        raise refused(where, "has shards that are packed as a whole")
    how = shards[0].get("configuration", {})
    inner = how.get("chunk_shape")
    size, codecs = size_of(inner, item, where), _list(how.get("codecs"))
    if any(_name(codec) == "sharding_indexed" for codec in codecs):
        raise refused(where, "has shards inside shards")
    if size is None:
        return None
    count = prod(-(-length // cut) for length, cut in zip(shape, inner, strict=True))
    if 16 * count > LARGEST:
        raise refused(where, f"has {count:,} chunks in a shard")
    checks = sum(4 for codec in _list(how.get("index_codecs")) if _name(codec) == "crc32c")
    end = how.get("index_location", "end") == "end"
    return _checked(Chunks(size, _named(codecs), count, end, 16 * count + checks), where)


def _checked(chunks: Chunks, where: str) -> Chunks:
    if len(chunks.packers) > 1:
        raise refused(where, f"packs its chunks twice ({', then '.join(chunks.packers)})")
    return chunks


def size_of(shape: Any, item: int | None, where: str) -> int | None:
    """Bytes of a chunk of this shape, `item` bytes a number; `CatalogError` if it is too large.

    None if the shape is none, or the length of an item is not known.
    """
    if not isinstance(shape, list) or any(
        type(length) is not int or length < 1 for length in shape
    ):
        return None  # no shape: whoever reads it says so
    size = prod(shape) * (item or 1)
    if size > LARGEST:
        raise refused(where, f"has chunks of {size:,} bytes ({' x '.join(map(str, shape))})")
    return size if item else None


def refused(where: str, what: str) -> CatalogError:
    """The error for an array (`where`) whose chunks cannot be read within the limit."""
    return CatalogError(
        f"{where} {what}, and a chunk may take {LARGEST >> 20} MiB in memory. Write the data again "
        f"in smaller chunks, each packed once."
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _name(codec: Any) -> str:
    named = codec.get("id", codec.get("name")) if isinstance(codec, dict) else codec
    return str(named).removeprefix("numcodecs.")


def _named(codecs: list[Any]) -> tuple[str, ...]:
    return tuple(name for name in map(_name, reversed(codecs)) if name in _COMPRESSORS)


def _shape(grid: Mapping[str, Any]) -> Any:
    return grid.get("configuration", {}).get("chunk_shape")


def _item(dtype: Any) -> int | None:
    """Bytes of a number; None where they are not all of one length."""
    import numpy as np

    try:
        return np.dtype(dtype).itemsize or None
    except (TypeError, ValueError):
        return None


def check_files(folder: Path, metadata: Mapping[str, bytes], names: Iterable[str]) -> None:
    """Raise `CatalogError` if a chunk in a folder would unpack to more than it may."""
    arrays = arrays_of(metadata)
    for name in names:
        owner = owner_of(name, arrays)
        if owner is not None and (folder / name).stat().st_size:
            with (
                (folder / name).open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
                memoryview(data) as view,  # of most files only the headers are looked at
            ):
                check_chunks(arrays[owner], view, name)


def arrays_of(metadata: Mapping[str, bytes]) -> dict[str, Chunks]:
    """What each array declares, by its path."""
    arrays = {}
    for file, text in metadata.items():
        folder, _, name = file.rpartition("/")
        if name in ("zarr.json", ".zarray"):
            chunks = declared(json.loads(text), file)
            if chunks is not None:
                arrays[folder] = chunks
    return arrays


def owner_of(key: str, arrays: Mapping[str, Chunks]) -> str | None:
    """The array that a file is a chunk of."""
    folder, _, name = key.rpartition("/")
    if name.startswith(".z") or name == "zarr.json":
        return None
    while folder not in arrays and folder:
        folder = folder.rpartition("/")[0]
    return folder if folder in arrays else None


def check_chunks(chunks: Chunks, data: bytes | memoryview, name: str) -> None:
    """Raise `CatalogError` if a chunk in a file, or in a shard, unpacks to too much."""
    if chunks.inner is None:
        return check_chunk(chunks, data, name)
    for start, length in _places(chunks, data):
        with memoryview(data)[start : start + length] as chunk:
            check_chunk(chunks, chunk, name)
    return None


def _places(chunks: Chunks, shard: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Where the chunks of a shard are, by its index."""
    import numpy as np

    count = 2 * (chunks.inner or 0)
    start = len(shard) - chunks.index if chunks.at_end else 0
    if start < 0:
        return  # it is cut off: an error when it is read
    index = bytes(shard[start : start + 8 * count])
    if len(index) < 8 * count:
        return
    for begin, length in np.frombuffer(index, "<u8").reshape(-1, 2):
        if begin != 2**64 - 1:
            yield int(begin), int(length)


def check_chunk(chunks: Chunks, data: bytes | memoryview, name: str) -> None:
    """Raise `CatalogError` if a chunk unpacks to more than its array declares."""
    for packer in chunks.packers:
        size = unpacked(packer, data, chunks.most)
        if size > chunks.most:
            raise CatalogError(
                f"{name} has {len(data):,} bytes and unpacks to {size:,} or more, and its chunks "
                f"may take {chunks.most:,}. It is damaged, or made to fill the memory: get it from "
                f"a source you trust."
            )


def unpacked(packer: str, data: bytes | memoryview, most: int) -> int:
    """Bytes that a chunk unpacks to, as far as they are not more than `most`."""
    if packer == "blosc":
        return int.from_bytes(data[4:8], "little")
    if packer == "lz4":
        return int.from_bytes(data[:4], "little")
    if packer == "zstd":
        return _zstd(data)
    makers: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.decompressobj(31),
        "zlib": lambda: zlib.decompressobj(15),
        "bz2": bz2.BZ2Decompressor,
        "lzma": lambda: lzma.LZMADecompressor(memlimit=LARGEST),  # its header asks for a window
    }
    return _streamed(makers[packer], data, most) if packer in makers else 0


def _streamed(make: Callable[[], Any], data: bytes | memoryview, most: int) -> int:
    """Unpack step by step, and keep nothing; what is damaged is an error when it is read."""
    size, left = 0, bytes(data)
    while left and size <= most:
        unpacker = make()
        try:
            while not unpacker.eof and size <= most:
                piece = unpacker.decompress(left, _STEP)
                left = getattr(unpacker, "unconsumed_tail", b"")
                size += len(piece)
                if not piece and not left:
                    return size
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            return LARGEST + 1 if "usage limit" in str(error) else size
        left = unpacker.unused_data
    return size


def _zstd(data: bytes | memoryview) -> int:
    """Size of a frame: as its header tells, or 128 KiB for each block if it does not."""
    if len(data) < 6 or bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return 0
    described = data[4]
    single, form = described >> 5 & 1, described >> 6
    position = 5 + (not single) + (0, 1, 2, 4)[described & 3]
    length = (1 if single else 0, 2, 4, 8)[form]
    if length:
        content_size = int.from_bytes(data[position : position + length], "little")
        return content_size + 256 * (length == 2)
    size = 0
    while position + 3 <= len(data):
        header = int.from_bytes(data[position : position + 3], "little")
        size += 2**17
        position += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
        if header & 1:
            break
    return size
