"""geobench completion: the shell fills in commands, options, references and names of plugins."""

from typing import TYPE_CHECKING

import click

from geobench.cli.settings import Settings
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from geobench_catalog.commands.options import Completing

_VARIABLE = "_GEOBENCH_COMPLETE"


@click.command(short_help="Print the script that completes words in your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes commands, references and names of plugins.

    In bash and zsh: source <(geobench completion bash). In fish: geobench completion fish | source.
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise GeobenchError(f"click has no completion for {shell}. Use bash, zsh or fish.")
    click.echo(completion_class(root.command, {}, "geobench", _VARIABLE).source())


def offered(*kinds: str, files: bool = False) -> "Completing":
    """Complete names that plugins offer; `files`: where none begins so, those of files."""

    def complete(
        ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        offers = ctx.ensure_object(Settings).registry.offers
        names = {name: offer for (kind, name), offer in offers.items() if kind in kinds}
        completions = [
            CompletionItem(name, help=offer.summary)
            for name, offer in names.items()
            if name.startswith(incomplete)
        ]
        return completions or ([CompletionItem(incomplete, type="file")] if files else [])

    return complete
