"""Variants of a model or an experiment of a study: one for each value of a field."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from geobench.errors import GeobenchError
from geobench.registry import Registry, merged

_LONGEST = 61  # characters of a label
_MARK = "--"  # between a label and what is special about a variant
_SECTIONS = {"models": "model", "experiments": "experiment"}


def varied(
    sections: Mapping[str, Mapping[str, Any]],
    key: str,
    values: Sequence[Any],
    registry: Registry,
    kept: str = "",
) -> dict[str, dict[str, Any]]:
    """Return the models and experiments of a study with variants in place of one of them.

    `key`: models.LABEL.FIELD or experiments.NAME.FIELD; a field of a group is GROUP.FIELD. Variants
    that an earlier call made of the label are varied further. The label `kept` stays beside them.
    """
    section, label, path = _parts(key)
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise GeobenchError(
            f"{key}: {values!r} is no list of values. Write a list with one or more."
        )
    recipes = dict(sections[section])
    changed: dict[str, Any] = {}
    chosen = _labelled(recipes, label, _SECTIONS[section])
    for name, recipe in recipes.items():
        if name not in chosen or name == kept:
            changed[name] = recipe
        for value in values if name in chosen else ():
            variant = _changed(recipe, path, value, key)
            _check(registry, section, name, variant)
            changed[_label(name, path[-1], value, {*recipes, *changed})] = variant
    if len({json.dumps(value, sort_keys=True, default=str) for value in values}) < len(values):
        raise GeobenchError(f"{key}: a value is given twice in {list(values)}. Leave one out.")
    return {**{name: dict(parts) for name, parts in sections.items()}, section: changed}


def _parts(key: str) -> tuple[str, str, list[str]]:
    section, _, rest = key.partition(".")
    label, _, path = rest.partition(".")
    parts = path.split(".")
    if section in _SECTIONS and label and all(parts):
        return section, label, parts
    close = difflib.get_close_matches(section, _SECTIONS, n=1)
    hint = f"Did you mean '{close[0]}.…'? " if close and section not in _SECTIONS else ""
    raise GeobenchError(
        f"'{key}' cannot be varied. {hint}Write models.LABEL.FIELD or experiments.NAME.FIELD, such "
        f"as models.fgn.training.passes."
    )


def _labelled(recipes: Mapping[str, Any], label: str, what: str) -> list[str]:
    """Return the label, or the variants that were made of it."""
    chosen = [name for name in recipes if name == label or name.startswith(label + _MARK)]
    if label in recipes:
        chosen = [label]
    if not chosen:
        close = difflib.get_close_matches(label, recipes, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(recipes)}."
        raise GeobenchError(f"the study has no {what} '{label}'. {hint}")
    return chosen


def _changed(recipe: Any, path: Sequence[str], value: Any, key: str) -> dict[str, Any]:
    start = {"use": recipe} if isinstance(recipe, str) else recipe
    if "forecast" in start:
        raise GeobenchError(
            f"'{key}' cannot be varied: it is a forecast that was imported. Vary a model instead."
        )
    change = value
    for part in reversed(path):
        change = {part: change}
    return merged(start, change)


def _check(registry: Registry, section: str, name: str, recipe: dict[str, Any]) -> None:
    """Raise if a field does not exist or does not take the value; unknown plugins come later."""
    what, offers = f"{_SECTIONS[section]} {name}", registry.offers
    if section == "experiments":
        simulator = recipe.get("simulator")
        used = simulator.get("use") if isinstance(simulator, Mapping) else None
        named = [("experiment", recipe.get("use")), ("simulator", used)]
        if all(key in offers for key in named if key[1] is not None):
            registry.experiment(recipe, what)
    elif ("model", recipe.get("use")) in offers:
        try:
            registry.model(recipe)
        except GeobenchError as error:
            message = str(error).removeprefix(f"{recipe['use']}: ")
            raise GeobenchError(f"{what}: {message}") from error


def _label(name: str, field: str, value: Any, taken: set[str]) -> str:
    """Return a label that the catalog takes: fgn--noise-global."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.removesuffix(".0") if isinstance(value, float) else text
    words = f"{field}-{text}".lower().replace(".", "_")
    label = f"{name}{_MARK}" + re.sub(r"[^a-z0-9_-]+", "-", words).strip("-")
    if label in taken or len(label) > _LONGEST:
        digest = hashlib.sha256(f"{name} {field} {text}".encode()).hexdigest()[:8]
        label = f"{label[: _LONGEST - 9].rstrip('-')}-{digest}"
    return label
