"""What the options of every command say, and the objects that follow from them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geobench.errors import GeobenchError
from geobench.lab import watching
from geobench.registry.project import Project
from geobench_catalog.commands import one_line

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.board.model import Board
    from geobench.contracts.experiment import Experiment
    from geobench.contracts.law import Law
    from geobench.contracts.model import Watch
    from geobench.nodes.engine import Engine
    from geobench.nodes.session import Session
    from geobench.registry import Registry
    from geobench_catalog import Catalog

EXIT_CODES = (
    "Exit code: 0 if every row is complete and sound; 2 if something failed, is missing or cannot "
    "be read, which is named; 3 if all is there, but a row is incomplete or degenerate: members "
    "failed, a seed is missing, or members are copies of one another."
)


@dataclass
class Settings:
    """The options of every command."""

    catalog_url: str = "geobench-catalog"
    plugin_files: tuple[Path, ...] = ()
    device: str = "cpu"
    memory: int = 2**30
    scheduler: str | None = None
    processes: int | None = None
    quiet: bool = False
    debug: bool = False
    project: Project = field(default_factory=Project)

    @cached_property
    def registry(self) -> "Registry":
        """All plugins."""
        from geobench.registry import Registry

        return Registry(self.plugin_files)

    @cached_property
    def plugins(self) -> "Registry":
        """All plugins, telling (once) which of them are set aside."""
        _ = self.registry.offers
        for owner, reason in self.registry.set_aside.items():
            click.echo(f"geobench: plugin {owner} is set aside: {reason}", err=True)
        return self.registry

    def tell(self, error: GeobenchError) -> None:
        """Print an error on one line, and with --debug where it came from."""
        import traceback

        if self.debug:
            click.echo("".join(traceback.format_exception(error)), err=True)
        one_line.tell(error)

    def catalog(self, *, create: bool = False) -> "Catalog":
        """Open the catalog."""
        from geobench_catalog import Catalog

        return Catalog(self.catalog_url, create=create)

    def experiment(self, named: str, changes: tuple[str, ...]) -> "tuple[str, Experiment]":
        """Build an experiment from its name or file, and changes; with what to call it."""
        from geobench.registry import merged
        from geobench.registry.plain_yaml import read_yaml

        file = Path(named)
        is_file = file.suffix in (".yaml", ".yml")
        name, start = (file.stem, read_yaml(file)) if is_file else (named, {"use": named})
        fields = merged(start, assignments(changes))
        return name, self.plugins.experiment(fields, f"experiment {name}")

    def known(self, experiment: "Experiment") -> "tuple[Law, Tensor] | None":
        """Return where the law starts at each init, if only a dataset tells and it is there."""
        if not experiment.inexact_law:
            return None
        from geobench.lab.describing import known

        try:
            engine = self.engine()
        except GeobenchError:
            return None  # there is no catalog
        return known(engine, experiment)

    @property
    def watch(self) -> "Watch":
        """Who is told how far a step is."""
        from geobench.contracts.model import unwatched

        return unwatched if self.quiet else watching.watch

    @property
    def every_process(self) -> int:
        """Processes for pages: those asked for, or as many as cores; with --debug one."""
        from geobench.nodes.processes import cores

        return self.processes or (1 if self.debug else cores())

    def engine(self, *, create: bool = False, processes: int | None = None) -> "Engine":
        """Everything that is needed to find and make entries, with all `plugins`."""
        from geobench.nodes.engine import Engine

        return Engine(
            self.catalog(create=create),
            self.plugins,
            self.watch,
            self.device,
            self.memory,
            scheduler=self.scheduler,
            processes=processes or self.processes or 1,
        )

    def session(self, *, create: bool = False) -> "Session":
        """What the commands of single steps use."""
        from geobench.nodes.session import Session

        return Session(self.engine(create=create))

    def engine_if_there(self) -> "Engine | None":
        """Everything that is needed to find entries; None where there is no catalog yet."""
        from geobench_catalog.store import opened

        folder = opened(self.catalog_url).folder
        return None if folder is not None and not folder.exists() else self.engine()


class Size(click.ParamType[int]):
    """Bytes, written with a unit: 512MB, 2GiB."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a size."""
        if isinstance(value, int):
            return value
        from geobench.registry.sizes import read_size

        try:
            return read_size(str(value))
        except GeobenchError as error:
            self.fail(str(error), param, ctx)


SEED = click.IntRange(0, 2**63 - 1)
"""Whole numbers that every generator and every index can hold."""
COUNT = click.IntRange(1, 2**31 - 1)
MEMBERS = click.IntRange(2, 2**31 - 1)


class Counts(click.ParamType[tuple[int, ...]]):
    """Numbers from 1, with commas between them: 2,4,8."""

    name = "counts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read the text."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdigit() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is not a list of numbers from 1, such as 2,4,8.", param, ctx)
        return tuple(int(word) for word in words)


def finish(failed: bool, boards: "Sequence[Board]" = (), *, sound: bool = True) -> None:
    """End a command that made boards, with the exit code that `EXIT_CODES` tells."""
    from geobench.board.soundness import all_sound

    if failed:
        raise click.exceptions.Exit(2)
    if not (sound and all_sound(boards)):
        raise click.exceptions.Exit(3)


nfe_option = click.option(
    "--nfe",
    type=Counts(),
    default=(),
    metavar="N,N,…",
    help="Add rows for models that evaluate their network several times for a member, with these "
    "numbers of evaluations. All rows of a model use one training.",
)


def assignments(texts: tuple[str, ...]) -> dict[str, Any]:
    """Turn `a.b=1` texts into nested fields; values are YAML."""
    from geobench.registry import plain_yaml

    fields: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise GeobenchError(f"'{text}' sets nothing: write KEY=VALUE, for example width=32.")
        *path, last = key.split(".")
        group = fields
        for part in path:
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise GeobenchError(f"'{text}': {part} was set to {group!r} before.")
        if last in group:
            raise GeobenchError(f"--set {key} is given twice. Leave one out.")
        group[last] = plain_yaml.load(value, f"the value of '{text}'")
    return fields


def check_folder(path: Path | None) -> None:
    """Raise unless the folder is there that a file shall be written to."""
    if path and not path.absolute().parent.is_dir():
        raise GeobenchError(f"there is no folder {path.parent} for {path.name}. Make it first.")


def shared_words(*words: str) -> str:
    """Return words of a command with the options of the program that were given with it.

    What the environment or the project file says need not be repeated.
    """
    root = click.get_current_context().find_root()
    given = list(words)
    for option in root.command.params:
        key = option.name or ""
        is_given = root.get_parameter_source(key) is ParameterSource.COMMANDLINE
        if key in ("catalog_url", "plugin") and is_given:
            value = root.params[key]
            values = value if isinstance(value, tuple) else (value,)
            given += [f"{option.opts[0]} {shlex.quote(str(part))}" for part in values]
    return " ".join(given)


pass_settings = click.make_pass_decorator(Settings, ensure=True)
set_option = click.option(
    "--set",
    "-s",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a field, e.g. width=32. Can be repeated.",
)
