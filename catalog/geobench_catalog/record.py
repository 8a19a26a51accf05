"""The record of an entry: what it is, what it was made from, and with what."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from geobench_catalog.references import Kind, Reference


class Record(BaseModel):
    """Provenance of one entry, stored beside its data as `record.json` and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: Kind
    name: str
    version: int = Field(gt=0)
    key: str = Field(description="identity of the computation: kind, recipe and parents")
    recipe: dict[str, Any] = Field(description="plugin, configuration and seed")
    parents: dict[str, str] = Field(description="role -> reference of the entries it was made from")
    labels: dict[str, str] = Field(default_factory=dict, description="what people call it")
    summary: dict[str, Any] = Field(default_factory=dict, description="measured: cost, counts")
    created: datetime
    seconds: float = Field(ge=0, description="wall time from draft to publication, s")
    environment: dict[str, Any] = Field(description="software versions, git commit, host")

    @property
    def reference(self) -> Reference:
        """The entry's own reference."""
        return Reference(self.kind, self.name, self.version)


def identity(kind: Kind, recipe: Mapping[str, Any], parents: Mapping[str, str]) -> str:
    """Digest of a computation: what would be made, whatever it is called.

    `parents` maps a role to the *content* identity of the parent entry, so that a changed parent
    makes another computation.
    """
    text = json.dumps(
        {"kind": kind, "recipe": recipe, "parents": parents},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()
