"""The file that marks a folder as a catalog: the schema of its entries, and an id of its own."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from geobench_catalog.errors import CatalogError, told
from geobench_catalog.store import Store

NAME = "geobench-catalog.json"
SCHEMA = 2
"""Version of what entries may look like."""


def read(store: Store) -> bytes | None:
    """The mark of a catalog; None if there is no catalog."""
    try:
        return store.read(NAME)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CatalogError(f"{store.url}/{NAME} cannot be read ({error}).") from error


def create(store: Store) -> None:
    """Mark a new or empty folder as a catalog; another process may do so at the same time."""
    folder = store.folder
    if folder and folder.exists() and not folder.is_dir():
        raise CatalogError(f"{store.url} is not a folder.")
    with told(store.url):
        there = {*store.names(""), *store.folders("")}
        if there - {"lock", "tmp"}:  # these are of one who died, or is about to make it
            if read(store) is not None:
                return  # another process made it meanwhile
            raise CatalogError(
                f"{store.url} is not empty and not a catalog (it has no {NAME}). "
                f"Name an empty or a new folder with --catalog."
            )
        try:
            store.create(NAME, _new())
        except FileExistsError:
            return  # another process made it meanwhile


def upgrade(store: Store) -> None:
    """Give a catalog the mark of the newest schema."""
    with told(store.url):
        store.replace(NAME, _new())


def schema(owner: str, mark: bytes) -> int:
    """The schema that a mark names; `CatalogError` if it is damaged, or newer than this code."""
    try:
        fields = json.loads(mark)
        version = fields["schema"]
        if version in range(1, SCHEMA + 1) and fields != {"schema": version}:
            digest = fields.pop("sha256")
            if digest != _digest(fields) or set(fields) != {"schema", "id"}:
                raise ValueError("it is not what was written")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CatalogError(
            f"{owner}/{NAME} cannot be read ({error!r}). If the folders entries and refs beside it "
            f'are whole, write {{"schema": {SCHEMA}}} into it.'
        ) from error
    if version not in range(1, SCHEMA + 1):
        raise CatalogError(
            f"{owner} has catalog schema {version}; this geobench reads 1 to {SCHEMA}. Use the "
            f"version of geobench that wrote it."
        )
    return int(version)


def _new() -> bytes:
    fields = {"schema": SCHEMA, "id": uuid.uuid4().hex}
    return json.dumps(fields | {"sha256": _digest(fields)}).encode()


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
