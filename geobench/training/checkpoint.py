"""Checkpoints: one safetensors file, replaced in one step, trusted only if it is whole."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from geobench.contracts.plugin import Fields
from geobench_catalog.record import without_places


class UnusableError(Exception):
    """A file that is no checkpoint of this training."""


class Diagnosed(Fields):
    """What the diagnosis remembers."""

    level: float | None = None
    scatter: float = 0.0
    stage: int = 0
    best: float | None = None
    bad: int = 0


class Facts(Fields):
    """What is known of a training besides its tensors."""

    recipe: dict[str, Any]
    step: int = Field(ge=0)
    base: float
    log: dict[str, list[float]]
    diagnosis: Diagnosed
    seconds: float
    flops: float


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and the facts."""

    tensors: Mapping[str, Tensor]
    facts: Facts

    def encoded(self) -> bytes:
        """Return the content of its file: facts and a digest of all stand in its metadata."""
        # Cloned: safetensors stores no two tensors that share memory.
        tensors = {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in self.tensors.items()
        }
        facts = self.facts.model_dump_json()  # in its order, which is that of the log
        metadata = {"facts": facts, "sha256": _digest(tensors, facts)}
        return safetensors.torch.save(tensors, metadata)

    @classmethod
    def decoded(cls, content: bytes) -> "Checkpoint":
        """Read what `encoded` returned; `UnusableError` if it is anything else."""
        try:
            tensors = safetensors.torch.load(content)
            length = int.from_bytes(content[:8], "little")
            metadata = json.loads(content[8 : 8 + length])["__metadata__"]
            text, digest = metadata["facts"], metadata["sha256"]
            facts = Facts.model_validate_json(text)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise UnusableError(
                f"it cannot be read: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
            ) from error
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UnusableError(f"it cannot be read: {error}") from error
        if digest != _digest(tensors, text):
            raise UnusableError("it is not what was written")
        return cls(tensors, facts)

    def check(self, recipe: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `UnusableError` if it is of another training; `shapes` are of all its tensors."""
        if without_places(self.facts.recipe) != without_places(recipe):
            raise UnusableError("it is of another recipe")
        stored = {key: tuple(value.shape) for key, value in self.tensors.items() if key != "recent"}
        if stored != shapes:
            raise UnusableError("it is of another network")


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write(path: Path, content: bytes) -> None:
    """Put a file in place of the one that is there in one step, on disk."""
    aside = path.with_name(f"{path.name}.new")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
