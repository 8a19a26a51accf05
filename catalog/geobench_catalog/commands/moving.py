"""export, import, push, pull, import-forecast: entries on their way."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geobench_catalog.commands import documents, tables
from geobench_catalog.commands.place import completes, here, json_option, reference_argument
from geobench_catalog.errors import CatalogError

if TYPE_CHECKING:
    from geobench_catalog.transfer import Arrival


@click.command()
@reference_argument("references", nargs=-1, required=True)
@click.option(
    "--to", "path", type=click.Path(path_type=Path), required=True, help="The file to write, .tar."
)
@json_option
def export(references: tuple[str, ...], path: Path, *, as_json: bool) -> None:
    """Write entries and their lineage into one file.

    For example: geobench catalog export score/lorenz95.fgn.s0.crps@1 --to fgn.tar
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
    "--trust", is_flag=True, help="Let them count as if they were made here; see 'catalog trust'."
)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@_trust_option
@json_option
def bring_in(path: Path, *, trust: bool, as_json: bool) -> None:
    """Take in the entries of a file that export wrote.

    Nothing in it is trusted; what is there already and whole is passed over. What comes in is
    marked as imported, and never used in place of work done here, unless you --trust it.
    """
    from geobench_catalog import archive

    _tell(archive.bring_in(here(create=True), path, trust=trust), as_json=as_json)


def _tell(arrivals: "Iterable[Arrival]", *, as_json: bool) -> None:
    if as_json:
        told = [{"wanted": str(w), "here": str(h), "new": new} for w, h, new in arrivals]
        documents.show(told)
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

    For example: geobench catalog push forecast/a@1 s3://bucket/twins
    """
    from geobench_catalog import transfer
    from geobench_catalog.catalog import Catalog

    source = here()
    transfer.with_lineage(source, references)  # what is wrong is told before a catalog is made
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

    For example: geobench catalog pull forecast/a@1 s3://bucket/twins
    """
    from geobench_catalog import transfer
    from geobench_catalog.catalog import Catalog

    there = Catalog(source)
    transfer.with_lineage(there, references)
    arrivals = transfer.copy(there, here(create=True), references, door="pull", trust=trust)
    _tell(arrivals, as_json=as_json)


@click.command("import-forecast")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--dataset",
    required=True,
    metavar="REFERENCE",
    shell_complete=completes("dataset"),
    help="The dataset that it forecasts, dataset/NAME@VERSION.",
)
@click.option("--model", required=True, metavar="NAME", help="What to call the model that made it.")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="THEIRS=OURS",
    help="Name a dim or variable, e.g. number=member.",
)
@click.option(
    "--assume-units", is_flag=True, help="Variables without units have those of the dataset."
)
@click.option(
    "--assume-grid",
    multiple=True,
    metavar="DIM",
    help="The points of this dim, which has no coordinate, are the dataset's, in its order.",
)
@click.option("--keep-failures", is_flag=True, help="Store members that failed, too.")
@click.option(
    "--absent-members",
    is_flag=True,
    help="A member without any number at an init is not there, and has not failed. Each init is "
    "scored with its own number of members.",
)
@json_option
def import_forecast(
    paths: tuple[str, ...],
    dataset: str,
    model: str,
    renames: tuple[str, ...],
    assume_grid: tuple[str, ...],
    *,
    assume_units: bool,
    keep_failures: bool,
    absent_members: bool,
    as_json: bool,
) -> None:
    """Take in anyone's forecast: Zarr or netCDF.

    PATH is a .zarr folder, a .zarr.zip file, an s3:// or https:// URL of a Zarr store, or a .nc
    file. Several files, or a pattern in quotes, are one forecast: each holds some of the init
    times, lead times or members.

    The forecast must have every init time and lead time of the dataset's test split, on its grid
    and in its units. If something does not match, the message says what. Names of WeatherBench and
    CF are known. The forecast is then scored as any other.

    For example: geobench catalog import-forecast theirs.nc --dataset dataset/a@1 --model theirs
    """
    from geobench_catalog.adoption import Reading, adopt

    catalog = here()
    how = Reading(
        _renames(renames),
        assume_units=assume_units,
        assume_grid=assume_grid,
        keep_failures=keep_failures,
        absent_members=absent_members,
        memory=click.get_current_context().find_root().params.get("memory", 2**30),
    )
    entry, notes = adopt(catalog, paths, catalog.get(dataset, "dataset"), model, how)
    for note in notes:
        click.echo(f"geobench: note: {note}", err=True)
    if as_json:
        documents.show(documents.of_entry(entry))
    else:
        click.echo(entry.reference)


def _renames(texts: Iterable[str]) -> dict[str, str]:
    """Read each THEIRS=OURS."""
    rename: dict[str, str] = {}
    for text in texts:
        theirs, equals, ours = text.partition("=")
        if not (theirs and equals and ours):
            raise CatalogError(f"'{text}' renames nothing: write THEIRS=OURS, e.g. number=member.")
        if rename.get(theirs, ours) != ours:
            raise CatalogError(f"--rename is given twice for {theirs}. Give it once.")
        rename[theirs] = ours
    return rename
