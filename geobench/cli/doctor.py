"""geobench doctor: what is wrong with this installation and its catalog, and what helps."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from geobench.cli.settings import Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option

if TYPE_CHECKING:
    from geobench_catalog.health import Check

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@json_option
@pass_settings
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check the installation, its plugins and the catalog, quickly.

    A line for each check: what was found, and what helps. Exits with code 1 if any failed. What
    takes long is left to 'geobench catalog verify', which reads every file.
    """
    checks = []
    for check in _examine(settings):
        checks.append(check)
        if not as_json:
            _tell(check)
    states = [check.state for check in checks]
    failed, warned = states.count("fail"), states.count("warn")
    if as_json:
        documents.show([check._asdict() for check in checks])
    else:
        summary = f"{len(checks)} checks: {failed} failed, {warned} to look at."
        click.echo(f"{summary} 'geobench catalog verify' reads every file of the catalog.")
    raise click.exceptions.Exit(1 if failed else 0)


def _examine(settings: Settings) -> "Iterator[Check]":
    from geobench.registry import health
    from geobench_catalog import health as of_catalog

    yield from _settings(settings)
    yield from health.examine(settings.plugin_files, settings.device)
    yield from of_catalog.examine(settings.catalog_url)


def _settings(settings: Settings) -> "Iterator[Check]":
    """The project file, and where each setting comes from."""
    from geobench.registry.project import NAME
    from geobench.registry.sizes import size_text
    from geobench_catalog.health import Check

    file = settings.project.file
    yield Check("project", "ok", str(file) if file else f"no {NAME} in this folder or above it")
    plugins = ", ".join(map(str, settings.plugin_files))
    values = {
        "catalog": (settings.catalog_url, "catalog_url"),
        "device": (settings.device, "device"),
        "memory": (size_text(settings.memory), "memory"),
        "scheduler": (settings.scheduler, "scheduler"),
        "processes": (settings.processes or "1, or all cores for a site", "processes"),
    }
    yield Check("setting", "ok", f"plugins: {plugins or 'none'} ({_source_of_plugins(settings)})")
    for key, (value, parameter) in values.items():
        yield Check("setting", "ok", f"{key}: {value or 'none'} ({_source(parameter)})")


def _source(parameter: str) -> str:
    """Say where the value of an option comes from."""
    root = click.get_current_context().find_root()
    (option,) = (param for param in root.command.params if param.name == parameter)
    sources: dict[ParameterSource | None, str] = {
        ParameterSource.COMMANDLINE: option.opts[0],
        ParameterSource.ENVIRONMENT: f"environment variable {option.envvar}",
        ParameterSource.DEFAULT_MAP: "geobench.toml",
    }
    return sources.get(root.get_parameter_source(parameter), "default")


def _source_of_plugins(settings: Settings) -> str:
    """Say who named plugin files: the project file, the command line, or both."""
    named = _source("plugin") if click.get_current_context().find_root().params["plugin"] else ""
    project = "geobench.toml" if settings.project.plugins else ""
    return " and ".join(filter(None, (project, named))) or "default"


def _tell(check: "Check") -> None:
    state = click.style(f"{check.state:4}", fg=_COLOURS[check.state], bold=True)
    cure = f"  → {check.cure}" if check.cure else ""
    click.echo(f"{state}  {check.check:10}  {check.found}{cure}")
