"""geobench plugins: what is installed."""

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel

from geobench.cli.completion import offered
from geobench.cli.settings import Settings, pass_settings
from geobench.errors import GeobenchError
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option
from geobench_catalog.plain_text import plain

if TYPE_CHECKING:
    from geobench.contracts.scorer import Scorer
    from geobench.registry import Offer


_KINDS = ("simulator", "experiment", "assimilation", "model", "scorer")


@click.group()
def plugins() -> None:
    """Show simulators, models, scorers and experiments."""


@plugins.command("list")
@json_option
@pass_settings
def list_plugins(settings: Settings, *, as_json: bool) -> None:
    """List what plugins offer, and the plugins that are set aside."""
    offers = list(settings.registry.offers.values())
    aside = settings.registry.set_aside
    if as_json:
        listed = [
            {"kind": o.kind, "name": o.name, "plugin": o.plugin, "summary": o.summary}
            for o in offers
        ]
        documents.show({"offers": listed, "set_aside": aside})
        return
    width = max((len(offer.name) for offer in offers), default=0)
    for kind in _KINDS:
        click.echo(click.style(f"{kind}s", bold=True))
        for offer in offers:
            if offer.kind == kind:
                owner = "" if offer.plugin == "geobench-twin" else f" [{offer.plugin}]"
                click.echo(f"  {offer.name:{width}}  {offer.summary}{owner}")
    if aside:
        click.echo(click.style("set aside", bold=True))
        for plugin, reason in aside.items():
            click.echo(f"  {plugin}: {reason}")


@plugins.command()
@click.argument("name", shell_complete=offered(*_KINDS))
@json_option
@pass_settings
def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Show what a simulator, assimilation, model, scorer or experiment is, and its fields.

    For example: geobench plugins show fgn. A name may be that of several; all are shown.
    """
    offers = [
        offer for (_, offer_name), offer in settings.plugins.offers.items() if offer_name == name
    ]
    if not offers:
        known = sorted({offer_name for _, offer_name in settings.registry.offers})
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}."
        raise GeobenchError(f"no plugin offers '{name}'. {hint}")
    if as_json:
        documents.show([_document(offer) for offer in offers])
        return
    for offer in offers:
        _show(offer)


def _document(offer: "Offer") -> dict[str, Any]:
    """Who offers what, with the JSON schema of its fields; of an experiment what it is."""
    from geobench.registry.plain_yaml import read_yaml

    document = {"kind": offer.kind, "name": offer.name, "plugin": offer.plugin}
    if offer.kind == "experiment":
        return {**document, "experiment": read_yaml(offer.value)}
    return {**document, **offer.value.model_json_schema()}


def _show(offer: "Offer") -> None:
    import inspect

    click.echo(click.style(f"{offer.kind} {offer.name}", bold=True) + f"  ({offer.plugin})")
    if offer.kind == "experiment":
        click.echo(plain(offer.value.read_text("utf-8")))
        return
    click.echo(plain(inspect.getdoc(offer.value) or ""))
    if offer.kind == "scorer":
        click.echo("\n" + "\n".join(_declared(offer.value)))
    if offer.value.model_fields:
        click.echo("\nfields:")
    for line in _fields(offer.value, None, "  "):
        click.echo(plain(line))


def _declared(scorer: "type[Scorer]") -> Iterator[str]:
    """What a scorer declares of its scores, and how they are shown."""
    from geobench.contracts.presentation import FAMILIES
    from geobench.contracts.scorer import IDEALS

    if scorer.better in IDEALS:
        ideal = IDEALS[scorer.better]
        yield f"better: scores near {ideal}"
        yield f"excess: |score - {ideal}| - |score of the true distribution - {ideal}|"
    elif scorer.better == "higher":
        yield "better: higher scores"
        yield "excess: score of the true distribution - score"
    else:
        yield "better: lower scores"
        yield "excess: score - score of the true distribution"
    yield f"units: {scorer.units if scorer.units != '1' else 'none'}"
    yield f"members: {scorer.least_members} or more"
    family = FAMILIES[scorer.family].title if scorer.family in FAMILIES else scorer.family
    yield f"family: {plain(family)}"
    if scorer.headline:
        yield "used by studies that name no scorers"


def _fields(cls: type[BaseModel], instance: BaseModel | None, indent: str) -> Iterator[str]:
    """A line for each field, then those of a group's. Values: those of `instance`, or defaults."""
    for key, field in cls.model_fields.items():
        if _is_tag(field.annotation):
            continue  # the line above has told it
        value = field.default if instance is None else getattr(instance, key)
        groups = _groups(field.annotation)
        required = instance is None and field.is_required()
        text = "required" if required else f"default {_text(value)}"
        if isinstance(value, BaseModel):
            text = _tagged(value)
        kind = "" if groups else f"{_kind(field.annotation)}, "
        about = f"  {field.description}" if field.description else ""
        yield f"{indent}{key}: {kind}{text}{about}"
        if isinstance(value, BaseModel):
            yield from _fields(type(value), value, indent + "  ")
        elif len(groups) == 1 or value is None:
            for group in groups:
                tag = _tagged(group.model_construct()) if len(groups) > 1 else ""
                if tag:
                    yield f"{indent}  {tag}"
                yield from _fields(group, None, indent + ("    " if tag else "  "))


def _groups(annotation: Any) -> list[type[BaseModel]]:
    """The groups of fields that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for part in get_args(annotation) for group in _groups(part)]


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


__all__ = ["plugins"]
