"""Values by their content, as far as they belong to the identity of code (`own_code`)."""

import dataclasses
import enum
import hashlib
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import PurePath
from types import GenericAlias, UnionType
from typing import Any

from pydantic import BaseModel

from geobench.errors import GeobenchError
from geobench.registry.libraries import is_library


def plain(value: Any) -> str | None:
    """Return the text of a value that is wholly its text or its bytes; None: it is another one."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, enum.Enum | PurePath | range | slice | type(Ellipsis)):
        return repr(value)
    if isinstance(value, GenericAlias | UnionType) or type(value).__module__ == "typing":
        return repr(value)  # of an annotation
    return _of_array(value)


def is_network(value: object) -> bool:
    """Whether a value is a torch module."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _of_array(value: Any) -> str | None:
    import numpy as np
    import torch

    if isinstance(value, torch.dtype | torch.device | torch.Size | np.dtype):
        return repr(value)
    if isinstance(value, torch.Tensor):
        content = value.detach().cpu().contiguous()
        return _digested(
            str(value.dtype), value.shape, content.reshape(-1).view(torch.uint8).numpy()
        )
    if isinstance(value, np.ufunc):
        return f"ufunc {value.__name__}"
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return _digested(str(value.dtype), value.shape, np.ascontiguousarray(value))
    return None


def _digested(dtype: str, shape: Any, content: Any) -> str:
    return f"{dtype} {tuple(shape)} {hashlib.sha256(content.tobytes()).hexdigest()}"


def parts(value: Any, refused: GeobenchError) -> Iterator[tuple[str, Any]]:
    """Yield what a value consists of, in one order; raise `refused` if nobody knows."""
    from torch import nn

    from geobench.contracts.plugin import Plugin

    if isinstance(value, tuple | list):
        yield from ((str(index), part) for index, part in enumerate(value))
    elif isinstance(value, Set):
        yield from ((str(index), part) for index, part in enumerate(sorted(value, key=repr)))
    elif isinstance(value, Mapping):
        yield from ((repr(key), part) for key, part in value.items())
    elif isinstance(value, nn.Module):
        yield from _of_network(value)
    elif isinstance(value, Plugin):
        yield from (("class", type(value)), ("recipe", value.recipe()))
    elif isinstance(value, BaseModel):
        yield from (("class", type(value)), ("fields", dict(value)))
    elif dataclasses.is_dataclass(value):
        yield "class", type(value)
        for field in dataclasses.fields(value):
            yield field.name, getattr(value, field.name)
    else:
        yield from _of_xarray(value, refused)


def _of_xarray(value: Any, refused: GeobenchError) -> Iterator[tuple[str, Any]]:
    import xarray as xr

    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name="values")
    if not isinstance(value, xr.Dataset):
        raise refused
    for name, variable in value.variables.items():
        yield str(name), (variable.dims, variable.to_numpy())


def _of_network(network: Any) -> Iterator[tuple[str, Any]]:
    """The class, weights and settings of a network, and of the networks in it."""
    from torch import nn

    yield "class", type(network)
    within = {*vars(nn.Module())}
    foreign = any(base.__module__.partition(".")[0] not in _PLAIN for base in _libraries(network))
    for name, value in vars(network).items():
        if name not in within and not (foreign and name.startswith("_")):
            yield name, value
    for group in ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks"):
        for name, part in getattr(network, group).items():
            yield f"{group.strip('_')} {name}", part


_PLAIN = {"torch", "builtins"}


def _libraries(network: Any) -> Iterator[type]:
    for base in type(network).__mro__:
        home = sys.modules.get(base.__module__)
        if home is not None and is_library(home):
            yield base
