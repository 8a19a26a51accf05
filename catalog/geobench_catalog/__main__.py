"""A catalog alone, without geobench: `python -m geobench_catalog --catalog FOLDER list`."""

import click

from geobench_catalog.commands import COMMANDS
from geobench_catalog.commands.one_line import OneLine
from geobench_catalog.commands.options import catalog_option


@click.group(
    cls=OneLine,
    commands={str(command.name): command for command in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@catalog_option
def main(catalog_url: str) -> None:
    """Show, verify, move and organise the entries of a catalog."""


if __name__ == "__main__":
    main(prog_name="python -m geobench_catalog")
