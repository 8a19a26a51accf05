"""The extension points: all that a plugin can add, in one file.

A plugin is a module whose functions carry `@hookimpl` and the names below. It registers by an
entry point in the group `geobench`, or by `geobench --plugin FILE`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from geobench.contracts.assimilation import Assimilation
    from geobench.contracts.model import EnsembleModel
    from geobench.contracts.scorer import Scorer
    from geobench.contracts.simulator import Simulator

hookspec = pluggy.HookspecMarker("geobench")
hookimpl = pluggy.HookimplMarker("geobench")


@hookspec
def geobench_simulators() -> "Iterable[type[Simulator]]":  # type: ignore[empty-body] # a spec
    """Return simulator classes."""


@hookspec
def geobench_models() -> "Iterable[type[EnsembleModel]]":  # type: ignore[empty-body] # a spec
    """Return ensemble model classes."""


@hookspec
def geobench_scorers() -> "Iterable[type[Scorer]]":  # type: ignore[empty-body] # a spec
    """Return scorer classes."""


@hookspec
def geobench_assimilations() -> "Iterable[type[Assimilation]]":  # type: ignore[empty-body] # a spec
    """Return data assimilation classes."""


@hookspec
def geobench_experiments() -> "Iterable[Path]":  # type: ignore[empty-body] # a spec
    """Return YAML files, each one experiment; the file's stem is its name."""


@hookspec
def geobench_commands() -> "Iterable[click.Command]":  # type: ignore[empty-body] # a spec
    """Return commands to add to `geobench`."""
