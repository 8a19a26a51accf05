"""geobench plugins: what is installed."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.completion import offered
from geobench.cli.settings import Settings, pass_settings
from geobench.errors import GeobenchError
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option
from geobench_catalog.plain_text import plain

if TYPE_CHECKING:
    from geobench.contracts.scorer import Scorer
    from geobench.registry.offers import Offer


_KINDS = ("simulator", "experiment", "assimilation", "model", "scorer")
_WHOLE = 10_000  # columns where the list is piped: an offer is one line, for grep


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
        documents.show({"offers": [_listed(offer) for offer in offers], "set_aside": aside})
        return
    from geobench.tables import terminal
    from geobench.tables.table import Table

    listed = []
    for kind in _KINDS:
        rows = [[o.name, o.summary, _owner(o.plugin)] for o in offers if o.kind == kind]
        shown = 3 if any(owner for _, _, owner in rows) else 2
        headings = [kind, "what it is", "from"][:shown]
        listed.append(Table.of_texts(headings, [row[:shown] for row in rows], align="left"))
    if aside:
        rows = [[plugin, reason] for plugin, reason in aside.items()]
        listed.append(Table.of_texts(["set aside", "why"], rows, align="left"))
    click.echo(terminal.text(*listed, piped=_WHOLE), nl=False)


def _listed(offer: "Offer") -> dict[str, str]:
    return {
        "kind": offer.kind,
        "name": offer.name,
        "plugin": offer.plugin,
        "summary": offer.summary,
    }


def _owner(plugin: str) -> str:
    """Who offers it, if it is not geobench itself."""
    return "" if plugin == "geobench-twin" else plugin


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

    from geobench.registry.field_lists import field_lines

    click.echo(click.style(f"{offer.kind} {offer.name}", bold=True) + f"  ({offer.plugin})")
    if offer.kind == "experiment":
        click.echo(plain(offer.value.read_text("utf-8")))
        return
    click.echo(plain(inspect.getdoc(offer.value) or ""))
    if offer.kind == "scorer":
        click.echo("\n" + "\n".join(_declared(offer.value)))
    if offer.value.model_fields:
        click.echo("\nfields:")
    for line in field_lines(offer.value):
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


@plugins.command()
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["model", "simulator", "scorer", "assimilation", "experiment"]),
    default=("model",),
    show_default=True,
    help="What the project shall offer. Can be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write; default: NAME in the working folder.",
)
@json_option
@pass_settings
def new(
    settings: Settings, name: str, kinds: tuple[str, ...], out: Path | None, *, as_json: bool
) -> None:
    """Write a project for a plugin of your own, with tests that pass.

    It holds a small plugin that works, tests from the conformance kit, a study that uses it, a
    README and a CI file. Change the plugin, and keep the tests passing.

    For example: geobench plugins new wavy --kind model --kind scorer
    """
    from geobench.registry.scaffold import new_project

    chosen = list(dict.fromkeys(kinds))
    files = new_project(name, chosen, out or Path(name), settings.registry)
    folder = out or Path(name)
    steps = [f"cd {folder}", "pip install -e '.[test]'", "pytest", "geobench run study.yaml"]
    if as_json:
        documents.show({"folder": str(folder), "files": list(map(str, files)), "next": steps})
        return
    for file in files:
        click.echo(file)
    click.echo(f"Next: {'; '.join(steps)}", err=True)
