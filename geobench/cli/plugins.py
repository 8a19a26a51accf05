"""geobench plugins: what is installed."""

import json
from typing import TYPE_CHECKING, get_args

import click

from geobench.cli.settings import Settings, pass_settings
from geobench.errors import GeobenchError
from geobench_catalog.commands.place import json_option

if TYPE_CHECKING:
    from geobench.registry import Offer


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
        click.echo(json.dumps({"offers": listed, "set_aside": aside}, indent=1))
        return
    width = max((len(offer.name) for offer in offers), default=0)
    for kind in ("simulator", "experiment", "assimilation", "model", "scorer"):
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
@click.argument("name")
@json_option
@pass_settings
def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Show what a simulator, assimilation, model, scorer or experiment is, and its fields."""
    found = [offer for (_, offered), offer in settings.plugins.offers.items() if offered == name]
    if not found:
        known = ", ".join(sorted({offered for _, offered in settings.registry.offers}))
        raise GeobenchError(f"no plugin offers '{name}'. There are: {known}.")
    for offer in found:
        if as_json:
            schema = {} if offer.kind == "experiment" else offer.value.model_json_schema()
            click.echo(json.dumps({"kind": offer.kind, "plugin": offer.plugin, **schema}, indent=1))
        else:
            _show(offer)


def _show(offer: "Offer") -> None:
    import inspect

    click.echo(click.style(f"{offer.kind} {offer.name}", bold=True) + f"  ({offer.plugin})")
    if offer.kind == "experiment":
        click.echo(offer.value.read_text("utf-8"))
        return
    click.echo(inspect.getdoc(offer.value))
    if offer.value.model_fields:
        click.echo("\nfields:")
    for key, field in offer.value.model_fields.items():
        kinds = get_args(field.annotation) or (field.annotation,)
        named = (getattr(each, "__name__", str(each)) for each in kinds)
        kind = " | ".join(named).replace("NoneType", "None")
        default = "required" if field.is_required() else f"default {field.default!r}"
        about = f"  {field.description}" if field.description else ""
        click.echo(f"  {key}: {kind}, {default}{about}")


__all__ = ["plugins"]
