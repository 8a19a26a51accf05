"""Fields by their last key: `passes=20_000` where a model has `training.passes`."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from geobench.errors import GeobenchError

Tree = dict[str, "Tree"]


def tree(cls: type[BaseModel]) -> Tree:
    """Return the keys of a group of fields, with those of the groups in it."""
    return {key: _below(field.annotation) for key, field in cls.model_fields.items()}


def _below(annotation: Any) -> Tree:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return tree(annotation)
    keys: Tree = {}
    for part in get_args(annotation):
        keys |= _below(part)
    return keys


def paths(keys: Tree, last: str) -> Iterator[str]:
    """Yield every path, with dots, that ends in a key."""
    for key, below in keys.items():
        if key == last:
            yield key
        yield from (f"{key}.{path}" for path in paths(below, last))


def placed(given: Mapping[str, Any], keys: Tree, owner: str) -> dict[str, Any]:
    """Return fields at their places: `a.b` below a, and a key of one group alone in that group."""
    from geobench.registry import merged

    fields: dict[str, Any] = {}
    for key, value in given.items():
        path = key
        if "." not in key and key not in keys:
            found = [*paths(keys, key)]
            if len(found) > 1:
                raise GeobenchError(
                    f"{owner}: '{key}' is a key of several groups: {', '.join(found)}. Name the "
                    f"group, e.g. {found[0].split('.')[0]}={{'{key}': {value!r}}}."
                )
            path = found[0] if found else key
        nested: Any = value
        for part in reversed(path.split(".")):
            nested = {part: nested}
        fields = merged(fields, nested)
    return fields
