"""Commands whose errors are one line: cause, evidence, cure."""

import errno
import io
import sys
from typing import Any

import click

from geobench_catalog.errors import GeobenchError


def tell(error: Exception) -> None:
    """Print an error on one line."""
    click.echo(f"geobench: {' '.join(str(error).split())}", err=True)


class OneLine(click.Group):
    """A group of commands that prints errors on one line and exits with code 2."""

    def main(self, *args: Any, **how: Any) -> Any:
        """Begin; a letter that the terminal or pipe cannot hold is written as a question mark."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*args, **how)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with `--debug`, where there is such an option, errors are raised."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            command = (error.ctx or ctx).command_path
            told = f"{error.format_message()} '{command} --help' shows how it is used."
            tell(GeobenchError(told))
            sys.exit(2)
        except GeobenchError as error:
            if ctx.params.get("debug"):
                raise
            tell(error)
            sys.exit(2)
        except OSError as error:
            if ctx.params.get("debug") or error.errno == errno.EPIPE:  # click ends quietly then
                raise
            told = f"{error.filename}: " if error.filename else ""
            told += f"{error.strerror or error}. Look at permissions and free space; --debug "
            tell(GeobenchError(f"{told}(before the command) shows where it came from."))
            sys.exit(2)
        except KeyboardInterrupt:
            tell(GeobenchError("stopped. Finished steps are kept; run it again to go on."))
            sys.exit(130)
