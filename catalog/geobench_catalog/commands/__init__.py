"""The commands of the catalog: `geobench catalog …`, or alone `python -m geobench_catalog …`."""

import click

from geobench_catalog.commands import keeping, looking, moving, searching

COMMANDS: tuple[click.Command, ...] = (
    looking.list_entries,
    looking.show,
    searching.query,
    looking.diff,
    looking.usage,
    keeping.tag,
    keeping.alias,
    keeping.trust,
    keeping.verify,
    keeping.name_again,
    keeping.remove,
    keeping.collect,
    searching.reindex,
    moving.export,
    moving.bring_in,
    moving.push,
    moving.pull,
)
