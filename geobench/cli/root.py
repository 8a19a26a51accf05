"""The group of all commands: which there are, in which groups the help shows them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from geobench.cli.settings import Settings
from geobench.errors import GeobenchError
from geobench.registry.project import Project, check_plugin_file, read_project
from geobench_catalog.commands.one_line import OneLine, prepare

_ADDED = "Commands of plugins"
_OPTIONS = {"catalog": "catalog_url"}  # keys of a project file that an option calls otherwise


class Root(OneLine):
    """The built-in commands, and those that plugins add."""

    groups: Mapping[str, Sequence[str]]
    """Names of the built-in commands, below the headings of the help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return built-in commands in the order of the help, then those of plugins."""
        return [*self.commands, *sorted(self._added(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; a plugin adds some, and replaces none of ours."""
        if cmd_name in self.commands:  # plugins cost nothing then
            return self.commands[cmd_name]
        command = self._added(ctx).get(cmd_name)
        if command:
            prepare(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; where there is none, say which plugins were set aside."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            message = error.format_message()
            from geobench.study.published import published

            studies = difflib.get_close_matches(args[0], published(), n=1)
            if args[0].endswith((".yaml", ".yml")):
                message += f" Did you mean 'geobench run {args[0]}'?"
            elif studies and "Did you mean" not in message:
                message += f" Did you mean 'geobench run {studies[0]}'?"
            aside = ctx.ensure_object(Settings).registry.set_aside.items()
            if aside:
                reasons = "; ".join(f"{owner} ({reason})" for owner, reason in aside)
                message += f" Plugins that were set aside: {reasons}."
            raise click.UsageError(message, ctx) from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; those that are not given are taken from the project file."""
        project = _project(ctx)
        found = {_OPTIONS.get(key, key): value for key, value in project.settings().items()}
        ctx.default_map = {**found, **(ctx.default_map or {})}
        # Which commands there are depends on the plugins, wherever these are named.
        ctx.obj = Settings(plugin_files=with_project(project, _named(args)), project=project)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands below their headings."""
        added = self._added(ctx)
        groups = {
            title: [self.commands[name] for name in names] for title, names in self.groups.items()
        } | {_ADDED: [added[name] for name in sorted(added)]}
        width = max(len(str(command.name)) for part in groups.values() for command in part)
        for title, commands in groups.items():
            if commands:
                limit = formatter.width - 6 - width
                with formatter.section(title):
                    formatter.write_dl(
                        [(str(c.name).ljust(width), c.get_short_help_str(limit)) for c in commands]
                    )

    def _added(self, ctx: click.Context) -> dict[str, click.Command]:
        registry = ctx.ensure_object(Settings).registry
        return {k: v for k, v in registry.commands.items() if k not in self.commands}


def _project(ctx: click.Context) -> Project:
    if ctx.resilient_parsing:  # a shell completes words: no error is shown
        with suppress(GeobenchError):
            return read_project()
        return Project()
    return read_project()


def with_project(project: Project, files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the plugin files of the project and those that were named, each once."""
    named = {file.resolve(): file for file in (*project.plugins, *files)}
    return tuple(named.values())


def _named(words: Sequence[str]) -> tuple[Path, ...]:
    return tuple(Path(word) for word in _plugin_words(words))


def _plugin_words(words: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(words):
        if word == "--":
            return
        if word == "--plugin" and index + 1 < len(words):
            yield words[index + 1]
        elif word.startswith("--plugin="):
            yield word.partition("=")[2]


def check_plugins(
    ctx: click.Context, _option: click.Parameter, files: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Refuse plugin files that are not there; a step would go on without them."""
    for file in () if ctx.resilient_parsing else files:
        check_plugin_file(file, "--plugin")
    return files
