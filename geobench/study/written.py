"""Plugins and experiments as they are written in a study file: plain values without defaults."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geobench.contracts.plugin import Fields, Plugin
from geobench.errors import GeobenchError


def recipes(given: Any, what: str) -> Any:
    """Return a mapping of labels to recipes; of a list each item is labelled with its own name."""
    if isinstance(given, Mapping):
        return {label: recipe(part) for label, part in given.items()}
    if not isinstance(given, Sequence) or isinstance(given, str):
        return given
    labelled: dict[str, Any] = {}
    for part in given:
        label = part if isinstance(part, str) else getattr(part, "name", None)
        if not isinstance(label, str):
            raise GeobenchError(
                f"{what}: {part!r} has no name. Write {{label: {what}, …}} instead."
            )
        if label in labelled:
            raise GeobenchError(f"{what}: '{label}' is there twice. Give each one a label.")
        labelled[label] = recipe(part)
    return labelled


def recipe(given: Any) -> Any:
    """Return a plugin or an experiment as plain values; what is plain already stays as it is."""
    if isinstance(given, Plugin):
        return {"use": given.name, **_changed(given)}
    if isinstance(given, Fields):
        return given.model_dump(mode="json", exclude_defaults=True)
    if isinstance(given, Mapping):
        return {key: recipe(value) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [recipe(value) for value in given]
    return str(given) if isinstance(given, Path) else given


def _changed(plugin: Plugin) -> dict[str, Any]:
    """Return the fields that differ from their defaults, as far as they say it all."""
    if not plugin.name:
        raise GeobenchError(f"{type(plugin).__name__} has no name. Write name = '…' in the class.")
    whole = plugin.model_dump(mode="json")
    fields = type(plugin).model_fields
    defaults = {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
    short = {
        key: _difference(getattr(plugin, key), defaults[key], whole[key])
        for key in fields
        if getattr(plugin, key) != defaults[key]
    }
    again = type(plugin).configured(short)
    return short if again.recipe() == plugin.recipe() else whole


def _difference(value: Any, default: Any, dumped: Any) -> Any:
    """Return the keys of a group that differ from the default group; else the whole value."""
    if not isinstance(value, Fields) or type(value) is not type(default):
        return dumped
    return {
        key: _difference(part, getattr(default, key), dumped[key])
        for key, part in value
        if part != getattr(default, key)
    }
