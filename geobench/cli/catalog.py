"""geobench catalog: what is kept."""

import click

from geobench_catalog.commands import COMMANDS


@click.group(commands={str(command.name): command for command in COMMANDS})
def catalog() -> None:
    """Look at, prove, move and sort what the catalogue keeps."""
