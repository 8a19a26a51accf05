"""export, import, push, pull: entries on their way."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geobench_catalog.commands import documents, tables
from geobench_catalog.commands.options import here, json_option, reference_argument

if TYPE_CHECKING:
    from geobench_catalog.transfer import Arrival


@click.command()
@reference_argument("references", nargs=-1, required=True)
@click.option(
    "--to", "path", type=click.Path(path_type=Path), required=True, help="The .tar file to write."
)
@json_option
def export(references: tuple[str, ...], path: Path, *, as_json: bool) -> None:
    """Write entries and their lineage into one file.

    For example: geobench catalog export KIND/NAME@1 --to a.tar
    """
    from geobench_catalog import archive

    written = []
    for entry in archive.export(here(), references, path):
        written.append(str(entry.reference))
        if not as_json:
            click.echo(entry.reference)
    size = path.stat().st_size
    if as_json:
        documents.show({"file": str(path), "bytes": size, "entries": written})
    else:
        click.echo(f"{path}  {tables.size(size)}")


_trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Let the entries count as if they were made here; see 'catalog trust'.",
)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@_trust_option
@json_option
def bring_in(path: Path, *, trust: bool, as_json: bool) -> None:
    """Import the entries of a file that export wrote.

    Every entry is checked. Entries that are here already and whole are left as they are.
    What comes in is marked as imported, and never used in place of work done here, unless you
    --trust it.
    """
    from geobench_catalog import archive

    _tell(archive.bring_in(here(create=True), path, trust=trust), as_json=as_json)


def _tell(arrivals: "Iterable[Arrival]", *, as_json: bool) -> None:
    if as_json:
        rows = [{"wanted": str(w), "here": str(h), "new": new} for w, h, new in arrivals]
        documents.show(rows)
        return
    for arrival in arrivals:
        if not arrival.new:
            click.echo(f"there already  {arrival.here}")
        elif arrival.here != arrival.wanted:
            click.echo(f"new            {arrival.here}  (was {arrival.wanted}; that name is taken)")
        else:
            click.echo(f"new            {arrival.here}")


@click.command()
@reference_argument("references", nargs=-1, required=True)
@click.argument("target")
@json_option
def push(references: tuple[str, ...], target: str, *, as_json: bool) -> None:
    """Copy entries and their lineage to another catalog.

    TARGET is its folder or URL; it is made if it is not there. Entries that were made here count
    there as if they were made there; imported ones stay imported.

    For example: geobench catalog push KIND/NAME@1 s3://bucket/folder
    """
    from geobench_catalog import transfer
    from geobench_catalog.catalog import Catalog

    source = here()
    transfer.with_lineage(source, references)  # before a catalog is made: a reference may be wrong
    arrivals = transfer.copy(source, Catalog(target, create=True), references)
    _tell(arrivals, as_json=as_json)


@click.command()
@click.argument("references", nargs=-1, required=True)
@click.argument("source")
@_trust_option
@json_option
def pull(references: tuple[str, ...], source: str, *, trust: bool, as_json: bool) -> None:
    """Copy entries and their lineage from another catalog.

    SOURCE is its folder or URL. What comes in is marked as imported, and never used in place of
    work done here, unless you --trust it.

    For example: geobench catalog pull KIND/NAME@1 s3://bucket/folder
    """
    from geobench_catalog import transfer
    from geobench_catalog.catalog import Catalog

    there = Catalog(source)
    transfer.with_lineage(there, references)
    arrivals = transfer.copy(there, here(create=True), references, door="pull", trust=trust)
    _tell(arrivals, as_json=as_json)
