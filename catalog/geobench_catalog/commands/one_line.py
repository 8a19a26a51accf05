"""Commands whose errors are one line: cause, evidence, cure."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import click

from geobench_catalog.commands import documents, shared_options
from geobench_catalog.errors import GeobenchError
from geobench_catalog.plain_text import plain

_told: list[str] = []  # errors since the command began


def tell(error: Exception) -> None:
    """Print an error on one line."""
    _told.append(plain(" ".join(str(error).split())))
    click.echo(f"geobench: {_told[-1]}", err=True)


def prepare(command: click.Command) -> None:
    """Give a command, and those in it, what all commands of a program have.

    An option that takes one value is an error if it is given twice; click takes the last. The help
    names the options of the program.
    """
    if "make_parser" in vars(command):  # done before
        return
    command.make_parser = partial(_strict, command.make_parser)  # type: ignore[method-assign]
    command.format_epilog = partial(_hinting, command.format_epilog)  # type: ignore[method-assign]
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        prepare(part)


def _strict(make_parser: Callable[[click.Context], Any], ctx: click.Context) -> Any:
    parser = make_parser(ctx)
    options = {*parser._long_opt.values(), *parser._short_opt.values()}
    for option in options:
        if option.action == "store":
            option.process = partial(_once, option.obj, option.process, ctx)
    return parser


def _hinting(
    format_epilog: Callable[[click.Context, click.HelpFormatter], None],
    ctx: click.Context,
    formatter: click.HelpFormatter,
) -> None:
    format_epilog(ctx, formatter)
    if ctx.parent is not None and shared_options.shared(ctx.find_root()):
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(shared_options.hint(ctx))


def _once(
    option: click.Parameter,
    process: Callable[[Any, Any], None],
    ctx: click.Context,
    value: Any,
    state: Any,
) -> None:
    if option.name in state.opts:
        raise click.UsageError(f"{option.opts[0]} is given twice. Leave one out.", ctx)
    process(value, state)


def _culprit(end: SystemExit) -> str:
    """Say which line of which file asked for the end."""
    frames = traceback.extract_tb(end.__traceback__)
    return f"line {frames[-1].lineno} of {frames[-1].filename}" if frames else "something"


def _end(error: click.UsageError) -> NoReturn:
    command = error.ctx.command_path if error.ctx else "geobench"
    tell(GeobenchError(f"{error.format_message()} '{command} --help' shows how it is used."))
    sys.exit(2)


class OneLine(click.Group):
    """A group of commands that prints errors on one line and exits with code 2."""

    def main(self, *args: Any, **how: Any) -> Any:
        """Begin; a letter that the terminal or pipe cannot hold is written as a question mark."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        prepare(self)
        _told.clear()
        words = args[0] if args else how.get("args")
        with documents.alone(sys.argv[1:] if words is None else words):
            try:
                return super().main(*args, **how)
            except SystemExit as end:
                if end.code and _told:
                    documents.failed(_told[-1])
                raise

    def make_context(self, *args: Any, **how: Any) -> click.Context:
        """Read the options of the program; what is wrong with them is one line, too."""
        try:
            ctx = super().make_context(*args, **how)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _end(error)
        except GeobenchError as error:
            tell(error)
            sys.exit(2)
        if os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR"):
            ctx.color = True
        return ctx

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options of the program, wherever they stand."""
        return super().parse_args(ctx, shared_options.in_front(ctx, args))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with `--debug`, where there is such an option, errors are raised."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            _end(error)
        except GeobenchError as error:
            if ctx.params.get("debug"):
                raise
            tell(error)
            sys.exit(2)
        except OSError as error:
            if ctx.params.get("debug") or error.errno == errno.EPIPE:  # click ends quietly then
                raise
            message = f"{error.filename}: " if error.filename else ""
            message += f"{error.strerror or error}. Look at permissions and free space; --debug "
            tell(GeobenchError(f"{message}shows where it came from."))
            sys.exit(2)
        except MemoryError as error:
            if ctx.params.get("debug"):
                raise
            reason = f" ({error})" if str(error) else ""
            tell(GeobenchError(f"there is not enough memory{reason}. Make the numbers smaller."))
            sys.exit(2)
        except SystemExit as end:  # none of ours: commands raise click's Exit
            if ctx.params.get("debug"):
                raise RuntimeError("something that is no command ended the program") from end
            tell(GeobenchError(f"{_culprit(end)} ended the program ({end}). Mend or remove it."))
            sys.exit(2)
        except KeyboardInterrupt:
            tell(GeobenchError("stopped. Finished steps are kept; run it again to go on."))
            sys.exit(130)
