"""export, import, push, pull, import-forecast: entries on their way."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geobench_catalog.commands import tables
from geobench_catalog.commands.place import complete, here, reference_argument
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    from geobench_catalog.transfer import Arrival


@click.command()
@reference_argument("references", nargs=-1, required=True)
@click.option(
    "--to", "path", type=click.Path(path_type=Path), required=True, help="The file to write, .tar."
)
def export(references: tuple[str, ...], path: Path) -> None:
    """Write entries and their lineage into one file."""
    from geobench_catalog import archive

    for entry in archive.export(here(), references, path):
        click.echo(entry.reference)
    click.echo(f"{path}  {tables.size(path.stat().st_size)}")


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
def bring_in(path: Path) -> None:
    """Take in the entries of a file that export wrote.

    Nothing in it is trusted; what is there already and whole is passed over.
    """
    from geobench_catalog import archive

    _tell(archive.bring_in(here(create=True), path))


def _tell(arrivals: "Iterable[Arrival]") -> None:
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
def push(references: tuple[str, ...], target: str) -> None:
    """Copy entries and their lineage to another catalogue.

    TARGET is its folder or URL; it is made if it is not there.
    """
    from geobench_catalog import transfer
    from geobench_catalog.catalog import Catalog

    source = here()
    transfer.with_lineage(source, references)  # what is wrong is told before a catalogue is made
    _tell(transfer.copy(source, Catalog(target, create=True), references))


@click.command()
@click.argument("references", nargs=-1, required=True)
@click.argument("source")
def pull(references: tuple[str, ...], source: str) -> None:
    """Copy entries and their lineage from another catalogue.

    SOURCE is its folder or URL.
    """
    from geobench_catalog import transfer
    from geobench_catalog.catalog import Catalog

    there = Catalog(source)
    transfer.with_lineage(there, references)
    _tell(transfer.copy(there, here(create=True), references))


@click.command("import-forecast")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, shell_complete=complete, help="Its dataset.")
@click.option("--model", required=True, help="What to call the model that made it.")
@click.option(
    "--rename", "renames", multiple=True, metavar="THEIRS=OURS", help="Name a dim or variable."
)
@click.option("--assume-units", is_flag=True, help="Take variables without units as they are.")
@click.option("--keep-failures", is_flag=True, help="Store members that are not finite.")
def import_forecast(
    path: Path,
    dataset: str,
    model: str,
    renames: tuple[str, ...],
    *,
    assume_units: bool,
    keep_failures: bool,
) -> None:
    """Take in anyone's forecast, .zarr or .nc.

    It has to have every init time and lead time of the dataset's test split, on its grid and in its
    units; what is missing is told. Names of WeatherBench and CF are known. It is then scored as any
    other.
    """
    from geobench_catalog.adoption import adopt

    rename = {}
    for text in renames:
        theirs, equals, ours = text.partition("=")
        if not (theirs and equals and ours):
            raise CatalogError(f"'{text}' renames nothing: write THEIRS=OURS, e.g. number=member.")
        rename[theirs] = ours
    catalog = here()
    entry, notes = adopt(
        catalog,
        path,
        catalog.get(dataset, "dataset"),
        model,
        rename=rename,
        assume_units=assume_units,
        keep_failures=keep_failures,
        memory=click.get_current_context().find_root().params.get("memory", 2**30),
    )
    for note in notes:
        click.echo(f"geobench: note: {note}", err=True)
    click.echo(entry.reference)
