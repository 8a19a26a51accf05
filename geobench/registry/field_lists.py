"""The fields of a plugin as lines: names, kinds, defaults and what they mean."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from geobench.contracts.mistakes import groups_of


def field_lines(plugin: type[BaseModel]) -> Iterator[str]:
    """A line for each field of a plugin, those of groups indented below theirs."""
    return _lines(plugin, None, "  ")


def _lines(cls: type[BaseModel], instance: BaseModel | None, indent: str) -> Iterator[str]:
    """A line for each field, then those of a group's. Values: those of `instance`, or defaults."""
    for key, field in cls.model_fields.items():
        if _is_tag(field.annotation):
            continue  # the line above has told it
        value = field.default if instance is None else getattr(instance, key)
        groups = groups_of(field.annotation)
        required = instance is None and field.is_required()
        text = "required" if required else f"default {_text(value)}"
        if isinstance(value, BaseModel):
            text = _tagged(value)
        kind = "" if groups else f"{_kind(field.annotation)}, "
        about = f"  {field.description}" if field.description else ""
        yield f"{indent}{key}: {kind}{text}{about}"
        if isinstance(value, BaseModel):
            yield from _lines(type(value), value, indent + "  ")
        elif len(groups) == 1 or value is None:
            for group in groups:
                tag = _tagged(group.model_construct()) if len(groups) > 1 else ""
                if tag:
                    yield f"{indent}  {tag}"
                yield from _lines(group, None, indent + ("    " if tag else "  "))


def _tagged(group: BaseModel) -> str:
    """The keys that say which of several groups it is: `kind: resnet`."""
    tags = [
        f"{key}: {getattr(group, key)}"
        for key, field in type(group).model_fields.items()
        if _is_tag(field.annotation)
    ]
    return ", ".join(tags) or "a group"


def _is_tag(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(str(choice) for choice in get_args(annotation))
    kinds = get_args(annotation) or (annotation,)
    named = (getattr(kind, "__name__", str(kind)) for kind in kinds)
    return " | ".join(named).replace("NoneType", "None").replace("Ellipsis", "…")


def _text(value: Any) -> str:
    """A default as it would stand in YAML."""
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{key}: {_text(child)}" for key, child in value) + "}"
    if isinstance(value, tuple) and any(isinstance(child, BaseModel) for child in value):
        return "[" + ", ".join(_text(child) for child in value) + "]"
    return repr(value)
