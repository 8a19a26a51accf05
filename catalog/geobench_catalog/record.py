"""The record of an entry: what it is, what it was made from, and with what."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from geobench_catalog.errors import STRANGE, CatalogError
from geobench_catalog.oddities import DEEPEST
from geobench_catalog.references import Reference, check_kind, check_name, is_id

SCHEMA = 2


def _kind(text: str) -> str:
    try:
        return check_kind(text)
    except CatalogError as error:
        raise ValueError(str(error)) from error


def _name(text: str) -> str:
    try:
        return check_name(text)
    except CatalogError as error:
        raise ValueError(str(error)) from error


def _reference(text: str) -> str:
    try:
        return str(Reference.parse(text))
    except CatalogError as error:
        raise ValueError(str(error)) from error


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError(f"'{text}' is not the id of an entry")
    return text


class Parent(BaseModel):
    """An entry that another was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: Annotated[str, AfterValidator(_reference)] = Field(
        description="its name in the catalog where the child was made"
    )
    id: Annotated[str, AfterValidator(_id)] | None = Field(
        description="its content identity; None in records that were written without it"
    )


class _Fields(dict[str, Any]):
    """A part of a record; a missing key is a `CatalogError` that names it, not a `KeyError`."""

    def __init__(self, content: Mapping[str, Any], owner: str, part: str) -> None:
        super().__init__(content)
        self._told = f"{owner} cannot be used here: its {part} has no '%s'"

    def __missing__(self, key: str) -> NoReturn:
        raise CatalogError(
            f"{self._told % key}. Another program wrote it, or another version of geobench; make "
            f"it again, or remove it."
        )


def _part(content: dict[str, Any], info: ValidationInfo) -> _Fields:
    owner = f"{info.data.get('kind')}/{info.data.get('name')}"
    return _Fields(content, owner, str(info.field_name))


class Record(BaseModel):
    """Provenance of one entry, stored beside its data as `record.json` and never changed.

    It holds no version: versions are given by a catalog, and an entry can be in several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[2] = 2
    kind: Annotated[str, AfterValidator(_kind)]
    name: Annotated[str, AfterValidator(_name)]
    key: str = Field(description="identity of the computation: kind, recipe and parents")
    recipe: Annotated[dict[str, Any], AfterValidator(_part)] = Field(
        description="what decides its content, beside its parents"
    )
    parents: dict[str, Parent] = Field(description="role -> entry that it was made from")
    labels: Annotated[dict[str, str], AfterValidator(_part)] = Field(
        default_factory=dict, description="what people call it"
    )
    summary: Annotated[dict[str, Any], AfterValidator(_part)] = Field(
        default_factory=dict, description="what was measured or counted"
    )
    created: datetime
    seconds: float = Field(ge=0, description="wall time from draft to publication, s")
    environment: dict[str, Any] = Field(description="software versions, git commit, host")
    size: int = Field(ge=0, description="stored bytes, this record and the manifest left out")
    content: str = Field(description="digest of the data alone: equal data, equal digest")


def read_record(text: bytes, size: int, content: str) -> Record:
    """Read a record of this or an older schema; `ValueError` says what is wrong with it.

    Records are never rewritten: one of an older schema is brought up to date each time it is read.
    `size` and `content` are measured, for those that do not say.
    """
    try:
        return _read(text, size, content)
    except ValueError:
        raise
    except STRANGE as error:  # of another program, or by hand
        raise ValueError(f"it is no record ({type(error).__name__}: {error})") from error


def _read(text: bytes, size: int, content: str) -> Record:
    fields = json.loads(text)
    brackets = text.count(b"[") + text.count(b"{")  # no record is deeper than it has of them
    if brackets > DEEPEST and _depth(fields) > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if not isinstance(fields, dict):
        raise ValueError("it is not an object")
    version = fields.get("schema_version")
    if version == 1:
        fields = _from_schema_1(fields, size, content)
    elif version != SCHEMA:
        raise ValueError(
            f"it has schema {version!r}; this geobench reads 1 to {SCHEMA}. Use the version that "
            f"wrote it"
        )
    record = Record.model_validate(fields)
    if (record.size, record.content) != (size, content):
        raise ValueError("it tells another size or content than its manifest")
    return record


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _from_schema_1(fields: dict[str, Any], size: int, content: str) -> dict[str, Any]:
    """Schema 1 had the version in the record, and parents by reference alone."""
    parents = {
        role: {"reference": reference, "id": None} for role, reference in fields["parents"].items()
    }
    kept = {key: value for key, value in fields.items() if key != "version"}
    return kept | {"schema_version": 2, "parents": parents, "size": size, "content": content}


def identity(kind: str, recipe: Mapping[str, Any], parents: Mapping[str, str]) -> str:
    """Digest of a computation: what would be made, whatever it is called.

    `parents` maps a role to the *content* identity of the parent entry, so that a changed parent
    makes another computation. A file counts by its content (`without_places`).
    """
    text = json.dumps(
        {"kind": kind, "recipe": without_places(recipe), "parents": parents},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def without_places(recipe: Any) -> Any:
    """Return a recipe in which `{file: PATH, sha256: DIGEST}` is the digest alone.

    The path says where the file lay, for whoever reads the recipe. A moved file is the same file.
    """
    if isinstance(recipe, Mapping):
        stripped = {key: without_places(value) for key, value in recipe.items()}
        if stripped.keys() == {"file", "sha256"} and isinstance(stripped["sha256"], str):
            del stripped["file"]
        return stripped
    return [*map(without_places, recipe)] if isinstance(recipe, list | tuple) else recipe
