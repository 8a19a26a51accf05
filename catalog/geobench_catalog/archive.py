"""Entries in one file: a plain tar archive that carries its own digests.

    geobench-export.json          {"schema": 1, "entries": [{"reference": …, "id": …}, …]}
    <id>/MANIFEST.json            first of each entry, whose SHA-256 is the id
    <id>/<file>                   everything in the manifest

Ancestors stand before what was made from them. Nothing in an archive that comes in is trusted: it
is read from front to back, header by header, and anything but a plain file that a manifest names,
of the size that it names, ends the import. It is not compressed (chunks are), so it cannot grow.
"""

import fcntl
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from geobench_catalog import manifest, room
from geobench_catalog.catalog import Catalog
from geobench_catalog.draft import is_whole
from geobench_catalog.entry import Entry
from geobench_catalog.errors import STRANGE, CatalogError
from geobench_catalog.held_folders import flock
from geobench_catalog.references import Reference, is_id
from geobench_catalog.transfer import Arrival, let_count, receive, refused, with_lineage

_INDEX = "geobench-export.json"
_SCHEMA = 1
_BLOCK = tarfile.BLOCKSIZE
_PIECE = 2**20
_TEXT = 2**28  # bytes of a list or a manifest at most: they are read into memory


def export(catalog: Catalog, references: Sequence[str], path: Path) -> list[Entry]:
    """Write entries and all they were made from into one file; `CatalogError` if it is there."""
    entries = with_lineage(catalog, references)
    listed = [{"reference": str(entry.reference), "id": entry.id} for entry in entries]
    try:
        with (
            _aside(path) as file,
            tarfile.open(
                fileobj=file, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8"
            ) as archive,
        ):
            _add(archive, _INDEX, json.dumps({"schema": _SCHEMA, "entries": listed}).encode())
            for entry in entries:
                _add(archive, f"{entry.id}/{manifest.NAME}", manifest.encode(entry.manifest))
                for name in entry.manifest:
                    _add(archive, f"{entry.id}/{name}", entry.content(name))
    except (OSError, ValueError) as error:  # tarfile: a name or a file is too long
        raise CatalogError(f"{path} cannot be written ({error}). Name another file.") from error
    return entries


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path`, locked while this process lives, that gets its name in the end.

    What a process that died has left of it is written over.
    """
    aside = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b") as file:
        try:
            flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CatalogError(
                f"another export is writing {path}. Wait until it has ended, or name another file."
            ) from error
        try:
            if path.exists():
                raise CatalogError(f"{path} is there already. Remove it or name another file.")
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            aside.rename(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file without date or owner: equal entries, equal archives."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, BytesIO(content))


def bring_in(catalog: Catalog, path: Path, *, trust: bool = False) -> Iterator[Arrival]:
    """Take the entries of an archive into a catalog, one after the other, marked as imported.

    What is there already is passed over. What is not as it was published is refused with the rest
    of the archive; entries that came before it are kept, each whole. `trust`: they count as if they
    were made here.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise CatalogError(f"{path} cannot be read ({error.strerror}).") from error
    with file:
        try:
            yield from _bring_in(catalog, _Members(file, path), path, trust=trust)
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise CatalogError(
                f"{path} is no export of a catalog, or is damaged ({error})."
            ) from error


def _bring_in(
    catalog: Catalog, members: "_Members", path: Path, *, trust: bool
) -> Iterator[Arrival]:
    for reference, entry_id in _listed(members, path):
        text = members.text(f"{entry_id}/{manifest.NAME}")
        try:
            files = manifest.decode(text)
        except STRANGE as error:
            raise refused(str(reference), str(error)) from error
        coming = (members.file_of(entry_id) for _ in files)
        here = catalog.index.reference(entry_id)
        if here is None or not is_whole(catalog.store, entry_id, files):
            room.check_files(catalog.store, sum(size for size, _ in files.values()), str(reference))
            made = receive(catalog, reference, entry_id, text, coming, door="archive", trust=trust)
            yield Arrival(reference, made.reference, new=True)
        else:
            for _, pieces in coming:
                for _ in pieces:
                    pass
            let_count(catalog, entry_id, trust=trust)
            yield Arrival(reference, here, new=False)
    members.end()


def _listed(members: "_Members", path: Path) -> list[tuple[Reference, str]]:
    try:
        index = json.loads(members.text(_INDEX))
        if index["schema"] != _SCHEMA:
            raise ValueError(f"it has schema {index['schema']!r}; this geobench reads {_SCHEMA}")
        listed = [
            (Reference.parse(entry["reference"]), str(entry["id"])) for entry in index["entries"]
        ]
        if not all(is_id(entry_id) for _, entry_id in listed):
            raise ValueError("it names an id that is none")
    except STRANGE as error:
        raise CatalogError(f"{path} is no export of a catalog ({error}).") from error
    return listed


class _Members:
    """The members of a tar archive, strictly one after the other, plain files only."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    def _next(self) -> tarfile.TarInfo | None:
        block = self._file.read(_BLOCK)
        if not block.strip(b"\0"):
            return None
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise refused(str(self._path), f"'{member.name}' is no plain file")
        if not manifest.is_inside(member.name):
            raise refused(str(self._path), f"'{member.name}' would leave its folder")
        return member

    def _expect(self) -> tarfile.TarInfo:
        member = self._next()
        if member is None:
            raise refused(str(self._path), "it ends too early")
        return member

    def _pieces(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            piece = self._file.read(min(left, _PIECE))
            if not piece:
                raise refused(str(self._path), "it ends too early")
            left -= len(piece)
            yield piece
        self._file.read(-size % _BLOCK)

    def text(self, name: str) -> bytes:
        """The content of the next member, which must be `name`."""
        member = self._expect()
        if member.name != name or member.size > _TEXT:
            raise refused(
                str(self._path), f"'{member.name}' ({member.size:,} bytes) stands where {name} must"
            )
        return b"".join(self._pieces(member.size))

    def file_of(self, entry_id: str) -> tuple[str, Iterator[bytes]]:
        """The next member, which must be a file of this entry: its name there, its content."""
        member = self._expect()
        folder, _, name = member.name.partition("/")
        if folder != entry_id or not name:
            raise refused(str(self._path), f"'{member.name}' is not of the entry {entry_id[:12]}")
        return name, self._pieces(member.size)

    def end(self) -> None:
        """Raise unless nothing follows."""
        if self._next() is not None:
            raise refused(str(self._path), "more follows than it lists")
